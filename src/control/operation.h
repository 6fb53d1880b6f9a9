/* control/operation.h - one request to the API, from its parts to its answer
 *
 * Private to control/.
 */
#pragma once

#include <jansson.h>

#include "base/str.h"

struct control;
struct task;

/* An answer that is ready. */
struct answer {
    int status;
    char *text;        /* JSON; owned */
    size_t len;        /* of it */
    const char *allow; /* the field Allow of a 405; or NULL */
};

struct operation {
    struct control *control;
    struct str method, path, query; /* borrowed; `query` without its "?" */
    struct str id;                  /* what the path has in place of {...}; or empty */
    json_t *body;                   /* an object; owned; NULL: there was none */
    struct task *wake;              /* borrowed: woken when operation_run may go on */
    void *work;                     /* of an operation that waits; its own */
    void (*cancel)(void *work);
};

/* OK: *ret is the answer.  ERR_AGAIN: call it again after a wake-up.  ERR_UNSUPPORTED: the
 * path is that of a stream, which the connection serves itself. */
MUST_CHECK enum err operation_run(struct operation *op, struct answer *ret);
void operation_finish(struct operation *op); /* idempotent; zeroed accepted */

/* The value of a parameter of the query, decoded, for the caller to free; NULL: it has none, or
 * the value is no UTF-8 text without control characters. */
char *query_value(struct str query, const char *name);
/* A flag: "1", "true" or nothing after the name. */
bool query_flag(struct str query, const char *name);

/* Fill *ret in. */
void answer_json(struct answer *ret, int status, json_t *json); /* taken over */
/* `next`: what to type; NULL: nothing. */
void answer_error(struct answer *ret, int status, const char *code, const char *next,
                  const char *format, ...) PRINTF_LIKE(5, 6);
/* A text of the body; NULL: it is not there or no string. */
const char *body_text(const struct operation *op, const char *name);
/* The string as JSON, with bytes that are not UTF-8 replaced. */
json_t *json_text(const char *text);
