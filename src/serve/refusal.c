/* serve/refusal.c - why a request is refused: a cause and the facts that its page names */
#include "serve/refusal.h"

#include "net/stream.h"
#include "route/route.h"
#include "upstream/lease.h"
#include "upstream/tls_failure.h"

static const struct {
    const char *label;
    int status;
    const char *title;
} causes[] = {
#define X(NAME, label, status, title) [CAUSE_##NAME] = { label, status, title },
    CAUSES(X)
#undef X
};

const char *cause_label(enum cause cause)
{
    return causes[cause].label;
}

int cause_status(enum cause cause)
{
    return causes[cause].status;
}

const char *cause_title(enum cause cause)
{
    return causes[cause].title;
}

void refusal_of_head(enum err result, const char *problem, struct refusal *ret)
{
    *ret = (struct refusal){
        .cause = result == ERR_LIMIT ? CAUSE_HEAD_TOO_LARGE : CAUSE_HEAD_MALFORMED,
        .problem = problem,
    };
}

static enum cause cause_of_lookup(enum err result)
{
    switch (result) {
    case ERR_NOT_FOUND:
        return CAUSE_LOOKUP_NOT_FOUND;
    case ERR_NO_PORT:
        return CAUSE_LOOKUP_PORT;
    case ERR_LOOP:
        return CAUSE_LOOKUP_LOOP;
    case ERR_FORBIDDEN:
        return CAUSE_LOOKUP_FORBIDDEN;
    case ERR_UNAUTHORIZED:
        return CAUSE_LOOKUP_UNAUTHORIZED;
    case ERR_TIMEOUT:
        return CAUSE_LOOKUP_TIMEOUT;
    case ERR_THROTTLED:
        return CAUSE_LOOKUP_THROTTLED;
    default:
        return CAUSE_LOOKUP_FAILED;
    }
}

/* The API server reports a kubelet that it cannot reach in this text only. */
static bool has_lost_node(const struct lease *lease)
{
    return strstr(lease->why.text, "error dialing backend") != NULL;
}

static enum cause cause_of_dial(const struct lease *lease)
{
    switch (lease->result) {
    case ERR_UNAUTHORIZED:
        return CAUSE_DIAL_UNAUTHORIZED;
    case ERR_TIMEOUT:
        return CAUSE_DIAL_TIMEOUT;
    case ERR_THROTTLED:
        return CAUSE_DIAL_THROTTLED;
    case ERR_CONNECT:
    case ERR_RESOLVE:
        return lease->direct ? CAUSE_DIAL_DIRECT : CAUSE_DIAL_API_SERVER;
    default:
        if (lease->direct)
            return CAUSE_DIAL_DIRECT;
        return has_lost_node(lease) ? CAUSE_DIAL_NODE : CAUSE_DIAL_FAILED;
    }
}

static enum cause cause_of_tls(const struct tls_failure *failure)
{
    switch (failure->fault) {
    case TLS_NO_FAULT:
        return CAUSE_TLS_TIMEOUT;
    case TLS_FAULT_CERTIFICATE:
        return CAUSE_TLS_CERTIFICATE;
    default:
        return CAUSE_TLS_FAILED;
    }
}

static enum cause cause_of_lease(const struct lease *lease)
{
    if (lease->tls_failure)
        return cause_of_tls(lease->tls_failure);
    switch (lease->result) {
    case ERR_NOT_CONFIGURED:
        return CAUSE_CONTEXT_UNKNOWN;
    case ERR_CONFIG:
        return CAUSE_CONTEXT_UNUSABLE;
    case ERR_CLOSED:
        return CAUSE_NAMESPACE_CLOSED;
    case ERR_UNAVAILABLE:
        return CAUSE_NO_POD;
    case ERR_UNSUPPORTED:
        return CAUSE_NOT_TCP;
    case ERR_CREDENTIALS:
        return CAUSE_CREDENTIALS;
    case ERR_VERSION:
        return CAUSE_POD_VERSION;
    default:
        return lease->dialling ? cause_of_dial(lease) : cause_of_lookup(lease->result);
    }
}

static enum cause cause_outside(enum err result)
{
    if (result == ERR_CLOSED)
        return CAUSE_OUTSIDE_ADDRESS;
    return result == ERR_TIMEOUT ? CAUSE_OUTSIDE_TIMEOUT : CAUSE_OUTSIDE_FAILED;
}

void refusal_of_lease(const struct lease *lease, const struct route *route,
                      struct refusal *ret)
{
    if (route->name.kind == NAME_ADDRESS && lease->result == ERR_NOT_FOUND) {
        *ret = (struct refusal){
            .cause = CAUSE_HOST_OUTSIDE,
            .subject = str_of(route->name.address),
            .problem = "no service or pod of the cluster has this address",
        };
        return;
    }
    *ret = (struct refusal){
        .cause = lease->outside ? cause_outside(lease->result) : cause_of_lease(lease),
        .lease = lease,
        .route = route,
    };
}

void refusal_of_stream(const struct lease *lease, enum cause cause, const char *problem,
                       struct refusal *ret)
{
    bool refused = lease->stream && lease->stream->end.verdict == V_REFUSED;

    if (lease->outside)
        cause = cause == CAUSE_POD_TIMEOUT ? CAUSE_OUTSIDE_TIMEOUT : CAUSE_OUTSIDE_FAILED;
    *ret = (struct refusal){
        .cause = cause == CAUSE_POD_NO_RESPONSE && refused ? CAUSE_POD_REFUSED : cause,
        .problem = problem,
        .lease = lease,
    };
}

const char *refusal_stream_problem(const struct stream *pod)
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
