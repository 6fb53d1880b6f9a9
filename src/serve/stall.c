/* serve/stall.c - has a client stopped in the middle of a request, or of reading its response? */
#include "serve/stall.h"

#include "net/tcp.h"
#include "serve/serve_state.h"

#define LOCAL_BODY_MS (5 * MS_MINUTE)
#define OTHER_MS MS_MINUTE

void stall_watch(struct stall *s, bool waiting, uint64_t mark, uint64_t ms)
{
    if (!waiting && !s->waiting)
        return;
    if (waiting && s->waiting && mark == s->mark)
        return;
    s->waiting = waiting;
    s->looked = false;
    s->mark = mark;
    s->ms = ms;
    timer_set(&s->timer, waiting ? (ms + 1) / 2 : 0);
}

bool stall_look(struct stall *s, const struct stream *client)
{
    size_t queued = tcp_queued(client);
    bool stalled = s->looked && queued == s->queued;

    s->looked = true;
    s->queued = queued;
    if (!stalled)
        timer_set(&s->timer, (s->ms + 1) / 2);
    return stalled;
}

/* A debugger, a pager or a paused video: a local user may pause as long as they like. */
static bool is_local(const struct serve *serve, const struct visitor *from)
{
    return from->loopback && !serve->in_pod;
}

uint64_t stall_body_ms(const struct serve *serve, const struct visitor *from)
{
    uint64_t ms = serve->config->body_timeout_ms;

    if (ms != SIZE_AUTO)
        return ms;
    return is_local(serve, from) ? LOCAL_BODY_MS : OTHER_MS;
}

uint64_t stall_send_ms(const struct serve *serve, const struct visitor *from)
{
    uint64_t ms = serve->config->send_timeout_ms;

    if (ms != SIZE_AUTO)
        return ms;
    return is_local(serve, from) ? 0 : OTHER_MS;
}
