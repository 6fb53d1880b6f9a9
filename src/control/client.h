/* control/client.h - requests to the control socket of a running kube-tunnel
 *
 * For commands: each call waits, at most for CLIENT_MS.  Needs no loop.
 */
#pragma once

#include <jansson.h>
#include <signal.h>

#include "base/err.h"
#include "base/str.h"

#define CLIENT_MS 35000

struct control_reply {
    int status;
    json_t *json; /* an object; owned by the caller */
};

/* Sends a request to the kube-tunnel called `name`.  `body` is taken over; NULL: none.
 * ERR_NOT_FOUND, ERR_REFUSED: none of that name runs, and *why ends with what to type.
 * ERR_ACCESS: another user has the socket.  ERR_TIMEOUT, ERR_PROTO, ERR_IO. */
MUST_CHECK enum err control_call(const char *name, const char *method, const char *path,
                                 json_t *body, struct control_reply *ret,
                                 struct diag *why);

/* An answer that is read line by line. */
struct control_lines;
MUST_CHECK enum err control_lines_open(const char *name, const char *path,
                                       struct control_lines **ret, struct diag *why);
/* The next line, without its end, valid until the next call; waits until there is one.
 * ERR_AGAIN: *stop was set by a signal.  ERR_EOF: the stream has ended. */
MUST_CHECK enum err control_lines_next(struct control_lines *l,
                                       const volatile sig_atomic_t *stop,
                                       struct str *ret);
/* For callers that poll: the descriptor, and what it has brought.  The next line as above, or
 * ERR_AGAIN: none is complete, and more may be read when the descriptor is readable. */
int control_lines_fd(const struct control_lines *l);
MUST_CHECK enum err control_lines_read(struct control_lines *l, struct str *ret);
void control_lines_close(struct control_lines *l); /* NULL accepted */

/* "a b" as "a%20b", for the caller to free. */
char *query_encode(const char *text);
