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
 * The pod's end of stream is passed on to the client at once.  The client's is not passed on
 * to the pod at once, because the runtime on the node truncates the response one second after
 * it has received our end of stream.  It is passed on when the pod has ended, or when the pod
 * has sent nothing for HALF_MS: the client may have closed its socket for good.  With
 * `half_close` it is passed on at once, for protocols that need it and runtimes that support
 * it.  If the pod does not end within END_MS after that, the relay is done and not clean.
 *
 * None of that applies to a direct TCP connection: each direction ends separately.
 *
 * In a tunnel no bytes can be sent to the pod after its end of stream.  What the client still
 * sends is read and dropped for END_MS: closing its socket with unread bytes would reset the
 * connection, and the client would lose what it has not read yet.
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

/* May bytes still be sent to the pod? */
static bool may_send_to_pod(const struct relay *r)
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
    if (!may_send_to_pod(r))
        bufq_clear(&r->client->in);
    if (r->pod->end.verdict == V_CLEAN)
        stream_shutdown(r->client);
    if (!stream_unsent(r->client) && !r->expired && !may_send_to_pod(r))
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
    bool send_up = may_send_to_pod(r) && !r->hold_up;
    size_t up = send_up ? bufq_move(&r->pod->out, &r->client->in) : 0;
    r->pod->paused = r->client->stuck;
    r->client->paused = r->pod->stuck && may_send_to_pod(r);
    r->down += down;
    r->up += up;
    if (down && !r->expired)
        timer_stop(&r->grace);

    if (ended(r->pod))
        end_client(r);
    if (ended(r->client) && may_send_to_pod(r))
        end_pod(r);
    stream_update(r->client);
    stream_update(r->pod);
}

bool relay_done(const struct relay *r)
{
    if (r->client->broken || r->expired >= 2)
        return true;
    if (!ended(r->pod) || stream_unsent(r->client))
        return false;
    if (r->pod->end.verdict != V_CLEAN)
        return true;
    if (may_send_to_pod(r))
        return ended(r->client) && !stream_unsent(r->pod);
    return r->client->in_eof || r->expired;
}

bool relay_clean(const struct relay *r)
{
    return !r->client->broken && r->pod->end.verdict == V_CLEAN && !r->pod->broken;
}
