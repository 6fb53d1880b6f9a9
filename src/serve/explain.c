/* serve/explain.c - make the text of a refusal */
#include "serve/explain.h"

#include <stdio.h>

#include "config/web_origin.h"
#include "net/peer.h"
#include "route/name.h"
#include "serve/explain_lease.h"

#define HTTP_PORT 80
#define SUBJECT_SHOWN 300 /* bytes of what a request names */

static const char body_delivered[] =
    "The received part may have reached the pod already.";

static struct str shown(const struct refusal *r)
{
    return str_first(r->subject, SUBJECT_SHOWN);
}

static void explain_head(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", r->problem);
    explanation_detail(ret,
                       "The request was not forwarded, and the connection is closed.");
}

static void explain_body_timeout(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": the body did not arrive in time");
    explanation_detail(ret, "%s", body_delivered);
    explanation_hint(ret, "The limit is --body-timeout.");
}

static void explain_target(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": the request target is not understood");
    explanation_hint(ret, "Targets are paths (/index.html) or http:// URLs; TLS is not "
                          "supported.");
}

static void explain_connect_form(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": the target of CONNECT is no host and port");
    explanation_hint(ret, "For instance: CONNECT web.shop.svc.%s:80 HTTP/1.1", r->zone);
}

static void explain_connect_exposed(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": CONNECT");
    explanation_hint(ret, "It is carried when it is the first request of its "
                          "connection, or with the option \"raw\" of --expose.");
}

static void explain_proxy_off(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": CONNECT and SOCKS are not served here");
    explanation_detail(ret, "They reach every TCP port of the cluster's services, and "
                            "this listener may be reached from other machines.");
    explanation_hint(ret, "Start kube-tunnel with --proxy to allow them on all its "
                          "listeners.");
}

static void explain_invalid_host(const struct refusal *r, struct explanation *ret)
{
    explanation_detail(ret, "\"%.*s\": %s.", STR_ARG(shown(r)), r->problem);
    explanation_hint(ret,
                     "A service is addressed by its name in the cluster: "
                     "<service>.<namespace>.svc.%s, or <service>.<namespace>.localhost, "
                     "which needs no DNS.",
                     r->zone);
}

static void explain_outside(const struct refusal *r, struct explanation *ret)
{
    bool named = !str_empty(r->subject);

    explanation_first(ret, ": this proxy reaches services of the cluster only");
    if (named)
        explanation_detail(ret, "\"%.*s\": %s.", STR_ARG(shown(r)),
                           r->problem ? r->problem : "an address, or this machine");
    explanation_hint(ret,
                     "Leave the other hosts out of it, for instance with no_proxy=%.*s. "
                     "With --proxy-outside the proxy reaches them for programs of the "
                     "user who runs it.",
                     STR_ARG(named ? shown(r) : STR("localhost,127.0.0.1")));
}

static void explain_outside_port(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": port %u of %.*s", r->port, STR_ARG(shown(r)));
    explanation_detail(ret, "The host is outside the cluster, and the port is not in "
                            "--proxy-outside-ports.");
}

static void explain_clients(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": too many clients");
    explanation_hint(ret, "As many as --max-connections and the limit on open files "
                          "(ulimit -n) allow are connected already.");
    ret->retry_after = 1;
}

static void explain_memory(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": all of --buffer-memory is used");
    explanation_detail(ret, "%s",
                       r->cause == CAUSE_HEAD_MEMORY
                           ? "The largest unfinished requests are refused first."
                           : "No memory is left for another request.");
    ret->retry_after = 1;
}

static void explain_user(const struct refusal *r, struct explanation *ret)
{
    if (r->peer->kind == PEER_LOCAL)
        explanation_first(ret, ": user %u may not connect", r->peer->uid);
    else
        explanation_first(ret, ": the user of this connection is not known");
    explanation_detail(
        ret, "Clients act with this kube-tunnel's rights in the cluster, so not "
             "every user of this machine may connect.");
    explanation_hint(ret, "Start kube-tunnel with %s to allow this.", r->flag);
}

/* Terminals and shells get the path only when it is harmless and short. */
static struct str shown_path(struct str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~' || strchr("'\"`$\\", target.at[i]))
            return STR("/");
    return target.len <= SUBJECT_SHOWN && target.at[0] == '/' ? target : STR("/");
}

static void explain_proxy_user(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": this proxy needs a user and a password");
    explanation_hint(ret, "They are in the file of --proxy-users; programs take them in "
                          "the URL of the proxy, http://USER:PASSWORD@localhost.");
}

static void explain_short_name(const struct refusal *r, struct explanation *ret)
{
    const char *name = r->name->text;
    char port[8] = "";

    if (r->port != HTTP_PORT)
        snprintf(port, sizeof(port), ":%u", r->port);
    explanation_first(ret, ": short name %s", name);
    explanation_detail(
        ret,
        "%s may also be a domain on the Internet. Its owner could let it point to this "
        "machine, and read the service from a web page.",
        name);
    explanation_hint(
        ret,
        "Use http://%s.localhost%s%.*s or the full name %s.svc.%s. "
        "Through an HTTP proxy (http_proxy=http://127.0.0.1:%u) short names work "
        "as they are; --short-names accepts them here too.",
        name, port, STR_ARG(shown_path(r->subject)), name, r->zone, r->port);
}

