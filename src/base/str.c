#include "base/str.h"

#include <strings.h>

#include "base/own.h"

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool str_ieq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.at, b.at, a.len) == 0);
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_first(s, prefix.len), prefix);
}

bool str_ends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_eq(str_skip(s, s.len - suffix.len), suffix);
}

bool str_iends(struct str s, struct str suffix)
{
    return s.len >= suffix.len && str_ieq(str_skip(s, s.len - suffix.len), suffix);
}

struct str str_skip(struct str s, size_t n)
{
    size_t skipped = n < s.len ? n : s.len;
    if (skipped == 0)
        return s; /* s.at may be NULL, to which no offset may be added */
    return (struct str){ s.at + skipped, s.len - skipped };
}

struct str str_first(struct str s, size_t n)
{
    return (struct str){ s.at, n < s.len ? n : s.len };
}

static struct str trim(struct str s, const char *blanks)
{
    while (s.len && s.at[0] && strchr(blanks, s.at[0]))
        s = str_skip(s, 1);
    while (s.len && s.at[s.len - 1] && strchr(blanks, s.at[s.len - 1]))
        s.len--;
    return s;
}

struct str str_trim(struct str s)
{
    return trim(s, " \t");
}

struct str str_trim_space(struct str s)
{
    return trim(s, " \t\r\n");
}

static struct str cut_at(struct str s, const char *sep, struct str *ret_head)
{
    if (!sep) {
        *ret_head = s;
        return (struct str){ NULL, 0 };
    }
    size_t n = (size_t)(sep - s.at);
    *ret_head = str_first(s, n);
    return str_skip(s, n + 1);
}

struct str str_cut(struct str s, char sep, struct str *ret_head)
{
    return cut_at(s, s.len ? memchr(s.at, sep, s.len) : NULL, ret_head);
}

struct str str_cut_last(struct str s, char sep, struct str *ret_head)
{
    return cut_at(s, s.len ? memrchr(s.at, sep, s.len) : NULL, ret_head);
}

enum err str_to_uint(struct str s, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;

    if (s.len == 0)
        return ERR_PROTO;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return ERR_PROTO;
        unsigned digit = (unsigned)(s.at[i] - '0');
        if (value > (max - digit) / 10 || digit > max)
            return ERR_LIMIT;
        value = value * 10 + digit;
    }
    *ret = value;
    return OK;
}

static const struct {
    struct str name;
    uint64_t ms;
} units[] = {
    { { "ms", 2 }, 1 },
    { { "s", 1 }, 1000 },
    { { "m", 1 }, 60000 },
    { { "h", 1 }, 3600000 },
};

static uint64_t unit_ms(struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].name, name))
            return units[i].ms;
    return 0;
}

static size_t span(struct str s, bool digits)
{
    size_t n = 0;
    while (n < s.len && (s.at[n] >= '0' && s.at[n] <= '9') == digits)
        n++;
    return n;
}

enum err str_to_duration_ms(struct str s, uint64_t *ret)
{
    const uint64_t max = 366ull * 24 * 3600 * 1000;
    uint64_t total = 0;

    if (str_eq(s, STR("0"))) {
        *ret = 0;
        return OK;
    }
    if (s.len == 0)
        return ERR_PROTO;
    while (s.len) {
        uint64_t value;
        size_t digits = span(s, true);
        size_t letters = span(str_skip(s, digits), false);
        uint64_t ms = unit_ms(str_first(str_skip(s, digits), letters));
        enum err e = str_to_uint(str_first(s, digits), max, &value);
        if (e || !ms)
            return e == ERR_LIMIT ? e : ERR_PROTO;
        if (value > (max - total) / ms)
            return ERR_LIMIT;
        total += value * ms;
        s = str_skip(s, digits + letters);
    }
    *ret = total;
    return OK;
}

char *str_dup(struct str s)
{
    char *ret = xmalloc(s.len + 1);
    if (s.len)
        memcpy(ret, s.at, s.len);
    ret[s.len] = '\0';
    return ret;
}

__extension__ typedef unsigned __int128 product;

/* Every bit of both changes about half of the bits of the result (wyhash's multiplication). */
static uint64_t fold(uint64_t a, uint64_t b)
{
    product p = (product)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

/* A word at a time: names and UIDs are hashed several times for each request. */
uint64_t str_hash_seeded(struct str s, uint64_t seed)
{
    uint64_t h = seed ^ s.len, word;

    for (; s.len >= sizeof(word); s = str_skip(s, sizeof(word))) {
        memcpy(&word, s.at, sizeof(word));
        h = fold(h ^ 0x9e3779b97f4a7c15ull, word ^ 0xa0761d6478bd642full ^ seed);
    }
    word = 0;
    if (s.len)
        memcpy(&word, s.at, s.len);
    h = fold(h ^ 0x9e3779b97f4a7c15ull, word ^ 0xe7037ed1a0b428dbull ^ seed);
    return fold(h, 0x8ebc6af09c88c6e3ull);
}

uint64_t str_hash(struct str s)
{
    return str_hash_seeded(s, 0);
}

size_t str_append(char *room, size_t size, size_t len, struct str s)
{
    size_t n = s.len < size - len ? s.len : size - len;

    memcpy(room + len, s.at, n);
    return len + n;
}
