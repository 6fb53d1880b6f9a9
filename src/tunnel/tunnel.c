/* tunnel/tunnel.c - one tunnel to a pod, from its dial to its end
 *
 * THEORY OF OPERATION
 *
 *   pairs: one forwarded              mux                      transport
 *   connection each
 *   stream ─ out ─▶ ┐  flush.c, once a turn (RANK_FLUSH)
 *   stream ─ out ─▶ ┴─────────▶ SPDY frames ─▶ transport->out ─▶ TLS ─▶ API server ─▶
 *   stream ◀─ in ── ┐                                             kubelet ─▶ runtime
 *   stream ◀─ in ── ┴───────── SPDY frames ◀─ transport->in ◀─ TLS ◀─
 *                      receive.c, as bytes come (RANK_READ)
 *
 * The peer is moby/spdystream in the container runtime on the pod's node; the API server
 * and the kubelet only copy bytes.  It has no flow control.  It has five frame workers: a
 * stream belongs to the worker `id mod 5` (its worker slot), and a worker whose consumer
 * does not read stops for ever, with everything behind it.  Hence these rules:
 *
 * - A connection is opened without waiting: the SYN_STREAMs of its error and data stream
 *   and the first bytes leave together.  Ids are (a, a + 10), so that both streams of a
 *   pair have the same slot, and a stuck worker blocks one pair.
 * - Only the error stream reports how a connection ended (pair.c).  A failed connection does
 *   not end its tunnel.
 * - Never a DATA frame after the far end's FIN: the second one stops the worker.
 * - A slot is used again only when our FIN was sent and five PINGs after it, which the
 *   runtime gives to its five workers in turn, were answered (probe.h).  Then its worker has
 *   taken everything that was sent to it.  This does not wait for the verdict, which the
 *   runtime sends a second after our FIN.  So a tunnel, also an own one, gets new pairs while
 *   closed pairs (`closing`, at most CLOSING_MAX) still wait for their verdicts.  Bytes
 *   received for those are dropped; if they are many, the tunnel retires.
 * - A verdict that is not clean and comes before the probe's replies makes the slot dead: a
 *   worker with data for a refused port may never run again.  After the replies it has no
 *   effect on the tunnel: worker_slots.h records whether the slot is still that pair's.
 * - Each probe costs a round trip through API server and kubelet, so one serves several slots
 *   and is sent late: on an own tunnel when one free slot is left, on a shared one
 *   PROBE_GATHER_MS after a pair was closed, or when an opening waits.
 * - Slots that are not proven or are dead get no new pairs; a tunnel without other slots
 *   retires.  It closes when no user has a connection on it and a probe or the verdicts have
 *   proven that the runtime took everything.
 * - On an own tunnel TCP limits the pair, in both directions.  On a shared one TCP would stop
 *   all pairs: share.h describes how each is limited.
 * - A tunnel counts as dead after silence only while a reply could arrive (liveness.h).
 *
 * Ownership: a pod owns its tunnels; a tunnel owns the dial and the mux, the mux owns the
 * transport and the pairs; a pair's stream belongs to its user and is ended by stream_close
 * or stream_abort.  When the tunnel is closed first, its pairs end with V_TRANSPORT_LOST and
 * stay with their users until those close them.  Each part reports to its owner through a
 * table of operations.
 *
 * What it cannot do: distinguish a slow pod from a stuck one early (there is no flow-control
 * window), detect that a node has failed during an upload before the API server does (PINGs
 * wait behind the data), detect that a connection was accepted (there is no such signal), or
 * pass on a client's half-close without the runtime truncating the response a second later.
 */
#include "tunnel/tunnel.h"

#include <assert.h>

#include "base/own.h"
#include "net/loop.h"
#include "wire/spdy.h"

LOG_MODULE(tunnel);

static uint64_t tunnel_now(const struct tunnel *t)
{
    return t->step.sched->now;
}

static struct tunnel *tunnel_of_mux(struct mux_owner *owner)
{
    return container_of(owner, struct tunnel, mux_owner);
}

static void release(struct tunnel *t)
{
    const char *why = diag_text(&t->error.why, t->error.code);

    if (t->opened_at)
        log_info(t->id, "tunnel closed", LOG_S("pod", t->owner->target.label),
                 LOG_S("reason", why), LOG_U("connections", t->mux.carried),
                 LOG_U("ms", tunnel_now(t) - t->opened_at));
    dial_finish(&t->dial);
    mux_close(&t->mux, why);
}

/* The owner may destroy the tunnel in its `closed` callback. */
static void close_with(struct tunnel *t, const struct api_error *error)
{
    log_debug(t->id, "state", LOG_S("to", "closed"));
    t->state = TUNNEL_CLOSED;
    t->error = *error;
    release(t);
    t->owner->ops->closed(t->owner, t);
}

void tunnel_close(struct tunnel *t, enum err e, const char *why)
{
    struct api_error error = { .code = e };

    if (t->state == TUNNEL_CLOSED)
        return;
    diag_set(&error.why, e, "%s", why);
    close_with(t, &error);
}

