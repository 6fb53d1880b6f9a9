/* route/name.c - host names by the Kubernetes DNS rules
 *
 * A name is read from its end: first the suffix, which determines the kind of the name
 * (the longest known suffix counts), then the remaining labels.  A name that is ambiguous
 * is refused with a reason, never guessed.
 */
#include "route/name.h"

#include <stdio.h>

#include "base/address.h"
#include "base/own.h"

#define LABEL_MAX 63
/* One more than the most labels that a name of the cluster has before its suffix, so that
 * longer names are noticed. */
#define LABELS_MAX 5

enum suffix { SUFFIX_SVC, SUFFIX_POD, SUFFIX_DEPLOY, SUFFIX_LOCALHOST, SUFFIX_NONE };

static void invalid(struct name *n, const char *problem)
{
    n->kind = NAME_INVALID;
    n->problem = problem;
}

static bool is_printable(char c)
{
    return c > ' ' && c <= '~';
}

/* Copies the host to n->text: in lower case, without one trailing dot, only printable. */
static struct str fold(struct name *n, struct str host)
{
    size_t len = host.len < NAME_ROOM ? host.len : NAME_ROOM - 1;

    for (size_t i = 0; i < len; i++) {
        char c = host.at[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        n->text[i] = is_printable(c) ? c : '?';
    }
    if (len && n->text[len - 1] == '.')
        n->text[--len] = '\0';
    return (struct str){ n->text, len };
}

static void parse_bracketed(struct name *n, struct str text)
{
    struct sockaddr_storage at = { 0 };
    bool closed = str_ends(text, STR("]"));
    struct str inside = closed ? str_skip(str_first(text, text.len - 1), 1) : text;

    if (!closed || !address_parse(inside, &at) || at.ss_family != AF_INET6) {
        invalid(n, "not an IPv6 address in brackets");
        return;
    }
    n->kind = NAME_OWN;
}

/* The error of a label, or NULL.  An underscore is only allowed at the start, of port and
 * protocol labels. */
static const char *label_fault(struct str label)
{
    if (str_empty(label))
        return "an empty label";
    if (label.len > LABEL_MAX)
        return "a label longer than 63 bytes";
    if (label.at[0] == '-' || label.at[label.len - 1] == '-')
        return "a label that begins or ends with a hyphen";
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
        if (!plain && !(c == '_' && i == 0 && label.len > 1))
            return "a byte that no host name has";
    }
    return NULL;
}

static const char *labels_fault(struct str text)
{
    struct str label;

    do {
        text = str_cut(text, '.', &label);
        const char *fault = label_fault(label);
        if (fault)
            return fault;
    } while (text.at);
    return NULL;
}

/* Removes ".<tail>" from the end, if text is left in front of it. */
static bool drop(struct str *s, struct str tail)
{
    if (s->len < tail.len + 2 || s->at[s->len - tail.len - 1] != '.' ||
        !str_iends(*s, tail))
        return false;
    *s = str_first(*s, s->len - tail.len - 1);
    return true;
}

/* Removes ".deploy", except from NAME.deploy with one label: that is a service in a
 * namespace called deploy, which may have existed before names of Deployments were
 * supported. */
static bool drop_deploy(struct str *s)
{
    struct str rest = *s;

    if (!drop(&rest, STR("deploy")) || !memchr(rest.at, '.', rest.len))
        return false;
    *s = rest;
    return true;
}

static enum suffix drop_kind(struct str *s)
{
    return drop(s, STR("svc"))   ? SUFFIX_SVC
           : drop(s, STR("pod")) ? SUFFIX_POD
           : drop_deploy(s)      ? SUFFIX_DEPLOY
                                 : SUFFIX_NONE;
}

static enum suffix drop_suffix(struct str *text, struct str zone,
                               enum name_suffix *ret_written)
{
    const struct {
        struct str tail;
        enum name_suffix written;
    } tails[] = {
        { zone, NAME_SUFFIX_ZONE },
        { STR("localhost"), NAME_SUFFIX_SVC_LOCALHOST },
        { STR(""), NAME_SUFFIX_SVC },
    };

    for (size_t i = 0; i < ARRAY_LEN(tails); i++) {
        struct str rest = *text;
        if (!str_empty(tails[i].tail) && !drop(&rest, tails[i].tail))
            continue;
        enum suffix found = drop_kind(&rest);
        if (found != SUFFIX_NONE) {
            *text = rest;
            *ret_written = tails[i].written;
            return found;
        }
    }
    if (!drop(text, STR("localhost")))
        return SUFFIX_NONE;
    *ret_written = NAME_SUFFIX_LOCALHOST;
    return SUFFIX_LOCALHOST;
}

