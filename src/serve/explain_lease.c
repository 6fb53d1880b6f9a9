/* serve/explain_lease.c - make the text of a refusal that a lease or its stream has caused */
#include "serve/explain_lease.h"

#include <stdio.h>
#include <string.h>

#include "catalog/service.h"
#include "rights/role.h"
#include "route/name.h"
#include "route/route.h"
#include "serve/explain_tls.h"
#include "upstream/lease.h"

#define WORDS_SHOWN 800 /* bytes of what a plugin has written */

static const char renewed[] = "requests work again: no restart is needed.";

/* What the route names, as the original wrote it. */
struct object {
    const char *kind;
    struct str ns, name;
};

static struct object object_of(const struct refusal *r)
{
    const struct name *n = &r->route->name;

    if (n->kind == NAME_ADDRESS)
        return (struct object){ "address", STR("*"), str_of(n->address) };
    if (n->kind == NAME_POD)
        return (struct object){ "pod", n->ns, n->endpoint };
    if (n->kind == NAME_DEPLOYMENT)
        return (struct object){ "deployment", n->ns, n->service };
    return (struct object){ "service", n->ns, n->service };
}

static const char *why_of(const struct lease *lease)
{
    return diag_text(&lease->why, lease->result);
}

static const char *pod_ns(const struct lease *lease)
{
    return lease->endpoint ? lease->endpoint->ns : "?";
}

static const char *pod_name(const struct lease *lease)
{
    return lease->endpoint ? lease->endpoint->pod : "?";
}

/* What failed concerns one namespace, so a role in that one is enough. */
static void hint_grant(const struct lease *lease, struct str ns, struct explanation *ret)
{
    if (!lease->missing_verb || !lease->missing_resource)
        return;
    AUTO_FREE char *namespace = str_dup(ns);
    AUTO_FREE char *role = role_text(&(struct role){
        .level = ROLE_LOOKUP,
        .name = ROLE_NAME,
        .ns = namespace,
        .deployments = strcmp(lease->missing_resource, "deployments") == 0,
    });
    explanation_hint(
        ret,
        "The credentials lack the verb \"%s\" on \"%s\" in namespace %s. This "
        "role has what is needed there; kube-tunnel rbac --namespace %s --user "
        "NAME | kubectl apply -f - creates and binds it:\n\n%s",
        lease->missing_verb, lease->missing_resource, namespace, namespace, role);
}

void explain_access(enum err result, struct explanation *ret)
{
    if (result == ERR_UNAUTHORIZED) {
        explanation_detail(ret, "The API server does not accept the credentials (401).");
        explanation_hint(ret, "See whether they have expired: kubectl get namespaces");
    } else if (result == ERR_CREDENTIALS) {
        explanation_detail(ret, "kube-tunnel has no valid credentials for the cluster.");
        explanation_hint(ret,
                         "Once they are renewed (log in again with the tool that issues "
                         "them), %s",
                         renewed);
    }
}

static void explain_unauthorized(struct explanation *ret)
{
    explain_access(ERR_UNAUTHORIZED, ret);
    explanation_hint(ret, "See whether they have expired: kubectl get namespaces\n"
                          "Once they are renewed, requests work again: changed files "
                          "are noticed, and no restart is needed.");
}

static void explain_context(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", why_of(r->lease));
    if (r->cause == CAUSE_CONTEXT_UNUSABLE) {
        explanation_detail(
            ret,
            "Its entries in the kubeconfig, or files that they name, are not valid.");
        explanation_hint(ret, "The kubeconfig is read again when it changes.");
        return;
    }
    explanation_detail(ret, "The label before .localhost or .k8s names a context of the "
                            "kubeconfig; names without one belong to the first.");
    explanation_hint(ret, "See which kube-tunnel knows: kube-tunnel list. "
                          "More are added with --context, or all with --context all.");
}

static void explain_closed(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", why_of(r->lease));
}

/* Missing before any dial or look-up, so the pod and the service do not matter. */
static void explain_credentials(const struct refusal *r, struct explanation *ret)
{
    struct str words = str_of(r->lease->plugin_output);

    explanation_first(ret, ": %s", why_of(r->lease));
    explain_access(ERR_CREDENTIALS, ret);
    if (words.len > WORDS_SHOWN)
        words = str_skip(words, words.len - WORDS_SHOWN);
    if (!str_empty(words))
        explanation_hint(ret, "%.*s\nOnce they are renewed, %s", STR_ARG(words), renewed);
}