static void open_mux(struct tunnel *t)
{
    const struct tunnel_settings *s = t->origin->settings;
    struct stream *wire;
    bool outdated;
    struct stream *transport = dial_take(&t->dial, &wire, &outdated);

    t->state = TUNNEL_OPEN;
    t->opened_at = tunnel_now(t);
    mux_open(&t->mux, transport, wire, s->ping_ms, s->ping_timeout_ms);
    /* A prewarmed tunnel counts as last used when its pod was. */
    t->mux.used_at = t->owner->usage->demand.last_opening_at;
    log_info(t->id, "tunnel opened", LOG_S("pod", t->owner->target.label),
             LOG_S("transport", transport_name(t->dial.transport)),
             LOG_U("ms", tunnel_now(t) - t->dial.started_at));
    t->owner->ops->opened(t->owner, t);
    if (outdated)
        mux_retire(&t->mux);
    task_wake(&t->step); /* frames may have been received with the upgrade response */
}

static void run_dial(struct tunnel *t)
{
    enum err e = dial_run(&t->dial);

    if (e == OK)
        open_mux(t);
    else if (e != ERR_AGAIN)
        close_with(t, &t->dial.error);
}

static bool is_worn_out(const struct tunnel *t)
{
    const struct tunnel_settings *s = t->origin->settings;
    const struct mux *m = &t->mux;

    return m->carried >= s->pairs_max || tunnel_now(t) - t->opened_at >= s->age_ms ||
           m->last_id > SPDY_ID_MAX - 64 || slots_count(&m->slots, SLOT_DEAD) == WORKERS;
}

static void run_mux(struct tunnel *t)
{
    struct diag why = { "" };
    enum err e = mux_read(&t->mux, &why);

    if (e) {
        tunnel_close(t, e, diag_text(&why, e));
        return;
    }
    if (!t->mux.retired && is_worn_out(t))
        mux_retire(&t->mux);
    if (!mux_advance(&t->mux)) {
        tunnel_close(t, ERR_CANCELLED, "retired");
        return;
    }
    t->owner->ops->changed(t->owner);
}

static void on_tunnel_step(struct task *task)
{
    struct tunnel *t = container_of(task, struct tunnel, step);

    if (t->state == TUNNEL_DIALLING)
        run_dial(t);
    else if (t->state == TUNNEL_OPEN)
        run_mux(t);
}

static void on_dial_deadline(struct timer *timer)
{
    struct tunnel *t = container_of(timer, struct tunnel, dial.deadline);

    dial_on_deadline(&t->dial);
    tunnel_close(t, ERR_TIMEOUT, "the API server did not open the port-forward in time");
}

static void on_mux_retired(struct mux_owner *owner)
{
    struct tunnel *t = tunnel_of_mux(owner);
    t->owner->ops->retired(t->owner, t);
}

static void on_mux_room_changed(struct mux_owner *owner)
{
    struct tunnel *t = tunnel_of_mux(owner);
    t->owner->ops->room_changed(t->owner, t);
}

static void on_mux_target_gone(struct mux_owner *owner)
{
    struct tunnel *t = tunnel_of_mux(owner);
    t->owner->ops->target_gone(t->owner);
}

static void on_mux_returned(struct mux_owner *owner)
{
    struct tunnel *t = tunnel_of_mux(owner);
    t->owner->ops->returned(t->owner, t);
}

static void on_mux_failed(struct mux_owner *owner, enum err e, const char *why)
{
    tunnel_close(tunnel_of_mux(owner), e, why);
}

static bool is_mux_reusable(const struct mux_owner *owner)
{
    const struct tunnel *t = container_of(owner, const struct tunnel, mux_owner);
    return t->owner->ops->is_reusable(t->owner, t);
}

static const struct mux_owner_ops mux_owner_ops = {
    .retired = on_mux_retired,
    .room_changed = on_mux_room_changed,
    .target_gone = on_mux_target_gone,
    .returned = on_mux_returned,
    .failed = on_mux_failed,
    .is_reusable = is_mux_reusable,
};

struct tunnel *tunnel_create(struct tunnel_origin *origin, struct tunnel_owner *owner,
                             struct log_id id, bool shared)
{
    struct tunnel *t = xcalloc(1, sizeof(*t));

    t->origin = origin;
    t->owner = owner;
    t->id = id;
    list_init(&t->in_pod);
    list_init(&t->in_room);
    task_init(&t->step, loop_sched(origin->loop), RANK_READ, on_tunnel_step);
    t->mux_owner = (struct mux_owner){ .ops = &mux_owner_ops,
                                       .read = &t->step,
                                       .usage = owner->usage,
                                       .kept_for_slow = &origin->kept_for_slow,
                                       .id = id,
                                       .pod = owner->target.label };
    mux_init(&t->mux, &t->mux_owner, origin->loop, shared);
    dial_init(&t->dial, origin, &owner->target, id, &t->step, on_dial_deadline);
    task_wake(&t->step);
    return t;
}

void tunnel_destroy(struct tunnel *t)
{
    if (!t)
        return;
    assert(t->state == TUNNEL_CLOSED);
    task_cancel(&t->step);
    mux_finish(&t->mux);
    list_remove(&t->in_pod);
    list_remove(&t->in_room);
    free(t);
}