/* Splits at dots from the left.  Returns the number of labels; `max` means that many or
 * more. */
static size_t split(struct str text, struct str *ret_labels, size_t max)
{
    size_t count = 0;

    while (text.at && count < max)
        text = str_cut(text, '.', &ret_labels[count++]);
    return count;
}

static bool is_marked(struct str label)
{
    return str_starts(label, STR("_"));
}

static void service_name(struct name *n, struct str service, struct str ns)
{
    if (is_marked(service) || is_marked(ns)) {
        invalid(n, "an underscore where a service or namespace belongs");
        return;
    }
    n->kind = NAME_SERVICE;
    n->service = service;
    n->ns = ns;
}

static void endpoint_name(struct name *n, const struct str labels[3])
{
    service_name(n, labels[1], labels[2]);
    if (n->kind == NAME_INVALID)
        return;
    if (is_marked(labels[0])) {
        invalid(
            n, "a port without its protocol: say _<port>._tcp.<service>.<namespace>.svc");
        return;
    }
    n->kind = NAME_ENDPOINT;
    n->endpoint = labels[0];
}

/* As in CoreDNS, the underscores of a port and a protocol are optional. */
static struct str without_mark(struct str label)
{
    return is_marked(label) ? str_skip(label, 1) : label;
}

static void port_form(struct name *n, const struct str labels[4])
{
    struct str proto = without_mark(labels[1]);
    bool tcp = str_eq(proto, STR("tcp"));

    if (!tcp && !str_eq(proto, STR("udp")) && !str_eq(proto, STR("sctp"))) {
        invalid(n, "two labels before a service are a port and its protocol: "
                   "_<port>._tcp, _udp or _sctp");
        return;
    }
    service_name(n, labels[2], labels[3]);
    n->port_name = without_mark(labels[0]);
    n->udp = !tcp;
}

static void parse_svc(struct name *n, struct str text)
{
    struct str labels[LABELS_MAX];

    switch (split(text, labels, LABELS_MAX)) {
    case 1:
        invalid(n, "no namespace: say <service>.<namespace>.svc");
        return;
    case 2:
        service_name(n, labels[0], labels[1]);
        return;
    case 3:
        endpoint_name(n, labels);
        return;
    case 4:
        port_form(n, labels);
        return;
    default:
        invalid(n, "too many labels before the service");
    }
}

static void parse_deploy(struct name *n, struct str text)
{
    struct str labels[LABELS_MAX];
    size_t count = split(text, labels, LABELS_MAX);

    if (count == 2)
        service_name(n, labels[0], labels[1]);
    else if (count == 4)
        port_form(n, labels);
    else
        invalid(n, "not a Deployment: say <deployment>.<namespace>.deploy");
    if (n->kind == NAME_SERVICE)
        n->kind = NAME_DEPLOYMENT;
}

/* "10-1-2-3" and "fd00--7" are addresses as DNS writes them; *ret gets the usual form. */
static bool undash(struct str label, char ret[static INET6_ADDRSTRLEN])
{
    struct sockaddr_storage at;
    char text[LABEL_MAX + 1] = "";

    if (label.len > LABEL_MAX)
        return false;
    for (int v6 = 0; v6 < 2; v6++) {
        for (size_t i = 0; i < label.len; i++)
            text[i] = label.at[i] != '-' ? label.at[i] : v6 ? ':' : '.';
        if (address_parse(str_first((struct str){ text, sizeof(text) }, label.len), &at))
            return address_ip_text((struct sockaddr *)&at, ret);
    }
    return false;
}

/* The name of a pod may itself have dots; its namespace may not. */
static void parse_pod(struct name *n, struct str text)
{
    struct str pod;
    struct str ns = str_cut_last(text, '.', &pod);

    if (!ns.at) {
        invalid(n, "no namespace: say <pod>.<namespace>.pod");
        return;
    }
    if (memchr(text.at, '_', text.len)) {
        invalid(n, "an underscore where a pod or namespace belongs");
        return;
    }
    n->kind = NAME_POD;
    n->ns = ns;
    n->endpoint = undash(pod, n->address) ? str_of(n->address) : pod;
}

