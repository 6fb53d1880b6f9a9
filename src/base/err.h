/* base/err.h - one list of error codes for the whole program, and sentences for people
 *
 * Errors are values.  A code is what a program branches on; a struct diag is what a
 * person reads: the innermost function writes what failed, each caller may prefix where,
 * and the owner of the thing that failed prints it once.  Neither allocates.
 */
#pragma once

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* clang-format off */
#define ERRORS(X) \
    X(OK,                 "ok") \
    X(ERR_AGAIN,          "not finished, call again") \
    X(ERR_PROTO,          "the peer broke the protocol") \
    X(ERR_LIMIT,          "a limit was exceeded") \
    X(ERR_CONFIG,         "bad configuration") \
    X(ERR_IO,             "input or output error") \
    X(ERR_EOF,            "the peer closed the connection") \
    X(ERR_RESET,          "the connection was reset") \
    X(ERR_TIMEOUT,        "timed out") \
    X(ERR_CONNECT,        "connection failed") \
    X(ERR_RESOLVE,        "name not resolved") \
    X(ERR_TLS,            "TLS failed") \
    X(ERR_UPGRADE,        "the server did not switch protocols") \
    X(ERR_UNAUTHORIZED,   "not authenticated") \
    X(ERR_CREDENTIALS,    "no credentials") \
    X(ERR_FORBIDDEN,      "not permitted") \
    X(ERR_CLOSED,         "closed by the settings") \
    X(ERR_NOT_FOUND,      "not found") \
    X(ERR_GONE,           "no longer available") \
    X(ERR_THROTTLED,      "throttled by the server") \
    X(ERR_SERVER,         "the server failed") \
    X(ERR_UNAVAILABLE,    "not available at present") \
    X(ERR_UNSUPPORTED,    "this cannot be carried") \
    X(ERR_NO_PORT,        "no such port") \
    X(ERR_VERSION,        "no version of the protocol that both speak") \
    X(ERR_NOT_CONFIGURED, "no such thing is configured") \
    X(ERR_REFUSED,        "the connection was refused") \
    X(ERR_SELF,           "the destination is this process itself") \
    X(ERR_LOOP,           "the request would come back to this process") \
    X(ERR_IN_USE,         "already in use") \
    X(ERR_ACCESS,         "permission denied") \
    X(ERR_NO_FILES,       "out of file descriptors") \
    X(ERR_CANCELLED,      "cancelled")
/* clang-format on */

enum err {
#define X(NAME, text) NAME,
    ERRORS(X)
#undef X
};

/* A short English phrase, never NULL. */
const char *err_text(enum err e);

#define DIAG_SIZE 256

/* A sentence for a person.  Zeroed: it is empty. */
struct diag {
    char text[DIAG_SIZE];
};

/* Write a sentence, or put one before what is already there ("where: what").  Both cut at
 * DIAG_SIZE, accept why == NULL and return e, so that a failure is one return statement.
 */
enum err diag_set(struct diag *why, enum err e, const char *format, ...)
    PRINTF_LIKE(3, 4);
enum err diag_prefix(struct diag *why, enum err e, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The sentence, or err_text(e) when it is empty. */
const char *diag_text(const struct diag *why, enum err e);
