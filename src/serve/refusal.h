/* serve/refusal.h - why a request is refused: a cause and the facts that its page names
 *
 * What refuses a request names the cause and lends the facts.  The cause alone decides the
 * status.  The text is made last, when the page is written (serve/explain.h): nothing
 * depends on its words.
 */
#pragma once

#include "base/str.h"

struct lease;
struct name;
struct peer;
struct route;
struct stream;

/* Cause, its label in logs and in JSON, the status, and how the first line begins. */
#define CAUSES(X) /* clang-format off */ \
    /* the request as it was sent */ \
    X(HEAD_MALFORMED,      "malformed-head",      400, "Bad Request")                     \
    X(HEAD_TOO_LARGE,      "head-too-large",      431, "Request Header Fields Too Large") \
    X(HEAD_TIMEOUT,        "head-timeout",        408, "Request Timeout")                 \
    X(BODY_MALFORMED,      "malformed-body",      400, "Bad Request")                     \
    X(BODY_TIMEOUT,        "body-timeout",        408, "Request Timeout")                 \
    X(PROTOCOL,            "protocol",            400, "Bad Request")                     \
    X(TARGET_FORM,         "target-form",         400, "Bad Request")                     \
    X(CONNECT_FORM,        "connect-form",        400, "Bad Request")                     \
    X(CONNECT_EXPOSED,     "connect-exposed",     501, "Not Implemented")                 \
    X(HOST_INVALID,        "invalid-host",        400, "Invalid host")                    \
    X(HOST_OUTSIDE,        "outside-cluster",     502, "Bad Gateway")                     \
    X(OUTSIDE_PORT,        "outside-port",        403, "Forbidden")                       \
    /* limits */ \
    X(CLIENTS,             "too-many-clients",    503, "Service Unavailable")             \
    X(MEMORY,              "buffer-memory",       503, "Service Unavailable")             \
    X(HEAD_MEMORY,         "head-buffer-memory",  431, "Request Header Fields Too Large") \
    /* what is not allowed */ \
    X(USER,                "user",                403, "Forbidden")                       \
    X(PROXY_OFF,           "proxy-off",           403, "Forbidden")                       \
    X(PROXY_USER,          "proxy-user",          407, "Proxy Authentication Required")   \
    X(SHORT_NAME,          "short-name",          403, "Forbidden")                       \
    X(FOREIGN_ORIGIN,      "foreign-origin",      403, "Forbidden")                       \
    X(CROSS_SITE,          "cross-site",          403, "Forbidden")                       \
    X(FOREIGN_HOST,        "foreign-host",        403, "Forbidden")                       \
    X(HOST_OF_ADDRESS,     "host-of-address",     403, "Forbidden")                       \
    X(NAMESPACE_DENIED,    "namespace-denied",    403, "Forbidden")                       \
    X(NAMESPACE_UNLISTED,  "namespace-unlisted",  403, "Forbidden")                       \
    X(NAMESPACE_CLOSED,    "namespace-closed",    403, "Forbidden")                       \
    X(LOGIN,               "login",               503, "Login needed")                    \
    /* the cluster that a name belongs to */ \
    X(CONTEXT_UNKNOWN,     "unknown-context",     404, "Not Found")                       \
    X(CONTEXT_UNUSABLE,    "unusable-context",    502, "The context cannot be used")      \
    X(CREDENTIALS,         "credentials",         502, "No credentials for the cluster")  \
    /* looking a service up */ \
    X(LOOKUP_NOT_FOUND,    "not-found",           404, "Failed to get")                   \
    X(LOOKUP_PORT,         "no-such-port",        404, "Failed to get")                   \
    X(LOOKUP_LOOP,         "loop",                508, "Failed to get")                   \
    X(LOOKUP_FORBIDDEN,    "lookup-forbidden",    502, "Failed to get")                   \
    X(LOOKUP_UNAUTHORIZED, "lookup-unauthorized", 502, "Failed to get")                   \
    X(LOOKUP_TIMEOUT,      "lookup-timeout",      504, "Failed to get")                   \
    X(LOOKUP_THROTTLED,    "lookup-throttled",    503, "Failed to get")                   \
    X(LOOKUP_FAILED,       "lookup-failed",       502, "Failed to get")                   \
    X(NO_POD,              "no-pod",              503, "No running pod")                  \
    X(NOT_TCP,             "not-tcp",             501, "Cannot forward")                  \
    /* opening a connection to a pod */ \
    X(DIAL_UNAUTHORIZED,   "dial-unauthorized",   502, "Port-forward failed")             \
    X(DIAL_API_SERVER,     "dial-api-server",     502, "Port-forward failed")             \
    X(DIAL_NODE,           "dial-node",           502, "Port-forward failed")             \
    X(DIAL_TIMEOUT,        "dial-timeout",        504, "Port-forward failed")             \
    X(DIAL_THROTTLED,      "dial-throttled",      503, "Port-forward failed")             \
    X(DIAL_FAILED,         "dial-failed",         502, "Port-forward failed")             \
    X(DIAL_DIRECT,         "dial-direct",         502, "Direct connection failed")        \
    /* a host outside the cluster */ \
    X(OUTSIDE_ADDRESS,     "outside-address",     403, "Forbidden")                       \
    X(OUTSIDE_TIMEOUT,     "outside-timeout",     504, "Gateway Timeout")                 \
    X(OUTSIDE_FAILED,      "outside-failed",      502, "Bad Gateway")                     \
    /* TLS with a service */ \
    X(TLS_CERTIFICATE,     "tls-certificate",     502, "Certificate not accepted")        \
    X(TLS_FAILED,          "tls-failed",          502, "TLS failed")                      \
    X(TLS_TIMEOUT,         "tls-timeout",         504, "TLS failed")                      \
    /* the pod's response */ \
    X(POD_VERSION,         "pod-version",         502, "Port-forward failed")             \
    X(POD_REFUSED,         "pod-refused",         502, "Port-forward failed")             \
    X(POD_NO_RESPONSE,     "pod-no-response",     502, "Port-forward failed")             \
    X(POD_TIMEOUT,         "pod-timeout",         504, "Port-forward failed")             \
    X(POD_NOT_HTTP1,       "pod-not-http1",       502, "Port-forward failed")             \
    X(POD_NOT_SWITCHED,    "pod-not-switched",    502, "Port-forward failed")             \
    X(POD_SPEAKS_TLS,      "pod-speaks-tls",      502, "Port-forward failed")             \
    X(POD_SPEAKS_HTTP2,    "pod-speaks-http2",    502, "Port-forward failed")
