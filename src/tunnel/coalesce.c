#include "tunnel/coalesce.h"

#include <assert.h>

LOG_MODULE(tunnel);

bool coalesce_is_apt(const struct pod_tunnels *p)
{
    return p->owner->settings.coalesce && usage_is_small(&p->usage);
}

/* There are more tunnels for one connection than small exchanges get: convert this one to a
 * shared one. */
static bool is_surplus(const struct pod_tunnels *p, const struct tunnel *t)
{
    return !tunnel_is_shared(t) && !t->mux.retired && coalesce_is_apt(p) &&
           p->counts.own > p->owner->settings.own_brief_max;
}

static bool has_room_to_share(const struct pod_tunnels *p)
{
    uint32_t room = 0;
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        if (tunnel_is_good(t) && tunnel_is_shared(t) &&
            !share_is_saturated(t->mux.share) && !share_is_blind(t->mux.share))
            room += mux_carries(&t->mux);
    return room >= p->usage.demand.peak;
}

bool coalesce_leaves(const struct pod_tunnels *p, const struct tunnel *t)
{
    return is_surplus(p, t) && has_room_to_share(p);
}

static void begin_sharing(struct pod_tunnels *p, struct tunnel *t)
{
    p->counts.open -= mux_carries(&t->mux);
    mux_begin_sharing(&t->mux);
    p->counts.open += mux_carries(&t->mux);
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
    return !tunnel_is_shared(t) && coalesce_is_apt(p) && mux_takes_pairs(&t->mux) &&
           mux_may_begin_sharing(&t->mux);
}

void coalesce_open_up(struct pod_tunnels *p, struct tunnel *t)
{
    assert(coalesce_may_join(p, t));
    begin_sharing(p, t);
}

void coalesce_separate(struct pod_tunnels *p, struct tunnel *t)
{
    p->counts.open -= mux_carries(&t->mux);
    mux_end_sharing(&t->mux);
    p->counts.open += mux_carries(&t->mux);
    p->counts.own++;
    log_debug(t->id, "tunnel is now an own tunnel", LOG_S("pod", p->label));
}
