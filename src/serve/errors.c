/* serve/errors.c - what went wrong, in words for the client
 *
 * One function per cause writes the sentences; three printers at the end know nothing of
 * causes.  Texts may hold what a client or a server sent: printers escape.
 */
#include "serve/errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "rights/role.h"

#define HTTP_PORT 80

/* How an exchange begins the reason when an answer is none that it can pass on. */
#define NOT_HTTP "the answer is not HTTP/1.1"

/* Control characters would break the one line that the first must be, and act on terminals. */
static void write_line(char *to, size_t room, const char *format, va_list args)
{
    vsnprintf(to, room, format, args);
    text_make_printable(to, false);
}

void refusal_set(struct refusal *r, int status, const char *format, ...)
{
    va_list args;

    r->status = status;
    r->retry_after = 0;
    r->detail[0] = r->hint[0] = r->link[0] = '\0';
    va_start(args, format);
    write_line(r->first, sizeof(r->first), format, args);
    va_end(args);
}

void refusal_detail(struct refusal *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(r->detail, sizeof(r->detail), format, args);
    va_end(args);
}

void refusal_hint(struct refusal *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->hint, sizeof(r->hint), format, args);
    va_end(args);
    text_make_printable(r->hint, true);
}

/* What the route names, as the original wrote it. */
#define WORDS_SHOWN 800 /* bytes of what a plugin has written */

struct object {
    const char *kind;
    struct str ns, name;
};

static struct object object_of(const struct route *route)
{
    const struct name *n = &route->name;

    if (n->kind == NAME_POD)
        return (struct object){ "pod", n->ns, n->endpoint };
    if (n->kind == NAME_DEPLOYMENT)
        return (struct object){ "deployment", n->ns, n->service };
    return (struct object){ "service", n->ns, n->service };
}

/* What failed concerns one namespace, so a role in that one is enough. */
static void hint_grant(const struct lease *lease, struct str ns, struct refusal *ret)
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
    refusal_hint(ret,
                 "The credentials lack the verb \"%s\" on \"%s\" in namespace %s. This "
                 "role has what is needed there; kube-tunnel rbac --namespace %s --user "
                 "NAME | kubectl apply -f - creates and binds it:\n\n%s",
                 lease->missing_verb, lease->missing_resource, namespace, namespace,
                 role);
}

static const char *pod_ns(const struct lease *lease)
{
    return lease->endpoint ? lease->endpoint->ns : "?";
}

static const char *pod_name(const struct lease *lease)
{
    return lease->endpoint ? lease->endpoint->pod : "?";
}

static bool was_refused(const struct lease *lease)
{
    return lease->stream && lease->stream->end.verdict == V_REFUSED;
}

static void silent_port(const struct lease *lease, struct refusal *ret)
{
    bool refused = was_refused(lease);

    refusal_detail(
        ret,
        refused ? "Nothing accepts connections on port %u of pod %s in namespace %s."
                : "Port %u of pod %s in namespace %s was reached through the API "
                  "server, and gave no answer.",
        lease->port, pod_name(lease), pod_ns(lease));
    refusal_hint(ret, "See whether its container listens there: kubectl -n %s logs %s%s",
                 pod_ns(lease), pod_name(lease),
                 refused
                     ? "\nA port-forward connects to localhost in the pod: it does not "
                       "reach a server that listens on the pod's address only."
                     : "");
}

static void foreign_answer(const struct lease *lease, struct refusal *ret)
{
    refusal_detail(ret,
                   "Port %u of pod %s in namespace %s answered, but not in HTTP/1.1 as "
                   "it should be.",
                   lease->port, pod_name(lease), pod_ns(lease));
    refusal_hint(ret, "If it speaks another protocol: kube-tunnel --expose SVC.NS:PORT "
                      "carries any.");
}

void refusal_from_stream(const struct lease *lease, int status, const char *reason,
                         struct refusal *ret)
{
    refusal_set(ret, status, "Port-forward failed for %s/%s: %s", pod_ns(lease),
                pod_name(lease), reason);
    if (str_starts(str_of(reason), STR(NOT_HTTP)))
        foreign_answer(lease, ret);
    else
        silent_port(lease, ret);
}

/* The API server's words for a kubelet that it cannot reach. */
static bool is_lost_node(const struct lease *lease)
{
    return strstr(lease->why.text, "error dialing backend") != NULL;
}

static bool is_unreachable(enum err e)
{
    return e == ERR_CONNECT || e == ERR_RESOLVE;
}