/* clang-format on */

enum cause {
#define X(NAME, label, status, title) CAUSE_##NAME,
    CAUSES(X)
#undef X
};

const char *cause_label(enum cause cause);
int cause_status(enum cause cause);
const char *cause_title(enum cause cause);

/* Everything is borrowed until the page is written, but `why` and `link`.  Beside each
 * fact are the causes that have it; the rest is zeroed. */
struct refusal {
    enum cause cause;
    /* Of the request: the host (HOST_INVALID, HOST_OUTSIDE, OUTSIDE_*, FOREIGN_HOST, HOST_OF_ADDRESS), the page that sent it
     * (FOREIGN_ORIGIN, CROSS_SITE), the namespace (NAMESPACE_*), the target (SHORT_NAME);
     * also the host (POD_*). */
    struct str subject;
    /* What is wrong with it, as a phrase: HEAD_*, BODY_MALFORMED, HOST_INVALID, POD_*. */
    const char *problem;
    const struct name
        *name;        /* of the service: SHORT_NAME, FOREIGN_HOST, HOST_OF_ADDRESS */
    const char *zone; /* the cluster's domain: SHORT_NAME, HOST_INVALID */
    uint16_t port; /* of the listener: SHORT_NAME, POD_*; of the request: OUTSIDE_PORT */
    const struct lease *lease; /* from CONTEXT_UNKNOWN on */
    const struct route *route; /* likewise, but for POD_* */
    const struct peer *peer;   /* USER */
    const char *flag;          /* that allows it ("--clients ..."): USER */
    struct diag why;           /* LOGIN: of the plugin */
    char link[128];            /* LOGIN: of the page with the button */
};

/* The head could not be read: `result` is ERR_PROTO or ERR_LIMIT. */
void refusal_of_head(enum err result, const char *problem, struct refusal *ret);
/* A lease failed: its result is neither OK nor ERR_AGAIN. */
void refusal_of_lease(const struct lease *lease, const struct route *route,
                      struct refusal *ret);
/* The stream of a lease ended without a response, or has none that can be passed on: the
 * cause is one of POD_*. */
void refusal_of_stream(const struct lease *lease, enum cause cause, const char *problem,
                       struct refusal *ret);
/* Why the stream to a pod ended before a response, as a phrase. */
const char *refusal_stream_problem(const struct stream *pod);
