/* serve/observation.c - a request that has ended, for the observer and for traces */
#include "serve/observation.h"

#include "serve/accounting.h"

/* `at`, or `end` if that was not reached. */
static uint64_t reached(uint64_t at, uint64_t end)
{
    return at && at < end ? at : end;
}

/* The phases follow each other; one that was not reached takes no time. */
struct request_times times_between(const struct milestones *m, const struct lease *l)
{
    uint64_t routed = reached(m->routed_at, m->now);
    uint64_t held = reached(l->held_at, m->now);
    uint64_t found = reached(l->found_at, held);
    uint64_t opening = l->reused ? held : reached(l->opening_at, held);
    uint64_t first = reached(m->answered_at, m->now);
    struct request_times t = { .head = routed - m->began, .total = m->now - m->began };

    found = found < routed ? routed : found;
    opening = opening < found ? found : opening;
    held = held < opening ? opening : held;
    first = first < held ? held : first;
    t.lookup = found - routed;
    t.wait = opening - found;
    t.dial = held - opening;
    t.pod = first - held;
    t.transfer = m->now - first;
    return t;
}

struct request_event observation_event(const struct observation *o)
{
    const struct target *target = o->target;
    const struct lease *lease = &o->attempts->lease;

    return (struct request_event){
        .id = o->id,
        .client = o->from->address,
        .listener = o->from->listener_port,
        .loopback = o->from->loopback,
        .http2 = o->http2,
        .tls = o->from->tls,
        .request = o->request,
        .host = accounting_host(o->request, target),
        .path = target->path,
        .name = &target->route.name,
        .port = target->route.port,
        .exposed = target->exposed != NULL,
        .endpoint = lease->endpoint,
        .pod_port = lease->port,
        .via = lease->via,
        .reused = lease->reused,
        .own = !o->join->response.began,
        .attempts = o->attempts->count,
        .status = o->join->response.status,
        .whole = o->join->request.whole,
        .bytes_in = join_received(o->join),
        .bytes_out = join_passed(o->join),
        .times = times_between(&o->at, lease),
        .response_head = { o->copies ? o->copies->head : NULL,
                           o->copies ? o->copies->head_len : 0 },
        .request_body = o->copies && o->copies->bodies ? &o->copies->request : NULL,
        .response_body = o->copies && o->copies->bodies ? &o->copies->response : NULL,
    };
}
