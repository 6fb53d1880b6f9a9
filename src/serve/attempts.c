/* serve/attempts.c - the leases of one request or raw connection, one after the other */
#include "serve/attempts.h"

#include "base/own.h"
#include "catalog/service.h"
#include "serve/policy.h"
#include "serve/routed_lease.h"
#include "serve/serve_state.h"

#define UNDELIVERED_ATTEMPTS_MAX 5 /* of what was certainly not delivered */
#define LOST_ATTEMPTS_MAX                                                                \
    8 /* tunnels to a node that fails are lost one after the other */

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
    want->avoid = a->avoid;
    want->attempt = a->count++;
    want->wait_until = now + (wait_ms > a->waited_ms ? wait_ms - a->waited_ms : 0);
    a->leased_at = now;
    routed_lease(s, want, &a->lease, wake);
}

void attempts_adopt(struct attempts *a, struct attempts *from, struct str client,
                    struct task *wake)
{
    if (!from->lease.private && !from->lease.result)
        return;
    upstream_lease_move(&from->lease, &a->lease, client, wake);
    a->adopted = true;
    a->count = from->count;
    a->leased_at = wake->sched->now;
}

bool attempts_must_lease_again(struct attempts *a, uint64_t now)
{
    a->waited_ms += now - a->leased_at;
    if (!routed_lease_was_replaced(&a->lease))
        return false;
    attempts_withdraw(a);
    return true;
}

void attempts_return(struct attempts *a, enum release_mode release)
{
    routed_lease_return(&a->lease, a->adopted ? RELEASE_CLOSE : release);
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
    routed_lease_return(&a->lease, RELEASE_ABORT);
}

void attempts_withdraw(struct attempts *a)
{
    routed_lease_return(&a->lease, RELEASE_ABORT);
    a->count--;
}

void attempts_clear(struct attempts *a)
{
    endpoint_unref(TAKE(a->avoid));
    a->count = a->deliveries = 0;
    a->waited_ms = 0;
}

bool attempts_may_have_delivered(enum verdict verdict)
{
    return verdict != V_REFUSED && verdict != V_UNPROCESSED && verdict != V_TARGET_GONE;
}

bool attempts_may_repeat(const struct attempts *a, bool delivered, bool idempotent)
{
    if (delivered && !idempotent)
        return false;
    if (a->lease.stream->end.verdict == V_TRANSPORT_LOST) /* caused by neither end */
        return a->count < LOST_ATTEMPTS_MAX;
    if (delivered)
        return a->deliveries < DELIVERIES_MAX;
    return a->count < UNDELIVERED_ATTEMPTS_MAX;
}

bool attempts_reach_closed(const struct attempts *a, const struct config *config,
                           const struct name *name)
{
    const struct endpoint *e = a->lease.endpoint;

    if (e)
        return !policy_opens(config, str_of(e->ns));
    return name->kind != NAME_ADDRESS && !policy_opens(config, name->ns);
}
