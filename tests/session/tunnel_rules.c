#include "tunnel_rules.h"

#include "tunnel/coalesce.h"
#include "tunnel/placing.h"
#include "tunnel/pod.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"

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
    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        n++;
    return n;
}

/* SHARE_ALL_LIMIT is worth what the counting is. */
static void check_kept(const struct pair *p)
{
    sums.kept += p->counted;
    must(!p->kept_in_all || p->counted == p->stream.in.len,
         "what is kept for a slow reader is counted");
}

/* Its user decides: a pair that is closed counts for its verdict only. */
static void check_pairs(const struct tunnel *t)
{
    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        check_kept(p);
        must(p->tunnel == t, "a pair knows its tunnel");
        must(!p->left || !p->lent, "nobody uses a pair that was left");
    }
}

/* They are few, and take no slot from pairs in use. */
static void check_left(const struct tunnel *t)
{
    uint32_t left = 0;

    list_for_each (p, &t->left, struct pair, in_tunnel) {
        left++;
        check_kept(p);
        must(p->left && p->parted && !p->lent, "who waits for its verdict was left");
        must(bufq_empty(&p->stream.in), "nothing is kept for who has left");
    }
    must(left == t->left_count, "a tunnel knows how many it waits for");
}

/* One more and two pairs would share a worker; one less and a worker would be lost. */
static void check_slots(const struct tunnel *t)
{
    int busy = 0;

    for (size_t i = 0; i < WORKERS; i++)
        busy += t->slots[i] == SLOT_BUSY;
    must(busy == count_pairs(t), "a slot is busy while a pair lives there");
}

/* TCP stops it because of that pair; and an idle pair may be lent at any time. */
static void check_own(const struct tunnel *t)
{
    int connections = 0;

    list_for_each (p, &t->pairs, struct pair, in_tunnel)
        connections += !p->left;
    must(t->share || connections <= 1, "an own tunnel carries one at a time");
}

static bool is_in_use(const struct pair *p)
{
    return p->lent && p->stream.end.verdict == V_OPEN;
}

/* A refused connection may cost its worker. */
static void check_proving(const struct tunnel *t)
{
    uint32_t in_use = 0, proving = 0;

    list_for_each (p, &t->pairs, struct pair, in_tunnel) {
        in_use += is_in_use(p);
        proving += is_in_use(p) && p->proves && !p->delivered;
    }
    must(!proving || in_use == 1,
         "the first connection to a port is beside no other until its answer comes");
}

/* What no clock ends is waited for until the world does. */
static void check_clocks(const struct tunnel *t)
{
    must(t->ping.at, "an open tunnel will have to show that it is alive");
    must(!t->probe_first || t->deadline.at, "a probe has a deadline");
    must(!t->share || !t->share->stalled_id || t->share->stall.at,
         "nobody waits for a slow reader for ever");
}

/* No pair is added meanwhile, and only those bytes end it. */
static void check_stand(const struct tunnel *t)
{
    bool bytes_wait = t->data_left && !bufq_empty(&t->transport->in);

    must(!t->share || !t->share->stands || bytes_wait, "a tunnel stands before bytes");
}

