/* serve/client_side.h - the client of an exchange
 *
 * Its stream, which the session lends for one request, and what is known about its far end:
 * is it gone, has it stopped sending or reading?  Private to serve/.
 */
#pragma once

#include "base/log.h"
#include "net/peer.h"
#include "serve/pressure.h"
#include "serve/stall.h"

struct client_side {
    struct message_stream *message; /* lent by the session; NULL between two requests */
    struct stream *stream;          /* its bytes */
    const struct visitor *from;
    struct holder *holder;
    struct task *owner; /* the session's: wakes when the stream goes back */

    struct stall stall; /* its timer is the exchange's */
    struct peer_watch peer;
};

/* What a session lends; all of it is borrowed until the exchange is over. */
struct client_loan {
    struct message_stream *message;
    const struct visitor *from;
    struct holder *holder;
    struct task *owner;
};

/* The stream's wake is `wake` until client_side_return. */
void client_side_take(struct client_side *c, const struct client_loan *loan,
                      struct task *wake);
/* The owner wakes. */
void client_side_return(struct client_side *c);

/* A client whose end of input has come, or that is not read from, may be gone without a
 * sign: it is looked for from then on, and `wake` wakes when it is gone. */
bool client_side_is_gone(struct client_side *c, struct task *wake);
/* It takes no more of what is queued for it. */
bool client_is_unread(const struct stream *client);

/* What an exchange waits for, after any change.  Time runs while it waits for the client and
 * `moved`, the bytes of bodies in both directions, does not change. */
struct client_wait {
    bool for_body, for_reading;
    uint64_t moved;
};
void client_side_watch(struct client_side *c, const struct serve *serve,
                       const struct client_wait *wait);
/* The stall's timer has fired.  True: the client has stalled, which is logged. */
bool client_side_has_stalled(struct client_side *c, struct log_id id);

/* How many bytes wait because of the client, `held` and those in the pod's stream (NULL: there
 * is none) included, after `moved` bytes. */
void client_side_note_waiting(struct client_side *c, const struct stream *pod,
                              size_t held, uint64_t moved);
/* Of any owner of a stall. */
void client_log_stall(const struct stall *stall, struct log_id id, const char *address,
                      bool unread);
