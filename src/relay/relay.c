/* relay/relay.c - carry bytes both ways between a client and a pod
 *
 * THEORY OF OPERATION
 *
 *      client ──in──▶ bufq_move ──▶ out── pod       Two directions that differ only in
 *      client ◀──out── bufq_move ◀──in── pod        how they end.
 *
 * Backpressure: a side whose bytes the other does not take is not read.  The limits of the
 * streams bound the memory of a relay: four queues.
 *
 * The pod's end is passed on at once.  The client's is not: the runtime on the node cuts
 * the response one second after it has seen the end of our side.  So it is kept until the
 * pod has ended, or until the pod has been silent for HALF_MS, because a client that is
 * gone looks the same.  `half_close` passes it on at once, for protocols that
 * need it and runtimes that can.  A pod that does not end after that either is reset.
 *
 * A pod that is connected to by TCP needs none of that: each direction ends by itself, and
 * the other goes on until it ends, too.
 *
 * In a tunnel the client's bytes cannot be sent after the pod's end: they are read and dropped
 * for END_MS, so that closing does not reset what the client has not read yet.
 */
#include "relay/relay.h"

#define HALF_MS 30000
#define END_MS 2000

static bool ended(const struct stream *s)
{
    return s->in_eof && bufq_empty(&s->in);
}

static void on_grace(struct timer *t)
{
    struct relay *r = container_of(t, struct relay, grace);

    r->expired++;
    task_wake(r->wake);
}

void relay_start(struct relay *r, struct stream *client, struct stream *pod,
                 bool half_close, struct task *wake)
{
    *r = (struct relay){
        .client = client,
        .pod = pod,
        .half_close = half_close || stream_has_half_close(pod),
        .wake = wake,
    };
    timer_init(&r->grace, wake->sched, on_grace);
    task_wake(wake);
}

void relay_finish(struct relay *r)
{
    if (r->grace.sched)
        timer_stop(&r->grace);
}

/* Would the pod take more of the client's bytes? */
static bool goes_up(const struct relay *r)
{
    const struct stream *pod = r->pod;

    return pod->end.verdict == V_OPEN || (stream_has_half_close(pod) && !pod->broken);
}

static void wait_at_most(struct relay *r, uint64_t ms)
{
    if (!r->grace.at)
        timer_set(&r->grace, ms);
}

static void end_client(struct relay *r)
{
    if (!goes_up(r))
        bufq_clear(&r->client->in);
    if (r->pod->end.verdict == V_CLEAN)
        stream_shutdown(r->client);
    if (bufq_empty(&r->client->out) && !r->expired && !goes_up(r))
        wait_at_most(r, END_MS);
}

static void end_pod(struct relay *r)
{
    bool pass = r->half_close || r->expired;

    if (pass)
        stream_shutdown(r->pod);
    if (!r->half_close && r->expired < 2)
        wait_at_most(r, pass ? END_MS : HALF_MS);
}

void relay_run(struct relay *r)
{
    if (r->client->broken)
        return;
    size_t down = bufq_move(&r->client->out, &r->pod->in);
    bool may_go_up = goes_up(r) && !r->hold_up;
    size_t up = may_go_up ? bufq_move(&r->pod->out, &r->client->in) : 0;
    r->pod->paused = r->client->stuck;
    r->client->paused = r->pod->stuck && goes_up(r);
    r->down += down;
    r->up += up;
    if (down && !r->expired)
        timer_stop(&r->grace);

    if (ended(r->pod))
        end_client(r);
    if (ended(r->client) && goes_up(r))
        end_pod(r);
    stream_update(r->client);
    stream_update(r->pod);
}

bool relay_done(const struct relay *r)
{
    if (r->client->broken || r->expired >= 2)
        return true;
    if (!ended(r->pod) || !bufq_empty(&r->client->out))
        return false;
    if (r->pod->end.verdict != V_CLEAN)
        return true;
    if (goes_up(r))
        return ended(r->client) && bufq_empty(&r->pod->out);
    return r->client->in_eof || r->expired;
}

bool relay_clean(const struct relay *r)
{
    return !r->client->broken && r->pod->end.verdict == V_CLEAN && !r->pod->broken;
}