/* Only an origin: a pattern would be a flag that allows more than this page. */
static void hint_origin(struct str page, struct explanation *ret)
{
    struct web_origin any;

    if (str_ieq(page, STR("null")))
        explanation_hint(ret,
                         "It does not name its origin, as sandboxed frames and files do "
                         "not. To allow every page of this kind, start kube-tunnel with "
                         "--allow-origin null");
    else if (web_origin_parse(page, &any))
        explanation_hint(ret,
                         "If you trust that page, start kube-tunnel with "
                         "--allow-origin %.*s",
                         STR_ARG(page));
    else
        explanation_hint(ret, "Its origin has a form that --allow-origin cannot list.");
}

static void explain_page(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s %.*s",
                      r->cause == CAUSE_FOREIGN_ORIGIN ? "foreign origin"
                                                       : "cross-site request from",
                      STR_ARG(shown(r)));
    explanation_detail(ret,
                       "A web page from outside the service's namespace tried to use "
                       "the cluster through your browser.");
    hint_origin(r->subject, ret);
}

static void explain_foreign_host(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": foreign host %.*s", STR_ARG(shown(r)));
    explanation_detail(ret,
                       "A browser requested from this port of %s a host that is neither "
                       "loopback nor a name of the service: a page of that host could "
                       "read the response.",
                       r->name->text);
    explanation_hint(ret,
                     "Use http://localhost with this port. If you trust that host, start "
                     "kube-tunnel with --allow-host and its name, or add the option "
                     "\"any-host\" to this --expose.");
}

static void explain_host_of_address(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": host %.*s at the address of %s", STR_ARG(shown(r)),
                      r->name->text);
    explanation_detail(ret, "%s",
                       "The request came to the address of this service, and its Host is "
                       "neither that address nor a name of the service: a web page could "
                       "have its own name lead here to read the response.");
    explanation_hint(
        ret,
        "Use a name of the service: http://%s. If you trust that host, start "
        "kube-tunnel with --allow-host and its name.",
        r->name->text);
}

static void explain_namespace(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": namespace %.*s is closed", STR_ARG(r->subject));
    explanation_hint(ret, "%s",
                     r->cause == CAUSE_NAMESPACE_DENIED
                         ? "It is in --deny-namespace."
                         : "It is not in --allow-namespace.");
}

static void explain_login(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", diag_text(&r->why, ERR_CREDENTIALS));
    explanation_detail(ret,
                       "The credentials of this context come from an exec plugin that "
                       "prompts at the terminal of kube-tunnel. Web pages do not start "
                       "it.");
    explanation_hint(ret, "Start it on this page: %s", r->link);
    ret->link = r->link;
}

static void explain_head_timeout(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": the head did not arrive in time");
    explanation_hint(ret, "The limit is --head-timeout.");
}

static void explain_body(const struct refusal *r, struct explanation *ret)
{
    explanation_first(ret, ": %s", r->problem);
    explanation_detail(ret, "%s", body_delivered);
}

static void explain_protocol(const struct refusal *r, struct explanation *ret)
{
    (void)r;
    explanation_first(ret, ": this port speaks plain HTTP");
    explanation_hint(ret, "Use http:// URLs.");
}

/* The other causes come with a lease. */
static void (*const explain_request[])(const struct refusal *r,
                                       struct explanation *ret) = {
    [CAUSE_HEAD_MALFORMED] = explain_head,
    [CAUSE_HEAD_TOO_LARGE] = explain_head,
    [CAUSE_HEAD_TIMEOUT] = explain_head_timeout,
    [CAUSE_BODY_MALFORMED] = explain_body,
    [CAUSE_BODY_TIMEOUT] = explain_body_timeout,
    [CAUSE_PROTOCOL] = explain_protocol,
    [CAUSE_TARGET_FORM] = explain_target,
    [CAUSE_CONNECT_FORM] = explain_connect_form,
    [CAUSE_CONNECT_EXPOSED] = explain_connect_exposed,
    [CAUSE_HOST_INVALID] = explain_invalid_host,
    [CAUSE_HOST_OUTSIDE] = explain_outside,
    [CAUSE_OUTSIDE_PORT] = explain_outside_port,
    [CAUSE_CLIENTS] = explain_clients,
    [CAUSE_MEMORY] = explain_memory,
    [CAUSE_HEAD_MEMORY] = explain_memory,
    [CAUSE_USER] = explain_user,
    [CAUSE_PROXY_OFF] = explain_proxy_off,
    [CAUSE_PROXY_USER] = explain_proxy_user,
    [CAUSE_SHORT_NAME] = explain_short_name,
    [CAUSE_FOREIGN_ORIGIN] = explain_page,
    [CAUSE_CROSS_SITE] = explain_page,
    [CAUSE_FOREIGN_HOST] = explain_foreign_host,
    [CAUSE_HOST_OF_ADDRESS] = explain_host_of_address,
    [CAUSE_NAMESPACE_DENIED] = explain_namespace,
    [CAUSE_NAMESPACE_UNLISTED] = explain_namespace,
    [CAUSE_LOGIN] = explain_login,
};

static void add_context(const char *context, struct explanation *ret)
{
    char hint[sizeof(ret->hint)];

    memcpy(hint, ret->hint, sizeof(hint));
    explanation_hint(ret, "%s%sThis is context %s; kubectl takes --context for it.", hint,
                     hint[0] ? "\n" : "", context);
}

void explain(const struct refusal *r, const char *context, struct explanation *ret)
{
    explanation_begin(ret, cause_title(r->cause));
    if (r->lease)
        explain_lease(r, ret);
    else
        explain_request[r->cause](r, ret);
    if (context)
        add_context(context, ret);
}