void refusal_unauthorized(struct refusal *r)
{
    refusal_detail(r, "The API server does not accept the credentials (401).");
    refusal_hint(r, "See whether they have expired: kubectl get namespaces");
}

static void unauthorized_by_now(struct refusal *r)
{
    refusal_unauthorized(r);
    refusal_hint(r, "See whether they have expired: kubectl get namespaces\n"
                    "Once they are renewed, requests work again: changed files are "
                    "noticed, and nothing has to be started anew.");
}

void refusal_credentials(struct refusal *r)
{
    refusal_detail(r, "kube-tunnel has no valid credentials for the cluster.");
    refusal_hint(r,
                 "Once they are renewed (log in again with the tool that issues them), "
                 "requests work again: nothing has to be started anew.");
}

/* In front of any dial or look-up, so the pod and the service do not matter. */
static void no_credentials(const struct lease *lease, struct refusal *ret)
{
    struct str words = str_of(lease->words);

    refusal_set(ret, 502, "No credentials for the cluster: %s",
                diag_text(&lease->why, lease->result));
    refusal_credentials(ret);
    if (words.len > WORDS_SHOWN)
        words = str_skip(words, words.len - WORDS_SHOWN);
    if (!str_empty(words))
        refusal_hint(
            ret,
            "%.*s\nOnce they are renewed, requests work again: nothing has to be "
            "started anew.",
            STR_ARG(words));
}

static void explain_dial(const struct lease *lease, struct refusal *ret)
{
    bool unreachable = is_unreachable(lease->result);

    refusal_detail(ret, "The API server could not %s to pod %s in namespace %s.",
                   unreachable ? "be asked for a port-forward" : "open a port-forward",
                   pod_name(lease), pod_ns(lease));
    if (unreachable)
        refusal_hint(ret, "See whether it is up: kubectl get namespaces");
    else if (is_lost_node(lease))
        refusal_hint(ret, "It cannot reach the pod's node; see whether that is ready: "
                          "kubectl get nodes");
    else
        hint_grant(lease, str_of(pod_ns(lease)), ret);
}

static void failed_dial(const struct lease *lease, struct refusal *ret)
{
    int status = lease->result == ERR_TIMEOUT     ? 504
                 : lease->result == ERR_THROTTLED ? 503
                                                  : 502;
    refusal_set(ret, status, "Port-forward failed for %s/%s: %s", pod_ns(lease),
                pod_name(lease), diag_text(&lease->why, lease->result));
    if (lease->result == ERR_UNAUTHORIZED)
        unauthorized_by_now(ret);
    else
        explain_dial(lease, ret);
}

static void failed_lookup(const struct lease *lease, const struct object *o,
                          struct refusal *ret)
{
    int status = 502;

    if (lease->result == ERR_LOOP)
        status = 508;
    else if (lease->result == ERR_NOT_FOUND || lease->result == ERR_NO_PORT)
        status = 404;
    else if (lease->result == ERR_TIMEOUT)
        status = 504;
    else if (lease->result == ERR_THROTTLED)
        status = 503;
    refusal_set(ret, status, "Failed to get %s %.*s/%.*s: %s", o->kind, STR_ARG(o->ns),
                STR_ARG(o->name), diag_text(&lease->why, lease->result));
}

static void hint_what_there_is(const struct object *o, struct refusal *ret)
{
    if (strcmp(o->kind, "service") != 0)
        refusal_hint(ret, "See what there is: kubectl -n %.*s get %ss", STR_ARG(o->ns),
                     o->kind);
    else
        refusal_hint(ret,
                     "See what there is: kubectl -n %.*s get services, or "
                     "kube-tunnel list -n %.*s",
                     STR_ARG(o->ns), STR_ARG(o->ns));
}

static void explain_lookup(const struct lease *lease, const struct object *o,
                           struct refusal *ret)
{
    switch (lease->result) {
    case ERR_NOT_FOUND:
        refusal_detail(ret, "The cluster has no %s %.*s in namespace %.*s.", o->kind,
                       STR_ARG(o->name), STR_ARG(o->ns));
        hint_what_there_is(o, ret);
        break;
    case ERR_NO_PORT:
        refusal_detail(ret, "The port in a URL is the service's, not the pod's.");
        refusal_hint(ret, "Ask for one of the ports it declares, or for none to get its "
                          "first.");
        break;
    case ERR_LOOP:
        refusal_detail(ret, "The request would be forwarded to kube-tunnel for ever.");
        refusal_hint(ret, "If it is another program's port, let kube-tunnel listen on "
                          "another one: --port");
        break;
    case ERR_FORBIDDEN:
        refusal_detail(ret, "The API server does not permit the look-up.");
        hint_grant(lease, lease->missing_ns[0] ? str_of(lease->missing_ns) : o->ns, ret);
        break;
    case ERR_UNAUTHORIZED:
        unauthorized_by_now(ret);
        break;
    default:
        refusal_detail(ret,
                       "The API server could not be asked about %s %.*s in "
                       "namespace %.*s.",
                       o->kind, STR_ARG(o->name), STR_ARG(o->ns));
        refusal_hint(ret, "It is asked again at the next request.");
    }
}