/* Nothing would ever close it. */
static void check_retired(const struct tunnel *t)
{
    must(!t->retired || !list_empty(&t->pairs) || !slots_have_delivered(t),
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

/* What a pod has counted step by step, counted anew. */
static struct pod count_tunnels(const struct pod *p)
{
    struct pod n = { 0 };

    list_for_each (t, &p->tunnels, struct tunnel, in_pod) {
        uint32_t carries = tunnel_carries(t);
        n.count++;
        n.own += !t->share;
        n.dialling += t->state != TUNNEL_OPEN;
        n.coming += t->state != TUNNEL_OPEN ? carries : 0;
        n.coming_own += t->state != TUNNEL_OPEN && !t->share;
        n.open += t->state == TUNNEL_OPEN && !t->retired ? carries : 0;
        list_for_each (pair, &t->pairs, struct pair, in_tunnel)
            n.lent += pair->lent, n.lent_alone += pair->lent && pair->alone;
    }
    list_for_each (o, &p->waiting, struct opening, waiting)
        n.waiters++, n.waiting_alone += o->alone;
    return n;
}

static void check_counts(const struct pod *p)
{
    struct pod n = count_tunnels(p);

    must(p->count == n.count, "a pod counts its tunnels");
    must(p->own == n.own, "a pod counts those that carry one each");
    must(p->dialling == n.dialling, "a pod counts its dials");
    must(p->coming == n.coming, "a pod counts what these will carry");
    must(p->open == n.open, "a pod counts what the open ones can carry");
    must(p->lent == n.lent, "a pod counts the connections in use");
    must(p->waiters == n.waiters, "a pod counts who waits");
    must(p->coming_own == n.coming_own, "a pod counts its dials for one connection");
    must(p->lent_alone == n.lent_alone, "a pod counts the connections that are alone");
    must(p->waiting_alone == n.waiting_alone, "a pod counts openings that want that");
    sums.tunnels += n.count;
    sums.dialling += n.dialling;
}

/* There is a dial under way, or a limit that keeps them from one; whatever ends then, looks
 * at them. */
static void check_hope(const struct pod *p)
{
    const struct tunnels *ts = p->owner;
    bool node_is_busy =
        p->node->dials >= ts->settings.dials_max && !list_empty(&p->lacking);

    must(!p->waiters || p->coming || node_is_busy || p->count >= ts->settings.tunnels_max,
         "who waits has something to wait for");
}

static bool could_serve(const struct tunnel *t, bool may_own, bool alone)
{
    if (may_own && alone)
        return coalesce_may_separate(t) || (!t->share && tunnel_available(t));
    return tunnel_available(t) || (!may_own && tunnel_joinable(t));
}

/* The first one to its port joins no other, while there may be more tunnels. */
static bool has_to_be_first(const struct pod *p, const struct opening *o)
{
    return !o->alone && !ports_know(&p->ports, o->port) &&
           p->count < p->owner->settings.tunnels_max;
}

/* With a dial under way they may: it is for them. */
static void check_nobody_waits_in_vain(const struct pod *p)
{
    list_for_each (o, &p->waiting, struct opening, waiting)
        list_for_each (t, &p->tunnels, struct tunnel, in_pod)
            must(p->coming ||
                     !could_serve(t,
                                  pod_may_own_more(p, o->alone) || has_to_be_first(p, o),
                                  o->alone),
                 "nobody waits beside a tunnel with room");
}

/* Not even for a dial: another slot is as good, and is there now. */
static void check_small_waits_for_no_slot(struct pod *p)
{
    list_for_each (o, &p->waiting, struct opening, waiting)
        must(!o->small || !coalesce_is_apt(p) || !placing_has_room(p, o->port),
             "nothing small waits while there is a worker slot for it");
}

static void check_pod(struct pod *p, uint64_t unused)
{
    (void)unused;
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        check_tunnel(t);
    check_counts(p);
    check_hope(p);
    check_nobody_waits_in_vain(p);
    check_small_waits_for_no_slot(p);
}

size_t rules_check(void)
{
    sums = (struct sums){ 0 };
    tunnels_each_pod(rig.tunnels, check_pod, 0);
    must(sums.tunnels == rig.tunnels->live, "all tunnels are counted");
    must(sums.dialling == rig.tunnels->dialling, "all dials are counted");
    return sums.kept;
}

/* ---- of a connection ---- */

/* A slow reader is not cut off.  A tunnel that is lost meanwhile breaks even
 * this: nothing can be sent any more. */
void rules_check_stream(const struct stream *s)
{
    bool in_tunnel = container_of(s, struct pair, stream)->tunnel;

    must(s->in_eof == (s->end.verdict != V_OPEN), "an end has a verdict");
    must(!s->broken || s->end.verdict != V_OPEN, "a broken stream has ended");
    must(!s->broken || s->end.verdict != V_CLEAN || !in_tunnel,
         "a clean end stays clean");
}
