/* serve/attempts.c - the leases of one request or raw connection, one after the other */
#include "serve/attempts.h"

#include "base/own.h"
#include "catalog/service.h"
#include "route/route.h"
#include "serve/outside.h"
#include "serve/policy.h"
#include "serve/routed_lease.h"
#include "serve/serve_state.h"

#define UNDELIVERED_ATTEMPTS_MAX 5 /* of what was certainly not delivered */
#define LOST_ATTEMPTS_MAX                                                                \
    8 /* tunnels to a node that fails are lost one after the other */

static void end_lease(struct attempts *a, enum release_mode release)
{
    if (a->lease.outside)
        outside_lease_return(&a->lease, release);
    else
        routed_lease_return(&a->lease, release);
}

void attempts_lease(struct attempts *a, struct serve *s, struct want *want,
                    struct task *wake)
{
    uint64_t now = s->sched->now, wait_ms = s->config->wait_ms;
    if (want->wait_max_ms && want->wait_max_ms < wait_ms)
        wait_ms = want->wait_max_ms;

    if (a->adopted) {
        a->adopted = false;
        return;
    }
    if (a->count == 0)
        a->repeat_until = now + wait_ms;
    want->avoid = a->avoid;
    want->attempt = a->count++;
    want->wait_until = now + (wait_ms > a->waited_ms ? wait_ms - a->waited_ms : 0);
    a->leased_at = now;
    a->outside |= want->route->name.kind == NAME_OUTSIDE;
    a->may_go_outside = !a->outside && want->route->outside;
    if (a->outside)
        outside_lease(s, want->route, &a->lease, wake);
    else
        routed_lease(s, want, &a->lease, wake);
}

void attempts_adopt(struct attempts *a, struct attempts *from, struct str client,
                    struct task *wake)
{
    if (!from->lease.private && !from->lease.outside && !from->lease.result)
        return;
    if (from->lease.outside)
        outside_lease_move(&from->lease, &a->lease, wake);
    else
        upstream_lease_move(&from->lease, &a->lease, client, wake);
    a->outside = from->outside;
    a->adopted = true;
    a->count = from->count;
    a->repeat_until = from->repeat_until;
    a->leased_at = wake->sched->now;
}

/* Without the right to look an address up it cannot be reached in the cluster either. */
static bool is_outside(struct attempts *a)
{
    enum err e = a->lease.result;

    a->outside = a->may_go_outside && (e == ERR_NOT_FOUND || e == ERR_FORBIDDEN);
    return a->outside;
}

bool attempts_must_lease_again(struct attempts *a, uint64_t now)
{
    a->waited_ms += now - a->leased_at;
    if (!routed_lease_was_replaced(&a->lease) && (a->outside || !is_outside(a)))
        return false;
    attempts_withdraw(a);
    return true;
}

void attempts_return(struct attempts *a, enum release_mode release)
{
    end_lease(a, a->adopted ? RELEASE_CLOSE : release);
    a->adopted = false;
}

/* A connection that was used before may just have been closed: nothing is known against the
 * pod. */
void attempts_fail(struct attempts *a)
{
    if (!a->lease.reused && a->lease.endpoint) {
        endpoint_unref(a->avoid);
        a->avoid = endpoint_ref(a->lease.endpoint);
    }
    end_lease(a, RELEASE_ABORT);
}

void attempts_withdraw(struct attempts *a)
{
    end_lease(a, RELEASE_ABORT);
    a->count--;
}

void attempts_clear(struct attempts *a)
{
    endpoint_unref(TAKE(a->avoid));
    a->count = a->deliveries = a->in_http2 = 0;
    a->outside = a->may_go_outside = false;
    a->waited_ms = a->repeat_until = 0;
}

bool attempts_may_have_delivered(enum verdict verdict)
{
    return verdict != V_REFUSED && verdict != V_UNPROCESSED && verdict != V_TARGET_GONE;
}

/* Its container has stopped: until it is restarted, or the cluster reports that the pod is not
 * ready, it is like a service without a ready pod.  A port that never answered is more likely
 * to be the wrong one. */
static bool is_restarting(const struct attempts *a, uint64_t now)
{
    const struct lease *lease = &a->lease;

    return lease->stream->end.verdict == V_REFUSED && lease->answered_lately &&
           now < a->repeat_until;
}

bool attempts_may_repeat(const struct attempts *a, bool delivered, bool idempotent,
                         uint64_t now)
{
    if (delivered && !idempotent)
        return false;
    if (a->lease.stream->end.verdict == V_TRANSPORT_LOST) /* caused by neither end */
        return a->count < LOST_ATTEMPTS_MAX;
    if (delivered)
        return a->deliveries < DELIVERIES_MAX;
    return a->count < UNDELIVERED_ATTEMPTS_MAX || is_restarting(a, now);
}

bool attempts_reach_closed(const struct attempts *a, const struct serve *s,
                           const struct name *name)
{
    const struct endpoint *e = a->lease.endpoint;

    if (e)
        return !policy_opens(s->config, str_of(e->ns));
    if (a->lease.outside)
        return !serve_leads_outside(s);
    return name->kind != NAME_ADDRESS && !policy_opens(s->config, name->ns);
}
