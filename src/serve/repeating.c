/* serve/repeating.c - may a request that failed be sent again? (decision 032) */
#include "serve/exchange.h"

#define UNDELIVERED_ATTEMPTS_MAX 5 /* of what was certainly not delivered */
#define LOST_ATTEMPTS_MAX 8        /* when a node's tunnels die, they do so one by one */

bool repeat_after_delivery(const struct exchange *x)
{
    enum verdict verdict = x->lease.stream->end.verdict;
    return x->sending.state != SENDING_HEAD && verdict != V_REFUSED &&
           verdict != V_TARGET_GONE;
}

static bool has_attempts_left(const struct exchange *x)
{
    if (x->lease.stream->end.verdict == V_TRANSPORT_LOST)
        return x->attempts <
               LOST_ATTEMPTS_MAX; /* not the pod's doing, nor the request's */
    if (repeat_after_delivery(x))
        return x->deliveries < DELIVERIES_MAX;
    return x->attempts < UNDELIVERED_ATTEMPTS_MAX;
}

/* Never delivered, or harmless when delivered twice; and all of it is at hand. */
bool repeat_is_allowed(const struct exchange *x)
{
    return x->sending.holding && has_attempts_left(x) &&
           (!repeat_after_delivery(x) || http1_idempotent(x->request.method));
}

const char *failure_reason(const struct stream *pod)
{
    switch (pod->end.verdict) {
    case V_OPEN:
        return "the container sent data before a request";
    case V_CLEAN:
        return "the container closed the connection without a response";
    case V_REFUSED:
        return diag_text(&pod->end.why, ERR_REFUSED);
    case V_TRANSPORT_LOST:
        return pod->end.why.text[0] ? pod->end.why.text : "the tunnel was lost";
    case V_TARGET_GONE:
        return pod->end.why.text[0] ? pod->end.why.text : "the pod is gone";
    default:
        return diag_text(&pod->end.why, ERR_RESET);
    }
}