static void hint_objects(const struct object *o, bool is_service, struct explanation *ret)
{
    if (is_service)
        explanation_hint(ret,
                         "See what there is: kubectl -n %.*s get services, or "
                         "kube-tunnel list -n %.*s",
                         STR_ARG(o->ns), STR_ARG(o->ns));
    else
        explanation_hint(ret, "See what there is: kubectl -n %.*s get %ss",
                         STR_ARG(o->ns), o->kind);
}

static bool names_service(const struct refusal *r)
{
    enum name_kind kind = r->route->name.kind;

    return kind != NAME_POD && kind != NAME_DEPLOYMENT;
}

static void explain_not_found(const struct refusal *r, const struct object *o,
                              struct explanation *ret)
{
    explanation_detail(ret, "The cluster has no %s %.*s in namespace %.*s.", o->kind,
                       STR_ARG(o->name), STR_ARG(o->ns));
    hint_objects(o, names_service(r), ret);
}

static void explain_failed_lookup(const struct object *o, struct explanation *ret)
{
    explanation_detail(
        ret, "The look-up of %s %.*s in namespace %.*s failed at the API server.",
        o->kind, STR_ARG(o->name), STR_ARG(o->ns));
    explanation_hint(ret, "The next request looks it up again.");
}

static void explain_lookup(const struct refusal *r, struct explanation *ret)
{
    const struct lease *lease = r->lease;
    struct object o = object_of(r);

    explanation_first(ret, " %s %.*s/%.*s: %s", o.kind, STR_ARG(o.ns), STR_ARG(o.name),
                      why_of(lease));
    switch (r->cause) {
    case CAUSE_LOOKUP_NOT_FOUND:
        explain_not_found(r, &o, ret);
        break;
    case CAUSE_LOOKUP_PORT:
        explanation_detail(ret, "The port in a URL is the service's, not the pod's.");
        explanation_hint(ret,
                         "Use one of the ports it declares, or no port for the first "
                         "one.");
        break;
    case CAUSE_LOOKUP_LOOP:
        explanation_detail(ret,
                           "kube-tunnel would forward the request to itself in a loop.");
        explanation_hint(ret, "If it is another program's port, let kube-tunnel listen "
                              "on another one: --port");
        break;
    case CAUSE_LOOKUP_FORBIDDEN:
        explanation_detail(ret, "The API server does not permit the look-up.");
        hint_grant(lease, lease->missing_ns[0] ? str_of(lease->missing_ns) : o.ns, ret);
        break;
    case CAUSE_LOOKUP_UNAUTHORIZED:
        explain_unauthorized(ret);
        break;
    default:
        explain_failed_lookup(&o, ret);
    }
}

static void explain_no_pod(const struct refusal *r, struct explanation *ret)
{
    struct object o = object_of(r);

    explanation_first(ret, " for %.*s/%.*s", STR_ARG(o.name), STR_ARG(o.ns));
    explanation_detail(ret, "%s", why_of(r->lease));
    if (r->lease->has_pods || r->route->name.kind == NAME_POD)
        explanation_hint(ret, "See its pods: kubectl -n %.*s get pods -o wide",
                         STR_ARG(o.ns));
    else
        explanation_hint(ret,
                         "See its type and selector: kubectl -n %.*s get %s %.*s -o wide",
                         STR_ARG(o.ns), o.kind, STR_ARG(o.name));
}

static void explain_not_tcp(const struct refusal *r, struct explanation *ret)
{
    struct object o = object_of(r);

    explanation_first(ret, " to %s %.*s/%.*s: %s", o.kind, STR_ARG(o.ns), STR_ARG(o.name),
                      why_of(r->lease));
    explanation_hint(ret, "See its ports: kubectl -n %.*s get %s %.*s -o wide",
                     STR_ARG(o.ns), o.kind, STR_ARG(o.name));
}

/* Only with --upstream direct: else a tunnel takes its place. */
static void explain_direct(const struct refusal *r, struct explanation *ret)
{
    const struct lease *lease = r->lease;

    explanation_first(ret, " for %s/%s: %s", pod_ns(lease), pod_name(lease),
                      why_of(lease));
    explanation_detail(ret, "Pod %s in namespace %s was not connected to at its address.",
                       pod_name(lease), pod_ns(lease));
    if (lease->result == ERR_FORBIDDEN)
        hint_grant(lease, str_of(pod_ns(lease)), ret);
    else
        explanation_hint(ret, "With --upstream tunnel or auto it is reached through the "
                              "API server.");
}

