#include "tunnel/coalesce.h"

#include <assert.h>

#include "base/log.h"
#include "tunnel/pod.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"

LOG_MODULE(tunnel);

bool coalesce_is_apt(const struct pod *p)
{
    return p->owner->settings.coalesce && p->small_run >= COALESCE_AFTER;
}

static bool is_large(const struct pair *p)
{
    return p->moved >= SHARE_SATURATED_BYTES;
}

void coalesce_on_moved(struct pair *p, size_t n)
{
    bool was_large = is_large(p);
    p->moved += n;
    if (is_large(p) && !was_large)
        p->tunnel->pod->small_run = 0;
}

void coalesce_on_end(struct pair *p)
{
    struct pod *pod = p->tunnel->pod;
    if (!is_large(p) && pod->small_run < COALESCE_AFTER)
        pod->small_run++;
}

/* One connection too few has this tunnel. */
static bool is_surplus(const struct tunnel *t)
{
    const struct pod *p = t->pod;
    return !t->share && !t->retired && coalesce_is_apt(p) &&
           p->own > p->owner->settings.own_brief_max;
}

static bool has_room_to_share(const struct pod *p)
{
    uint32_t room = 0;
    list_for_each (t, &p->tunnels, struct tunnel, in_pod)
        if (t->share && t->state == TUNNEL_OPEN && !t->retired &&
            !share_is_saturated(t) && !share_is_blind(t))
            room += tunnel_carries(t);
    return room >= p->demand.peak;
}

bool coalesce_leaves(const struct tunnel *t)
{
    return is_surplus(t) && has_room_to_share(t->pod);
}

static void begin_sharing(struct tunnel *t)
{
    t->pod->open -= tunnel_carries(t);
    share_begin(t);
    t->pod->open += tunnel_carries(t);
    t->pod->own--;
    log_debug(t->id, "tunnel is now shared", LOG_S("pod", t->pod->label));
}

void coalesce_convert(struct tunnel *t)
{
    bool quiet = t->unanswered == 0 && slots_are_good(t);
    if (!is_surplus(t) || !quiet || has_room_to_share(t->pod) || !share_may_begin(t))
        return;
    assert(!tunnel_in_use(t));
    begin_sharing(t);
}

bool coalesce_may_join(const struct tunnel *t)
{
    return !t->share && coalesce_is_apt(t->pod) && tunnel_takes_pairs(t) &&
           share_may_begin(t);
}

void coalesce_open_up(struct tunnel *t)
{
    assert(coalesce_may_join(t));
    begin_sharing(t);
}

/* Nothing of its past may concern the next user: no pair that was left, no PING that counts
 * for credit. */
bool coalesce_may_separate(const struct tunnel *t)
{
    return t->share && tunnel_available(t) && list_empty(&t->pairs) &&
           list_empty(&t->left) && t->unanswered == 0 && slots_are_good(t);
}

void coalesce_separate(struct tunnel *t)
{
    assert(coalesce_may_separate(t));
    t->pod->open -= tunnel_carries(t);
    share_destroy(TAKE(t->share));
    t->pod->open += tunnel_carries(t);
    t->pod->own++;
    log_debug(t->id, "tunnel is now an own tunnel", LOG_S("pod", t->pod->label));
}
