/* net/tcp_dial.h - connect to one numeric address: no names, no proxy, a deadline
 *
 * For addresses that were checked before.  What curl connects to is net/connecting.h.
 */
#pragma once

#include "base/address.h"
#include "net/loop.h"
#include "net/stream.h"

/* The caller's struct, zeroed before; it stays where it is until tcp_dial_finish.
 *   ERR_AGAIN      under way; `wake` is woken when that changes
 *   OK             `stream` is the caller's once it is taken (set to NULL).  Where the far end
 *                  answered that nothing listens on the port, it has ended with V_REFUSED
 *   ERR_CONNECT    no answer within the deadline, or the address cannot be reached
 *   ERR_NO_FILES   no descriptor is left */
struct tcp_dial {
    enum err result;
    struct stream *stream;
    struct diag why;
    struct task *wake;
    struct tcp_attempt *attempt; /* private */
};

/* The outcome may be known before it returns; then `wake` is not woken. */
void tcp_dial_start(struct tcp_dial *d, struct loop *l, const struct sockaddr_storage *to,
                    uint64_t timeout_ms, struct task *wake);
/* Cancels; closes a stream that was not taken; idempotent; a zeroed struct is accepted. */
void tcp_dial_finish(struct tcp_dial *d);
