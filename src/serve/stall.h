/* serve/stall.h - has a client stopped in the middle of a request, or of reading its response?
 *
 * Progress is a number of the owner's that changes, or bytes that the client's kernel has
 * acknowledged: a slow reader drains the socket's queue for minutes while nothing changes here.
 * Private to serve/.
 */
#pragma once

#include "net/stream.h"

struct serve;
struct visitor;

struct stall {
    struct timer timer; /* the owner's: it calls stall_look */
    bool waiting;
    bool looked; /* `queued` is what was queued in the kernel then */
    uint64_t mark, ms;
    size_t queued;
};

/* After any change: the owner waits for its client, or does not.  Time runs from the last change
 * of `mark` on; ms is the limit, 0: none. */
void stall_watch(struct stall *s, bool waiting, uint64_t mark, uint64_t ms);
/* The timer has fired.  True: there was no progress for that long. */
bool stall_look(struct stall *s, const struct stream *client);

/* --body-timeout and --send-timeout for this client; 0: without limit. */
uint64_t stall_body_ms(const struct serve *serve, const struct visitor *from);
uint64_t stall_send_ms(const struct serve *serve, const struct visitor *from);