static void parse_localhost(struct name *n, struct str text)
{
    struct str labels[3];
    size_t count = split(text, labels, 3);

    if (count == 2)
        service_name(n, labels[0], labels[1]);
    else if (count < 2)
        invalid(n, "no namespace: say <service>.<namespace>.localhost");
    else
        invalid(n, "too many labels: say <service>.<namespace>.localhost, "
                   "<service>.<namespace>.<context>.localhost, or "
                   "<pod>.<service>.<namespace>.svc.localhost");
}

static void parse_bare(struct name *n, struct str text, struct str zone)
{
    struct str labels[3];
    size_t count = split(text, labels, 3);

    if (count == 1)
        invalid(n, "no namespace: say <service>.<namespace>");
    else if (count > 2 || str_ieq(text, zone))
        invalid(n, "not a name of the cluster");
    else if (str_eq(labels[1], STR("svc")) || str_eq(labels[1], STR("pod")))
        invalid(n, "no namespace: say <service>.<namespace>.svc");
    else
        service_name(n, labels[0], labels[1]);
}

static void parse_form(struct name *n, enum suffix suffix, struct str text)
{
    if (suffix == SUFFIX_SVC)
        parse_svc(n, text);
    else if (suffix == SUFFIX_POD)
        parse_pod(n, text);
    else if (suffix == SUFFIX_DEPLOY)
        parse_deploy(n, text);
    else
        parse_localhost(n, text);
}

static bool is_kind_label(struct str label)
{
    return str_eq(label, STR("svc")) || str_eq(label, STR("pod")) ||
           str_eq(label, STR("deploy"));
}

/* Remove "<cluster>.<tail>" from a host that ends in .svc, .pod or .deploy before it. */
static bool drop_cluster(struct str *text, struct str tail, struct str *ret_cluster)
{
    struct str rest = *text, form;

    if (!drop(&rest, tail))
        return false;
    struct str cluster = str_cut_last(rest, '.', &form);
    struct str kind = cluster.at ? str_cut_last(form, '.', &rest) : STR("");
    if (!is_kind_label(kind) || is_kind_label(cluster) || is_marked(cluster))
        return false;
    *text = form;
    *ret_cluster = cluster;
    return true;
}

/* Exactly three labels before .localhost. */
static bool parse_three(struct name *n, struct str text)
{
    struct str labels[4];

    if (!drop(&text, STR("localhost")) || split(text, labels, 4) != 3 ||
        is_kind_label(labels[2]) || is_marked(labels[2]))
        return false;
    n->suffix = NAME_SUFFIX_LOCALHOST;
    n->cluster = labels[2];
    service_name(n, labels[0], labels[1]);
    return true;
}

/* Parses a name that contains the label of its cluster; false: it has another form. */
static bool parse_in_cluster(struct name *n, struct str text, struct str zone)
{
    struct str rest = text;

    if (!str_empty(zone) && drop(&rest, zone))
        return false;
    if (parse_three(n, text))
        return true;
    if (drop_cluster(&rest, STR("k8s"), &n->cluster))
        n->suffix = NAME_SUFFIX_K8S;
    else if (drop_cluster(&rest, STR("localhost"), &n->cluster))
        n->suffix = NAME_SUFFIX_SVC_LOCALHOST;
    else
        return false;
    enum suffix kind = drop_kind(&rest);
    if (kind == SUFFIX_NONE)
        invalid(n, "no namespace: say <deployment>.<namespace>.deploy");
    else
        parse_form(n, kind, rest);
    return true;
}

static void parse_labels(struct name *n, struct str text, struct str zone)
{
    const char *fault = labels_fault(text);
    if (fault) {
        invalid(n, fault);
        return;
    }

    struct str rest = text;
    if (parse_in_cluster(n, text, zone))
        return;
    enum suffix suffix = drop_suffix(&rest, zone, &n->suffix);
    if (suffix == SUFFIX_NONE)
        parse_bare(n, text, zone);
    else
        parse_form(n, suffix, rest);
}

static struct str without_dot(struct str zone)
{
    return str_ends(zone, STR(".")) ? str_first(zone, zone.len - 1) : zone;
}

