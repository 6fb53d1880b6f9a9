#include "tunnel/placing.h"

#include "tunnel/coalesce.h"

static struct tunnel *find_available(struct pod_tunnels *p, bool shared_only)
{
    list_for_each (t, &p->with_room, struct tunnel, in_room)
        if ((tunnel_is_shared(t) || !shared_only) && mux_is_available(&t->mux))
            return t;
    return NULL;
}

static struct tunnel *find_joinable(struct pod_tunnels *p)
{
    list_for_each (t, &p->with_room, struct tunnel, in_room)
        if (mux_is_joinable(&t->mux))
            return t;
    return NULL;
}

static struct tunnel *find_own(struct pod_tunnels *p)
{
    list_for_each (t, &p->with_room, struct tunnel, in_room)
        if (!tunnel_is_shared(t) && mux_is_available(&t->mux))
            return t;
    return NULL;
}

static struct tunnel *find_to_join(struct pod_tunnels *p)
{
    list_for_each (t, &p->with_room, struct tunnel, in_room)
        if (coalesce_may_join(p, t))
            return t;
    return NULL;
}

static struct tunnel *find_to_separate(struct pod_tunnels *p)
{
    list_for_each (t, &p->with_room, struct tunnel, in_room) {
        if (!mux_may_end_sharing(&t->mux))
            continue;
        coalesce_make_own(p, t);
        return t;
    }
    return NULL;
}

static uint32_t room_for_own(const struct pod_tunnels *p, uint32_t own_max)
{
    uint32_t tunnels_max = p->owner->settings.tunnels_max;
    uint32_t all = p->counts.all < tunnels_max ? tunnels_max - p->counts.all : 0;
    uint32_t own = p->counts.own < own_max ? own_max - p->counts.own : 0;
    return all < own ? all : own;
}

bool placing_may_own_more(const struct pod_tunnels *p, bool alone)
{
    const struct tunnel_settings *s = &p->owner->settings;
    bool large = s->coalesce && !coalesce_applies(p);
    return room_for_own(p, alone || large ? s->own_max : s->own_brief_max) > 0;
}

/* Are own tunnels reserved for openings that want to be alone?  True if more of those wait than
 * own tunnels are being dialled, and the other openings can get a shared one. */
static bool reserves_own_tunnels(const struct pod_tunnels *p)
{
    const struct tunnel_settings *s = &p->owner->settings;

    if (p->usage.waiting_alone <= p->counts.coming_own)
        return false;
    if (p->counts.coming > p->counts.coming_own)
        return true;
    return room_for_own(p, s->own_max) == 0 && p->counts.all < s->tunnels_max;
}

/* An own tunnel, or NULL to wait for its dial, while there may be more of them; otherwise any
 * tunnel with room. */
static struct tunnel *find_alone(struct pod_tunnels *p, enum claim claim)
{
    bool may_own = placing_may_own_more(p, true);
    struct tunnel *t = find_own(p);

    if (!t && p->counts.own < p->owner->settings.own_max)
        t = find_to_separate(p);
    if (t || may_own || claim == CLAIM_DIALLED)
        return t;
    t = find_available(p, true);
    return t ? t : find_joinable(p);
}

/* A free tunnel while there may be more own tunnels; otherwise it joins a shared one with other
 * pairs rather than take an empty one: frames that travel together cost the cluster less, and
 * the empty one stays free for the next opening. */
static struct tunnel *find_any(struct pod_tunnels *p)
{
    bool may_own = placing_may_own_more(p, false);
    struct tunnel *t = may_own ? NULL : find_joinable(p);

    return t ? t : find_available(p, reserves_own_tunnels(p));
}

/* An own tunnel that would have to be shared is the last choice. */
static struct tunnel *find_small(struct pod_tunnels *p)
{
    struct tunnel *t = find_joinable(p);

    if (!t)
        t = find_available(p, reserves_own_tunnels(p));
    if (t || reserves_own_tunnels(p))
        return t;
    t = find_to_join(p);
    if (t)
        coalesce_make_shared(p, t);
    return t;
}

static struct tunnel *find_proving(struct pod_tunnels *p)
{
    struct tunnel *t = find_available(p, reserves_own_tunnels(p));
    bool none_will_come = p->counts.all >= p->owner->settings.tunnels_max;

    return t || !none_will_come ? t : find_joinable(p);
}

struct tunnel *placing_find(struct pod_tunnels *p, enum claim claim)
{
    switch (claim) {
    case CLAIM_SMALL:
        return find_small(p);
    case CLAIM_ANY:
        return find_any(p);
    case CLAIM_PROVING:
        return find_proving(p);
    case CLAIM_OWN:
    case CLAIM_DIALLED:
        break;
    }
    return find_alone(p, claim);
}

enum claim placing_claim(const struct pod_tunnels *p, const struct opening *o,
                         uint32_t own_dials)
{
    if (o->alone)
        return own_dials ? CLAIM_DIALLED : CLAIM_OWN;
    if (!ports_know(&p->usage.ports, o->port))
        return CLAIM_PROVING;
    return o->small && coalesce_applies(p) ? CLAIM_SMALL : CLAIM_ANY;
}

bool placing_has_room(struct pod_tunnels *p, uint16_t port)
{
    if (find_available(p, reserves_own_tunnels(p)))
        return true;
    if (!ports_know(&p->usage.ports, port))
        return false;
    return find_joinable(p) || (!reserves_own_tunnels(p) && find_to_join(p));
}
