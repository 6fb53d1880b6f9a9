/* serve/socks_greeting.h - the handshake of a SOCKS client before its target is known
 *
 * Takes bytes from one queue and writes replies to the other.  A user and a password are
 * ignored, unless there are users: then version 5 needs them, and version 4 is refused.
 */
#pragma once

#include "base/bufq.h"
#include "wire/socks.h"

enum socks_step { SOCKS_OFFER, SOCKS_LOGIN, SOCKS_REQUEST, SOCKS_DONE };

struct proxy_users;

/* Zeroed, with the version that the client's first byte names, and the users. */
struct socks_greeting {
    unsigned version;
    const struct proxy_users *users; /* borrowed; NULL: all clients are accepted */
    enum socks_step step;
    struct socks_request request; /* of a CONNECT, once done */
};

/* OK: request is set; again and again.  ERR_AGAIN: more bytes are needed.  Else the client
 * has been refused in `out`, and *why has the reason. */
MUST_CHECK enum err socks_greeting_run(struct socks_greeting *g, struct bufq *in,
                                       struct bufq *out, struct diag *why);
