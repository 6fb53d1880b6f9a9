#include "tunnel/coalesce.h"

#include <assert.h>

LOG_MODULE(tunnel);

bool coalesce_applies(const struct pod_tunnels *p)
{
    return p->owner->settings.coalesce && usage_is_small(&p->usage);
}

/* Are there more own tunnels than small exchanges need, and is this one of them? */
static bool is_surplus(const struct pod_tunnels *p, const struct tunnel *t)
{
    return !tunnel_is_shared(t) && !t->mux.retired && coalesce_applies(p) &&
           p->counts.own > p->owner->settings.own_brief_max;
}

static bool has_room_to_share(const struct pod_tunnels *p)
{
    uint32_t room = 0;
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        if (tunnel_is_good(t) && tunnel_is_shared(t) &&
            !share_is_saturated(t->mux.share) && !share_has_stuck_worker(t->mux.share))
            room += mux_capacity(&t->mux);
    return room >= p->usage.demand.peak;
}

bool coalesce_is_redundant(const struct pod_tunnels *p, const struct tunnel *t)
{
    return is_surplus(p, t) && has_room_to_share(p);
}

static void begin_sharing(struct pod_tunnels *p, struct tunnel *t)
{
    p->counts.open -= mux_capacity(&t->mux);
    mux_begin_sharing(&t->mux);
    p->counts.open += mux_capacity(&t->mux);
    p->counts.own--;
    log_debug(t->id, "tunnel is now shared", LOG_S("pod", p->label));
}

void coalesce_convert(struct pod_tunnels *p, struct tunnel *t)
{
    if (!is_surplus(p, t) || !mux_is_quiet(&t->mux) || has_room_to_share(p) ||
        !mux_may_begin_sharing(&t->mux))
        return;
    assert(!mux_in_use(&t->mux));
    begin_sharing(p, t);
}

bool coalesce_may_join(const struct pod_tunnels *p, const struct tunnel *t)
{
    return !tunnel_is_shared(t) && coalesce_applies(p) && mux_takes_pairs(&t->mux) &&
           mux_may_begin_sharing(&t->mux);
}

void coalesce_make_shared(struct pod_tunnels *p, struct tunnel *t)
{
    assert(coalesce_may_join(p, t));
    begin_sharing(p, t);
}

void coalesce_make_own(struct pod_tunnels *p, struct tunnel *t)
{
    p->counts.open -= mux_capacity(&t->mux);
    mux_end_sharing(&t->mux);
    p->counts.open += mux_capacity(&t->mux);
    p->counts.own++;
    log_debug(t->id, "tunnel is now an own tunnel", LOG_S("pod", p->label));
}