void name_parse(struct str host, struct str zone, struct name *ret)
{
    const struct str nothing = STR("");

    memset(ret, 0, sizeof(*ret));
    ret->service = ret->ns = ret->endpoint = ret->port_name = ret->cluster = nothing;
    struct str text = fold(ret, host);

    if (str_empty(host) || str_eq(text, STR("localhost")) ||
        host_is_number(str_of(ret->text)))
        ret->kind = NAME_OWN;
    else if (text.len > NAME_MAX_LEN)
        invalid(ret, "longer than 253 bytes");
    else if (text.at[0] == '[')
        parse_bracketed(ret, text);
    else
        parse_labels(ret, text, without_dot(zone));
}

static bool names_service(const char *host, struct str zone, struct str service,
                          struct str ns)
{
    struct name n;

    name_parse(str_of(host), zone, &n);
    return n.kind == NAME_SERVICE && str_ieq(n.service, service) && str_ieq(n.ns, ns);
}

char *name_under_localhost(const char *service, const char *ns, struct str zone)
{
    char *host = xasprintf("%s.%s.localhost", service, ns);

    if (!names_service(host, zone, str_of(service), str_of(ns))) {
        free(host);
        host = xasprintf("%s.%s.svc.localhost", service, ns);
    }
    if (!names_service(host, zone, str_of(service), str_of(ns))) {
        free(host);
        host = NULL;
    }
    return host;
}

/* A view into `from` becomes the same view into `to`. */
static void rebase(struct str *view, struct name *to, const struct name *from)
{
    uintptr_t at = (uintptr_t)view->at, begin = (uintptr_t)from;

    if (at >= begin && at < begin + sizeof(*from))
        view->at = (const char *)to + (at - begin);
}

void name_copy(struct name *to, const struct name *from)
{
    *to = *from;
    rebase(&to->service, to, from);
    rebase(&to->ns, to, from);
    rebase(&to->endpoint, to, from);
    rebase(&to->port_name, to, from);
    rebase(&to->cluster, to, from);
}

static struct str without_brackets(struct str host)
{
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    return bracketed ? (struct str){ host.at + 1, host.len - 2 } : host;
}

bool name_of_address(struct str host, struct name *ret)
{
    struct sockaddr_storage at;

    if (host_is_loopback(host) || !address_parse(without_brackets(host), &at))
        return false;
    *ret = (struct name){ .kind = NAME_ADDRESS };
    address_ip_text((struct sockaddr *)&at, ret->address);
    memcpy(ret->text, ret->address, sizeof(ret->address));
    return true;
}

bool name_of_owner(const char *ns, const char *name, bool is_pod, struct name *ret)
{
    size_t name_len = strlen(name), ns_len = strlen(ns);

    *ret = (struct name){ .kind = is_pod ? NAME_POD : NAME_SERVICE,
                          .suffix = NAME_SUFFIX_SVC };
    int len = snprintf(ret->text, sizeof(ret->text), "%s.%s.%s", name, ns,
                       is_pod ? "pod" : "svc");
    *(is_pod ? &ret->endpoint : &ret->service) = (struct str){ ret->text, name_len };
    ret->ns = (struct str){ ret->text + name_len + 1, ns_len };
    return len > 0 && (size_t)len < sizeof(ret->text);
}

/* The host in *ret_host keeps its brackets. */
static enum err split_bracketed(struct str authority, struct str *ret_host,
                                struct str *ret_port)
{
    struct str host;
    struct str after = str_cut(authority, ']', &host);

    if (!after.at || host.len < 2 || (!str_empty(after) && after.at[0] != ':'))
        return ERR_PROTO;
    *ret_host = str_first(authority, host.len + 1);
    *ret_port = str_skip(after, 1);
    return OK;
}

static enum err split_plain(struct str authority, struct str *ret_host,
                            struct str *ret_port)
{
    struct str host;
    struct str port = str_cut(authority, ':', &host);

    if (port.at && str_empty(host))
        return ERR_PROTO;
    *ret_host = host;
    *ret_port = port;
    return OK;
}

enum err authority_split(struct str authority, struct str *ret_host, uint16_t *ret_port)
{
    struct str host, digits;
    uint64_t port = 0;
    enum err e = str_starts(authority, STR("["))
                     ? split_bracketed(authority, &host, &digits)
                     : split_plain(authority, &host, &digits);
    if (e)
        return e;

    /* "host:" is allowed and means the default (RFC 3986, section 3.2.3). */
    if (!str_empty(digits) && (str_to_uint(digits, UINT16_MAX, &port) != OK || port == 0))
        return ERR_PROTO;
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return OK;
}