static void no_pod(const struct lease *lease, const struct object *o, struct refusal *ret)
{
    refusal_set(ret, 503, "No running pod for %.*s/%.*s", STR_ARG(o->name),
                STR_ARG(o->ns));
    refusal_detail(ret, "%s", diag_text(&lease->why, lease->result));
    if (lease->has_pods || strcmp(o->kind, "pod") == 0)
        refusal_hint(ret, "See its pods: kubectl -n %.*s get pods -o wide",
                     STR_ARG(o->ns));
    else
        refusal_hint(ret,
                     "See its type and selector: kubectl -n %.*s get %s %.*s -o wide",
                     STR_ARG(o->ns), o->kind, STR_ARG(o->name));
}

static void not_tcp(const struct lease *lease, const struct object *o,
                    struct refusal *ret)
{
    refusal_set(ret, 501, "Cannot forward to %s %.*s/%.*s: %s", o->kind, STR_ARG(o->ns),
                STR_ARG(o->name), diag_text(&lease->why, lease->result));
    refusal_hint(ret, "See its ports: kubectl -n %.*s get %s %.*s -o wide",
                 STR_ARG(o->ns), o->kind, STR_ARG(o->name));
}

static void no_context(const struct lease *lease, struct refusal *ret)
{
    refusal_set(ret, 404, "Not Found: %s", diag_text(&lease->why, lease->result));
    refusal_detail(ret, "The label before .localhost or .k8s names a context of the "
                        "kubeconfig; names without one belong to the first.");
    refusal_hint(ret, "See which kube-tunnel knows: kube-tunnel list. "
                      "More are added with --context, or all with --context all.");
}

static void bad_context(const struct lease *lease, struct refusal *ret)
{
    refusal_set(ret, 502, "The context cannot be used: %s",
                diag_text(&lease->why, lease->result));
    refusal_detail(ret,
                   "Its entries in the kubeconfig, or files that they name, are not as "
                   "they should be.");
    refusal_hint(ret, "The kubeconfig is read again when it changes.");
}

void refusal_from_lease(const struct lease *lease, const struct route *route,
                        struct refusal *ret)
{
    struct object o = object_of(route);

    if (lease->result == ERR_NO_CONTEXT) {
        no_context(lease, ret);
    } else if (lease->result == ERR_CONFIG) {
        bad_context(lease, ret);
    } else if (lease->result == ERR_CLOSED) {
        refusal_set(ret, 403, "Forbidden: %s", diag_text(&lease->why, lease->result));
    } else if (lease->result == ERR_UNAVAILABLE) {
        no_pod(lease, &o, ret);
    } else if (lease->result == ERR_UNSUPPORTED) {
        not_tcp(lease, &o, ret);
    } else if (lease->result == ERR_CREDENTIALS) {
        no_credentials(lease, ret);
    } else if (lease->dialling) {
        failed_dial(lease, ret);
    } else {
        failed_lookup(lease, &o, ret);
        explain_lookup(lease, &o, ret);
    }
    ret->retry_after = lease->retry_after;
}

void refusal_add_context(struct refusal *r, const char *context)
{
    char hint[sizeof(r->hint)];

    memcpy(hint, r->hint, sizeof(hint));
    refusal_hint(r, "%s%sThis is context %s; kubectl takes --context for it.", hint,
                 hint[0] ? "\n" : "", context);
}

void refusal_invalid_host(struct str host, const char *problem, const char *zone,
                          struct refusal *ret)
{
    refusal_set(ret, 400, "Invalid host");
    refusal_detail(ret, "\"%.*s\": %s.", STR_ARG(str_first(host, 300)), problem);
    refusal_hint(ret,
                 "A service is addressed by its name in the cluster: "
                 "<service>.<namespace>.svc.%s, or <service>.<namespace>.localhost, "
                 "which needs no DNS.",
                 zone);
}

