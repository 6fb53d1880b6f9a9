#include "tunnel_rules.h"

#include "tunnel/coalesce.h"
#include "tunnel/placing.h"
#include "tunnel/pods.h"

void must(bool holds, const char *rule)
{
    if (!holds)
        fail_msg("it must hold that %s", rule);
}

/* ---- of a tunnel ---- */

static struct sums {
    size_t tunnels, dialling, kept;
} sums; /* over all pods */

static int count_pairs(const struct tunnel *t)
{
    int n = 0;
    list_for_each (p, &t->mux.pairs, struct pair, in_owner)
        n++;
    return n;
}

/* The bytes that are counted towards SHARE_ALL_LIMIT are the bytes that are held. */
static void check_kept(const struct pair *p)
{
    sums.kept += p->counted;
    must(!p->kept_in_all || p->counted == p->stream.in.len,
         "what is kept for a slow reader is counted");
}

/* The counters of pairs; a pair that its user has closed only waits for its verdict. */
static void check_pairs(const struct tunnel *t)
{
    list_for_each (p, &t->mux.pairs, struct pair, in_owner) {
        check_kept(p);
        must(rig_tunnel_of(&p->stream) == t, "a pair knows its tunnel");
        must(!p->closed || !p->lent, "a pair that was closed is not lent");
    }
}

/* Pairs that their users closed are few, and take no slot from pairs in use. */
static void check_left(const struct tunnel *t)
{
    uint32_t left = 0;

    list_for_each (p, &t->mux.closing, struct pair, in_owner) {
        left++;
        check_kept(p);
        must(p->closed && p->closing && !p->lent, "who waits for its verdict was left");
        must(bufq_empty(&p->stream.in), "nothing is kept for who has left");
    }
    must(left == t->mux.closing_count, "a tunnel knows how many it waits for");
}

/* With one slot more two pairs would share a worker; with one less a worker would be
 * unused. */
static void check_slots(const struct tunnel *t)
{
    int busy = 0;

    for (size_t i = 0; i < WORKERS; i++)
        busy += t->mux.slots.state[i] == SLOT_BUSY;
    must(busy == count_pairs(t), "a slot is busy while a pair lives there");
}

/* An own tunnel is braked by TCP because of its pair; and an idle pair may be lent at any
 * time. */
static void check_own(const struct tunnel *t)
{
    int connections = 0;

    list_for_each (p, &t->mux.pairs, struct pair, in_owner)
        connections += !p->closed;
    must(t->mux.share || connections <= 1, "an own tunnel carries one at a time");
}

static bool is_in_use(const struct pair *p)
{
    return p->lent && p->stream.end.verdict == V_OPEN;
}

/* A refused connection may block its worker. */
static void check_proving(const struct tunnel *t)
{
    uint32_t in_use = 0, proving = 0;

    list_for_each (p, &t->mux.pairs, struct pair, in_owner) {
        in_use += is_in_use(p);
        proving += is_in_use(p) && p->proves && !p->answered;
    }
    must(!proving || in_use == 1,
         "the first connection to a port is beside no other until its answer comes");
}

/* Every wait has a timer. */
static void check_clocks(const struct tunnel *t)
{
    must(t->mux.liveness.due.at, "an open tunnel will have to show that it is alive");
    must(!t->mux.probe.first || t->mux.probe.deadline.at, "a probe has a deadline");
    must(!t->mux.share || !t->mux.share->stalled_id || t->mux.share->stall.at,
         "no pair waits for a slow reader for ever");
}

/* No pair is added to a tunnel that is not read, and it is read again when those bytes
 * are taken. */
static void check_stand(const struct tunnel *t)
{
    bool bytes_wait = frame_is_waiting(&t->mux.reader, &t->mux.transport->in);

    must(!t->mux.share || !t->mux.share->blocked || bytes_wait,
         "a tunnel stands before bytes");
}

/* Otherwise nothing would close a retired tunnel. */
static void check_retired(const struct tunnel *t)
{
    must(!t->mux.retired || !list_empty(&t->mux.pairs) || !mux_has_delivered(&t->mux),
         "a retired tunnel goes with its last pair");
}

static void check_tunnel(const struct tunnel *t)
{
    must(t->state != TUNNEL_CLOSED, "a closed tunnel is taken away");
    check_pairs(t);
    check_left(t);
    if (t->state != TUNNEL_OPEN)
        return;
    check_slots(t);
    check_own(t);
    check_proving(t);
    check_clocks(t);
    check_stand(t);
    check_retired(t);
}

/* ---- of a pod ---- */

/* Counts again what a pod's counters have. */
static struct tunnel_counts count_tunnels(const struct pod_tunnels *p)
{
    struct tunnel_counts n = { 0 };

    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        bool open = t->state == TUNNEL_OPEN;
        uint32_t carries = mux_capacity(&t->mux);
        n.all++;
        n.own += !t->mux.share;
        n.dialling += !open;
        n.coming += !open ? carries : 0;
        n.coming_own += !open && !t->mux.share;
        n.open += open && !t->mux.retired ? carries : 0;
    }
    return n;
}

