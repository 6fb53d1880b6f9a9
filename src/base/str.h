/* base/str.h - borrowed views of text
 *
 * A struct str owns nothing: it is valid as long as the bytes it points into, which the
 * function that returns it documents.  It is not terminated and may hold any byte.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct str {
    const char *at;
    size_t len;
};

/* STR("literal"); printf("%.*s", STR_ARG(s)) */
#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_ARG(s) (int)(s).len, (s).at

static inline struct str str_of(const char *s)
{
    return (struct str){ s ? s : "", s ? strlen(s) : 0 };
}

static inline bool str_empty(struct str s)
{
    return s.len == 0;
}

bool str_eq(struct str a, struct str b);
bool str_ieq(struct str a, struct str b); /* ASCII case ignored */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
bool str_iends(struct str s, struct str suffix);

/* s from byte n on (empty when n is past the end), or its first n bytes. */
struct str str_skip(struct str s, size_t n);
struct str str_first(struct str s, size_t n);

/* Without the blanks (space, tab) at both ends; str_trim_space drops CR and LF too. */
struct str str_trim(struct str s);
struct str str_trim_space(struct str s);

/* Cut at the first (last) `sep`: *ret_head gets what is before it, the result is what is
 * after.  Without one, *ret_head is all of s and the result is empty with at == NULL. */
struct str str_cut(struct str s, char sep, struct str *ret_head);
struct str str_cut_last(struct str s, char sep, struct str *ret_head);

/* Decimal digits only, no sign, no blanks, at least one digit.
 * ERR_PROTO: not a number.  ERR_LIMIT: above max. */
MUST_CHECK enum err str_to_uint(struct str s, uint64_t max, uint64_t *ret);

/* "10m", "1h30m", "500ms", "0", "2s": kubectl's durations.  A bare number other than 0 is
 * an error, because its unit would be ambiguous. */
MUST_CHECK enum err str_to_duration_ms(struct str s, uint64_t *ret);

/* Put s behind the first `len` bytes of room, as much as fits in `size`, unterminated;
 * the new length.  A copy without a call of printf, for keys that are built several times
 * per request. */
size_t str_append(char *room, size_t size, size_t len, struct str s);

/* An owned, terminated copy. */
char *str_dup(struct str s);
/* The hash is the same in every process, so that replicas agree. */
uint64_t str_hash(struct str s);
/* For hash tables: without the seed, an attacker cannot choose texts that collide. */
uint64_t str_hash_seeded(struct str s, uint64_t seed);