void refusal_user(const struct peer *peer, const char *flag, struct refusal *ret)
{
    if (peer->kind == PEER_LOCAL)
        refusal_set(ret, 403, "Forbidden: user %u may not connect", peer->uid);
    else
        refusal_set(ret, 403, "Forbidden: the user of this connection is not known");
    refusal_detail(ret,
                   "Clients act with this kube-tunnel's rights in the cluster, so not "
                   "every user of this machine may connect.");
    refusal_hint(ret, "Start kube-tunnel with %s to allow this.", flag);
}

void refusal_login(const char *url, const struct diag *why, struct refusal *ret)
{
    refusal_set(ret, 503, "Login needed: %s", diag_text(why, ERR_CREDENTIALS));
    refusal_detail(ret,
                   "The credentials of this context come from a program that asks at "
                   "the terminal of kube-tunnel. Web pages do not start it.");
    refusal_hint(ret, "Start it on this page: %s", url);
    snprintf(ret->link, sizeof(ret->link), "%s", url);
}

void refusal_too_many(struct refusal *ret)
{
    refusal_set(ret, 503, "Service Unavailable: too many clients");
    refusal_hint(ret, "As many as --max-connections and the limit on open files "
                      "(ulimit -n) allow are connected already.");
    ret->retry_after = 1;
}

/* Terminals and shells get the path only when it is harmless and short. */
static struct str shown_path(struct str target)
{
    for (size_t i = 0; i < target.len; i++)
        if (target.at[i] <= ' ' || target.at[i] > '~' || strchr("'\"`$\\", target.at[i]))
            return STR("/");
    return target.len <= 300 && target.at[0] == '/' ? target : STR("/");
}

void refusal_short_name(const struct name *name, const char *zone, uint16_t listener_port,
                        struct str target, struct refusal *ret)
{
    char port[8] = "";

    if (listener_port != HTTP_PORT)
        snprintf(port, sizeof(port), ":%u", listener_port);
    refusal_set(ret, 403, "Forbidden: short name %s", name->text);
    refusal_detail(ret,
                   "%s may also be a domain on the Internet. A web page there could have "
                   "it point to this machine, and read the service.",
                   name->text);
    refusal_hint(
        ret,
        "Use http://%s.localhost%s%.*s or the full name %s.svc.%s. "
        "Through an HTTP proxy (http_proxy=http://127.0.0.1:%u) short names work "
        "as they are; --short-names accepts them here too.",
        name->text, port, STR_ARG(shown_path(target)), name->text, zone, listener_port);
}

void refusal_no_memory(int status, struct refusal *ret)
{
    refusal_set(ret, status, "%s: all of --buffer-memory is used",
                status == 431 ? "Request Header Fields Too Large"
                              : "Service Unavailable");
    refusal_detail(ret, status == 431
                            ? "The largest unfinished requests are refused first."
                            : "No memory is left for another request.");
    ret->retry_after = 1;
}

void refusal_bad_head(enum err result, const char *problem, struct refusal *ret)
{
    int status = result == ERR_LIMIT ? 431 : 400;

    refusal_set(ret, status, "%s: %s", http1_reason(status), problem);
    refusal_detail(ret, "The request was not passed on, and the connection ends here.");
}

/* Which of ours a member of Accept means; false: none.  Wildcards are plain text, and
 * only when nothing else is named. */
static bool format_of(struct str type, enum page_format *ret, bool *ret_wild)
{
    *ret_wild = str_eq(type, STR("*/*")) || str_ieq(type, STR("text/*"));
    if (*ret_wild || str_ieq(type, STR("text/plain")))
        *ret = PAGE_TEXT;
    else if (str_ieq(type, STR("application/json")) || str_iends(type, STR("+json")))
        *ret = PAGE_JSON;
    else if (str_ieq(type, STR("text/html")))
        *ret = PAGE_HTML;
    else
        return false;
    return true;
}

/* "0.85" in thousandths; what is no number counts as 1. */
static unsigned weight_of(struct str parameters)
{
    while (!str_empty(parameters)) {
        struct str one;
        parameters = str_cut(parameters, ';', &one);
        one = str_trim(one);
        if (one.len < 3 || (one.at[0] | 0x20) != 'q' || one.at[1] != '=')
            continue;
        unsigned weight = one.at[2] == '0' ? 0 : 1000, unit = 100;
        for (size_t i = 4; i < one.len && unit; i++, unit /= 10)
            if (one.at[i] >= '0' && one.at[i] <= '9' && weight < 1000)
                weight += (unsigned)(one.at[i] - '0') * unit;
        return weight;
    }
    return 1000;
}