static struct usage count_usage(const struct pod_tunnels *p)
{
    struct usage n = { 0 };

    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        list_for_each (pair, &t->mux.pairs, struct pair, in_owner)
            n.lent += pair->lent, n.lent_alone += pair->lent && pair->alone;
    list_for_each (o, &p->waiting, struct opening, waiting)
        n.waiters++, n.waiting_alone += o->alone;
    return n;
}

static void check_counts(const struct pod_tunnels *p)
{
    const struct tunnel_counts *counts = &p->counts;
    struct tunnel_counts n = count_tunnels(p);

    must(counts->all == n.all, "a pod counts its tunnels");
    must(counts->own == n.own, "a pod counts those that carry one each");
    must(counts->dialling == n.dialling, "a pod counts its dials");
    must(counts->coming == n.coming, "a pod counts what these will carry");
    must(counts->open == n.open, "a pod counts what the open ones can carry");
    must(counts->coming_own == n.coming_own, "a pod counts its dials for one connection");
    sums.tunnels += n.all;
    sums.dialling += n.dialling;
}

static void check_usage(const struct pod_tunnels *p)
{
    struct usage n = count_usage(p);

    must(p->usage.lent == n.lent, "a pod counts the connections in use");
    must(p->usage.waiters == n.waiters, "a pod counts the openings that wait");
    must(p->usage.lent_alone == n.lent_alone,
         "a pod counts the connections that are alone");
    must(p->usage.waiting_alone == n.waiting_alone,
         "a pod counts openings that want that");
}

/* For waiting openings there is a dial, or a limit prevents one; when that ends, they are
 * handled. */
static void check_waits_can_end(const struct pod_tunnels *p)
{
    const struct tunnels *ts = p->owner;
    bool node_is_busy =
        p->node->dials >= ts->settings.dials_max && !list_empty(&p->lacking);

    must(!p->usage.waiters || p->counts.coming || node_is_busy ||
             p->counts.all >= ts->settings.tunnels_max,
         "who waits has something to wait for");
}

static bool could_serve(const struct tunnel *t, bool may_own, bool alone)
{
    if (may_own && alone)
        return mux_may_end_sharing(&t->mux) ||
               (!t->mux.share && mux_is_available(&t->mux));
    return mux_is_available(&t->mux) || (!may_own && mux_is_joinable(&t->mux));
}

/* The first opening to a port does not share a tunnel while more tunnels are
 * permitted. */
static bool has_to_be_first(const struct pod_tunnels *p, const struct opening *o)
{
    return !o->alone && !ports_know(&p->usage.ports, o->port) &&
           p->counts.all < p->owner->settings.tunnels_max;
}

/* An opening may wait while a dial is made for it. */
static void check_no_opening_waits_in_vain(const struct pod_tunnels *p)
{
    list_for_each (o, &p->waiting, struct opening, waiting)
        list_for_each (t, &p->tunnels, struct tunnel, in_pod)
            must(p->counts.coming || !could_serve(t,
                                                  placing_may_own_more(p, o->alone) ||
                                                      has_to_be_first(p, o),
                                                  o->alone),
                 "no opening waits beside a tunnel with room");
}

/* A small opening does not wait for a dial while any slot is free. */
static void check_small_waits_for_no_slot(struct pod_tunnels *p)
{
    list_for_each (o, &p->waiting, struct opening, waiting)
        must(!o->small || !coalesce_applies(p) || !placing_has_room(p, o->port),
             "nothing small waits while there is a worker slot for it");
}

static void check_pod(struct pod_tunnels *p)
{
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        check_tunnel(t);
    check_counts(p);
    check_usage(p);
    check_waits_can_end(p);
    check_no_opening_waits_in_vain(p);
    check_small_waits_for_no_slot(p);
}

size_t rules_check(void)
{
    sums = (struct sums){ 0 };
    pods_each(rig.tunnels, check_pod);
    must(sums.tunnels == rig.tunnels->live, "all tunnels are counted");
    must(sums.dialling == rig.tunnels->dialling, "all dials are counted");
    return sums.kept;
}

/* ---- of a connection ---- */

/* A slow reader is not reset.  Only a lost tunnel breaks its stream, because nothing can
 * be sent any more. */
void rules_check_stream(const struct stream *s)
{
    bool in_tunnel = rig_tunnel_of(s) != NULL;

    must(s->in_eof == (s->end.verdict != V_OPEN), "an end has a verdict");
    must(!s->broken || s->end.verdict != V_OPEN, "a broken stream has ended");
    must(!s->broken || s->end.verdict != V_CLEAN || !in_tunnel,
         "a clean end stays clean");
}
