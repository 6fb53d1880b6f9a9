/* playground/forward/spdy_headers.h - read SPDY/3 header blocks (SPDY/3 draft, section 2.6.10)
 *
 * For servers: the playground and the tests.  A client of port-forward need not read
 * headers (see wire/spdy.h), so kube-tunnel does not link zlib.
 *
 * All blocks of one direction of a connection are one deflate stream: each must be
 * inflated by the same struct spdy_inflater, in the order of the frames, also those that
 * are not needed.
 */
#pragma once

#include "base/str.h"

#define SPDY_BLOCK_MAX (64 * 1024) /* one block, inflated */
#define SPDY_HEADERS_MAX 32        /* header fields in one block */

struct spdy_header {
    struct str name;  /* lower case, never empty */
    struct str value; /* several values are joined by NUL bytes */
};

struct spdy_inflater;

struct spdy_inflater *spdy_inflater_create(void);
void spdy_inflater_destroy(struct spdy_inflater *f); /* NULL accepted */

/* Inflate one whole block and find its fields.
 *
 * OK         *ret_count fields were written; they are valid until the next call
 * ERR_PROTO  not a header block of this connection, or a name that is empty, not in lower
 *            case or there twice
 * ERR_LIMIT  more than SPDY_BLOCK_MAX bytes or SPDY_HEADERS_MAX fields
 *
 * After a failure the inflater is of no use: the connection has to end. */
MUST_CHECK enum err
spdy_headers_decode(struct spdy_inflater *f, struct str block,
                    struct spdy_header fields[static SPDY_HEADERS_MAX],
                    size_t *ret_count);

/* The value of a field, or an empty text with at == NULL. */
struct str spdy_headers_find(const struct spdy_header *fields, size_t count,
                             struct str name);