struct preference {
    enum page_format format;
    unsigned weight; /* twice the thousandths, less one for a wildcard */
};

static void prefer(struct preference *best, struct str member)
{
    struct str type;
    struct str parameters = str_cut(member, ';', &type);
    enum page_format format;
    bool wild;

    if (!format_of(str_trim(type), &format, &wild))
        return;
    unsigned weight = weight_of(parameters) * 2;
    if (weight && wild)
        weight = 1;
    if (weight > best->weight)
        *best = (struct preference){ format, weight };
}

enum page_format page_format_wanted(const struct http1_head *head)
{
    struct preference best = { PAGE_TEXT, 0 };

    for (size_t i = 0; head && i < head->count; i++) {
        struct str list = head->fields[i].value;
        while (head->fields[i].id == FIELD_ACCEPT && !str_empty(list)) {
            struct str member;
            list = str_cut(list, ',', &member);
            prefer(&best, member);
        }
    }
    return best.format;
}

static void print_text(FILE *out, const struct refusal *r)
{
    fprintf(out, "%s\n", r->first);
    if (r->detail[0])
        fprintf(out, "\n%s\n", r->detail);
    if (r->hint[0])
        fprintf(out, "%s%s\n", r->detail[0] ? "" : "\n", r->hint);
}

/* JSON is UTF-8, and what servers and clients say may not be: bytes above ASCII become
 * question marks. */
static void print_json_string(FILE *out, const char *s)
{
    fputc('"', out);
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < ' ')
            fprintf(out, "\\u%04x", c);
        else
            fputc(c < 0x7f ? c : '?', out);
    }
    fputc('"', out);
}

static void print_json(FILE *out, const struct refusal *r)
{
    fputs("{\"error\":", out);
    print_json_string(out, r->first);
    fprintf(out, ",\"status\":%d,\"detail\":", r->status);
    print_json_string(out, r->detail);
    fputs(",\"hint\":", out);
    print_json_string(out, r->hint);
    if (r->retry_after)
        fprintf(out, ",\"retryAfter\":%u", r->retry_after);
    fputs("}\n", out);
}

static void print_escaped(FILE *out, const char *s)
{
    for (; *s; s++) {
        const char *entity = *s == '<'    ? "&lt;"
                             : *s == '>'  ? "&gt;"
                             : *s == '&'  ? "&amp;"
                             : *s == '"'  ? "&quot;"
                             : *s == '\'' ? "&#39;"
                                          : NULL;
        if (entity)
            fputs(entity, out);
        else
            fputc(*s, out);
    }
}

static void print_element(FILE *out, const char *element, const char *text)
{
    if (!text[0])
        return;
    fprintf(out, "<%s>", element);
    print_escaped(out, text);
    fprintf(out, "</%s>\n", element);
}

static void print_html(FILE *out, const struct refusal *r)
{
    fprintf(out,
            "<!doctype html>\n<meta charset=\"utf-8\">\n<title>%d %s</title>\n"
            "<style>body{font:16px/1.5 sans-serif;max-width:44em;margin:3em auto;"
            "padding:0 1em}h1{font-size:1.2em}pre{white-space:pre-wrap}</style>\n",
            r->status, http1_reason(r->status));
    print_element(out, "h1", r->first);
    print_element(out, "p", r->detail);
    print_element(out, "pre", r->hint);
    if (r->link[0]) {
        fputs("<p><a href=\"", out);
        print_escaped(out, r->link);
        fputs("\">Log in</a></p>\n", out);
    }
    fprintf(out, "<p><small>%d, from kube-tunnel</small></p>\n", r->status);
}

void refusal_page(const struct refusal *r, enum page_format format, struct page *ret,
                  char **ret_text)
{
    static const struct {
        const char *type;
        void (*print)(FILE *out, const struct refusal *r);
    } formats[] = {
        [PAGE_TEXT] = { "text/plain; charset=utf-8", print_text },
        [PAGE_JSON] = { "application/json", print_json },
        [PAGE_HTML] = { "text/html; charset=utf-8", print_html },
    };
    size_t len = 0;
    FILE *out = open_memstream(ret_text, &len);
    if (!out)
        abort();
    formats[format].print(out, r);
    if (fclose(out))
        abort();
    *ret = (struct page){
        .status = r->status,
        .type = formats[format].type,
        .body = { *ret_text, len },
        .retry_after = r->retry_after,
    };
}