static void explain_dial(const struct refusal *r, struct explanation *ret)
{
    const struct lease *lease = r->lease;

    explanation_first(ret, " for %s/%s: %s", pod_ns(lease), pod_name(lease),
                      why_of(lease));
    if (r->cause == CAUSE_DIAL_UNAUTHORIZED) {
        explain_unauthorized(ret);
        return;
    }
    explanation_detail(ret, "The API server could not %s pod %s in namespace %s.",
                       r->cause == CAUSE_DIAL_API_SERVER
                           ? "be reached for a port-forward to"
                       : lease->direct ? "give the address of"
                                       : "open a port-forward to",
                       pod_name(lease), pod_ns(lease));
    if (r->cause == CAUSE_DIAL_API_SERVER)
        explanation_hint(ret, "See whether it is up: kubectl get namespaces");
    else if (r->cause == CAUSE_DIAL_NODE)
        explanation_hint(ret, "It cannot reach the pod's node; see whether that is "
                              "ready: kubectl get nodes");
    else
        hint_grant(lease, str_of(pod_ns(lease)), ret);
}

static void first_of_pod(const struct refusal *r, const char *before,
                         struct explanation *ret)
{
    explanation_first(ret, " for %s/%s: %s%s", pod_ns(r->lease), pod_name(r->lease),
                      before, r->problem);
}

static void hint_logs(const struct lease *lease, const char *more,
                      struct explanation *ret)
{
    explanation_hint(ret,
                     "See whether its container listens there: kubectl -n %s logs %s%s",
                     pod_ns(lease), pod_name(lease), more);
}

static void explain_refused(const struct refusal *r, struct explanation *ret)
{
    first_of_pod(r, "", ret);
    explanation_detail(
        ret, "Nothing accepts connections on port %u of pod %s in namespace %s.",
        r->lease->port, pod_name(r->lease), pod_ns(r->lease));
    hint_logs(
        r->lease,
        lease_is_direct(r->lease)
            ? "\nA direct connection goes to the pod's address: it does not reach a "
              "server that listens on localhost in the pod only. --upstream tunnel "
              "does."
            : "\nA port-forward connects to localhost in the pod: it does not "
              "reach a server that listens on the pod's address only.",
        ret);
}

/* The port is in a URL where it is not the scheme's own. */
static void print_port(uint16_t port, char out[static 8])
{
    out[0] = '\0';
    if (port != 443)
        snprintf(out, 8, ":%u", port);
}

static void hint_https(const struct refusal *r, const char *before,
                       struct explanation *ret)
{
    char port[8];

    print_port(r->port, port);
    explanation_hint(ret,
                     "%s Use https://%.*s%s/: kube-tunnel passes TLS through to port 443 "
                     "of the service, or to one that is called https. Other ports of it "
                     "are reached by CONNECT (curl --proxytunnel).",
                     before, STR_ARG(r->subject), port);
}

/* OpenSSL closes the connection of a client that sends no TLS. */
static bool is_usual_for_tls(uint16_t port)
{
    return port == 443 || port == 8443;
}

static void explain_silent(const struct refusal *r, struct explanation *ret)
{
    first_of_pod(r, "", ret);
    explanation_detail(ret,
                       "Port %u of pod %s in namespace %s was reached %s, and sent no "
                       "response.",
                       r->lease->port, pod_name(r->lease), pod_ns(r->lease),
                       lease_is_direct(r->lease) ? "at the pod's address"
                                                 : "through the API server");
    if (r->cause == CAUSE_POD_TIMEOUT)
        explanation_hint(ret, "The limit is --response-timeout.");
    else if (is_usual_for_tls(r->lease->port))
        hint_https(r, "It may speak TLS.", ret);
    else
        hint_logs(r->lease, "", ret);
}

static void explain_not_http1(const struct refusal *r, struct explanation *ret)
{
    first_of_pod(r, "the response is not HTTP/1.1: ", ret);
    explanation_detail(ret,
                       "Port %u of pod %s in namespace %s did not respond in HTTP/1.1.",
                       r->lease->port, pod_name(r->lease), pod_ns(r->lease));
    explanation_hint(ret, "If it speaks another protocol: kube-tunnel --expose "
                          "SVC.NS:PORT carries any.");
}

/* The request was a WebSocket's over HTTP/2, where no other upgrade exists. */
static void explain_not_switched(const struct refusal *r, struct explanation *ret)
{
    first_of_pod(r, "the response is no WebSocket: ", ret);
    explanation_detail(
        ret,
        "Port %u of pod %s in namespace %s answered the upgrade as if it were "
        "an ordinary request.",
        r->lease->port, pod_name(r->lease), pod_ns(r->lease));
    explanation_hint(ret,
                     "See which path of it serves WebSockets, and what it answers: "
                     "curl -i http://%.*s/PATH",
                     STR_ARG(r->subject));
}

static void explain_tls_pod(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, " for %s/%s: port %u speaks TLS", pod_ns(r->lease),
                      pod_name(r->lease), r->lease->port);
    explanation_detail(ret, "A plain HTTP request was sent to a server that speaks TLS.");
    hint_https(r, "It answers plain requests with an alert.", ret);
}

static void explain_http2_pod(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, " for %s/%s: port %u speaks HTTP/2 only", pod_ns(r->lease),
                      pod_name(r->lease), r->lease->port);
    explanation_detail(ret, "An HTTP/1.1 request was sent to a server that speaks HTTP/2 "
                            "without TLS, as gRPC servers do.");
    explanation_hint(ret,
                     "Use a gRPC client, or curl --http2-prior-knowledge http://%.*s/.",
                     STR_ARG(r->subject));
}

static void explain_version(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, " for %s/%s: %s", pod_ns(r->lease), pod_name(r->lease),
                      r->lease->why.text);
    explanation_detail(ret, "The request needs a protocol that the port does not speak.");
}

static void explain_outside_lease(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", r->problem ? r->problem : why_of(r->lease));
    explanation_detail(ret, "The host is outside the cluster; kube-tunnel connects to it "
                            "directly (--proxy-outside).");
    if (r->cause == CAUSE_OUTSIDE_ADDRESS)
        explanation_hint(ret, "Addresses that only this machine or its link can reach "
                              "are refused, whatever name leads to them.");
}

static void (*const explainers[])(const struct refusal *r, struct explanation *ret) = {
    [CAUSE_NAMESPACE_CLOSED] = explain_closed,
    [CAUSE_CONTEXT_UNKNOWN] = explain_context,
    [CAUSE_CONTEXT_UNUSABLE] = explain_context,
    [CAUSE_CREDENTIALS] = explain_credentials,
    [CAUSE_LOOKUP_NOT_FOUND] = explain_lookup,
    [CAUSE_LOOKUP_PORT] = explain_lookup,
    [CAUSE_LOOKUP_LOOP] = explain_lookup,
    [CAUSE_LOOKUP_FORBIDDEN] = explain_lookup,
    [CAUSE_LOOKUP_UNAUTHORIZED] = explain_lookup,
    [CAUSE_LOOKUP_TIMEOUT] = explain_lookup,
    [CAUSE_LOOKUP_THROTTLED] = explain_lookup,
    [CAUSE_LOOKUP_FAILED] = explain_lookup,
    [CAUSE_NO_POD] = explain_no_pod,
    [CAUSE_NOT_TCP] = explain_not_tcp,
    [CAUSE_DIAL_UNAUTHORIZED] = explain_dial,
    [CAUSE_DIAL_API_SERVER] = explain_dial,
    [CAUSE_DIAL_NODE] = explain_dial,
    [CAUSE_DIAL_TIMEOUT] = explain_dial,
    [CAUSE_DIAL_THROTTLED] = explain_dial,
    [CAUSE_DIAL_FAILED] = explain_dial,
    [CAUSE_DIAL_DIRECT] = explain_direct,
    [CAUSE_POD_VERSION] = explain_version,
    [CAUSE_OUTSIDE_ADDRESS] = explain_outside_lease,
    [CAUSE_OUTSIDE_TIMEOUT] = explain_outside_lease,
    [CAUSE_OUTSIDE_FAILED] = explain_outside_lease,
    [CAUSE_TLS_CERTIFICATE] = explain_tls,
    [CAUSE_TLS_FAILED] = explain_tls,
    [CAUSE_TLS_TIMEOUT] = explain_tls,
    [CAUSE_POD_REFUSED] = explain_refused,
    [CAUSE_POD_NO_RESPONSE] = explain_silent,
    [CAUSE_POD_TIMEOUT] = explain_silent,
    [CAUSE_POD_NOT_HTTP1] = explain_not_http1,
    [CAUSE_POD_NOT_SWITCHED] = explain_not_switched,
    [CAUSE_POD_SPEAKS_TLS] = explain_tls_pod,
    [CAUSE_POD_SPEAKS_HTTP2] = explain_http2_pod,
};

void explain_lease(const struct refusal *r, struct explanation *ret)
{
    explainers[r->cause](r, ret);
    if (r->route) /* the lease itself failed */
        ret->retry_after = r->lease->retry_after;
}
