#include "dns/answer.h"

#include <stdio.h>
#include <string.h>

#include "catalog/service.h"

#define REFRESH_S 7200
#define RETRY_S 1800
#define EXPIRE_S 86400
#define VERSION_TTL 28800
#define ANY_TTL 8482
#define SPECIFICATION "1.1.0" /* of Kubernetes' DNS names */
#define LABELS_ROOM 256

static struct dns_spelled in_zone(const struct answering *a, struct str labels)
{
    struct dns_spelled name = dns_question_from(a->query, a->zone->label);
    name.labels = labels;
    return name;
}

static void add_soa(struct answering *a, enum dns_section section)
{
    const struct dns_soa soa = {
        .server = in_zone(a, STR("ns.dns")),
        .mailbox = in_zone(a, STR("hostmaster")),
        .serial = a->serial,
        .refresh = REFRESH_S,
        .retry = RETRY_S,
        .expire = EXPIRE_S,
        .minimum = ANSWER_TTL,
    };
    dns_add_soa(a->response, section, in_zone(a, STR("")), ANSWER_TTL, &soa);
}

void answer_without_records(struct answering *a, enum dns_rcode rcode)
{
    a->response->authoritative = true;
    a->response->rcode = rcode;
    add_soa(a, DNS_AUTHORITY);
}

void answer_any(struct answering *a)
{
    dns_add_hinfo(a->response, a->name, ANY_TTL, STR("ANY obsoleted"),
                  STR("See RFC 8482"));
}

/* ns.dns is the address at which this question came in. */
static void answer_name_server(struct answering *a)
{
    if (a->query->type != DNS_A || !a->own.s_addr) {
        answer_without_records(a, DNS_NOERROR);
        return;
    }
    a->response->authoritative = true;
    dns_add_a(a->response, DNS_ANSWER, a->name, ANSWER_TTL, a->own);
}

static void answer_apex(struct answering *a)
{
    struct dns_response *r = a->response;
    struct dns_spelled server = in_zone(a, STR("ns.dns"));

    if (a->query->type != DNS_SOA && a->query->type != DNS_NS) {
        answer_without_records(a, DNS_NOERROR);
        return;
    }
    r->authoritative = true;
    if (a->query->type == DNS_SOA) {
        add_soa(a, DNS_ANSWER);
        return;
    }
    dns_add_name(r, DNS_ANSWER, a->name, DNS_NS, ANSWER_TTL, server);
    if (a->own.s_addr)
        dns_add_a(r, DNS_ADDITIONAL, server, ANSWER_TTL, a->own);
}

static void answer_version(struct answering *a)
{
    if (a->query->type != DNS_TXT) {
        answer_without_records(a, DNS_NOERROR);
        return;
    }
    a->response->authoritative = true;
    dns_add_txt(a->response, a->name, VERSION_TTL, STR(SPECIFICATION));
}

bool answer_fixed(struct answering *a, const struct subject *subject)
{
    switch (subject->kind) {
    case SUBJECT_NONE:
        answer_without_records(a, DNS_NXDOMAIN);
        return true;
    case SUBJECT_EMPTY:
        answer_without_records(a, DNS_NOERROR);
        return true;
    case SUBJECT_APEX:
        answer_apex(a);
        return true;
    case SUBJECT_NAME_SERVER:
        answer_name_server(a);
        return true;
    case SUBJECT_VERSION:
        answer_version(a);
        return true;
    case SUBJECT_NAMESPACE:
    case SUBJECT_SERVICE:
    case SUBJECT_POD:
        break;
    }
    return false;
}

/* --- addresses --- */

static enum err open_address(struct answering *a, const struct service *s, struct str pod,
                             struct in_addr *ret)
{
    const struct address_key key = {
        .cluster = a->zone->cluster,
        .ns = str_of(s->ns),
        .service = s->kind == SERVICE_POD ? STR("") : str_of(s->name),
        .pod = pod,
    };
    return a->addresses->open(a->addresses->owner, &key, s, ret);
}

/* Some addresses may have failed.  An answer without any is an error, because the name exists. */
static void end_addresses(struct answering *a, size_t failed)
{
    const struct dns_response *r = a->response;

    if (r->counts[DNS_ANSWER] || r->truncated)
        a->response->authoritative = true;
    else
        answer_without_records(a, failed ? DNS_SERVFAIL : DNS_NOERROR);
}

static void answer_address(struct answering *a, const struct service *s, struct str pod)
{
    struct in_addr address;
    enum err e = open_address(a, s, pod, &address);

    if (!e)
        dns_add_a(a->response, DNS_ANSWER, a->name, ANSWER_TTL, address);
    end_addresses(a, e ? 1 : 0);
}

/* Names of pods may have dots, such as those of static pods on "ip-10-0-0-1.ec2.internal". */
static bool is_label(const char *name)
{
    return name && name[0] && !strchr(name, '.');
}

void answer_pod(struct answering *a, const struct subject *subject,
                const struct service *service)
{
    char ip[DASHED_ROOM];
    struct str pod = subject->pod;

    if (dashed_to_address(pod, ip) && service->endpoint_count &&
        is_label(service->endpoints[0]->pod))
        pod = str_of(service->endpoints[0]->pod);
    if (a->query->type == DNS_A)
        answer_address(a, service, pod);
    else
        answer_without_records(a, DNS_NOERROR);
}

/* --- what of a service a question means --- */

static bool port_matches(const struct subject *subject, const struct service_port *p)
{
    struct str protocol = subject->protocol;

    if (subject->port.len && !str_ieq(subject->port, str_of(p->name)))
        return false;
    return !protocol.len || str_eq(protocol, p->tcp ? STR("tcp") : STR("udp"));
}

static bool has_hostname(const struct endpoint *e)
{
    return e->hostname && e->hostname[0];
}

/* An endpoint has its host name, or its address if it has none, and always the name of its
 * pod. */
static bool endpoint_matches(const struct subject *subject, const struct endpoint *e)
{
    char dashed[DASHED_ROOM];
    struct str label = subject->endpoint;

    if (!e->ready)
        return false;
    if (!label.len || (e->pod && str_ieq(label, str_of(e->pod))))
        return true;
    if (has_hostname(e))
        return str_ieq(label, str_of(e->hostname));
    return e->ip && address_to_dashed(e->ip, dashed) && str_ieq(label, str_of(dashed));
}

/* Its name in SRV records. */
static struct str endpoint_label(const struct endpoint *e, char room[static DASHED_ROOM])
{
    if (has_hostname(e))
        return str_of(e->hostname);
    if (e->ip && address_to_dashed(e->ip, room))
        return str_of(room);
    return str_of(e->pod);
}

/* The label of an endpoint from which its loopback address is computed. */
static struct str endpoint_key(const struct endpoint *e, char room[static DASHED_ROOM])
{
    return !has_hostname(e) && is_label(e->pod) ? str_of(e->pod)
                                                : endpoint_label(e, room);
}

/* Does the question mean single endpoints, and not the service as a whole? */
static bool means_endpoints(const struct subject *subject, const struct service *s)
{
    return s->headless || subject->endpoint.len;
}

static size_t ports_matching(const struct subject *subject, const struct service *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->port_count; i++)
        n += port_matches(subject, &s->ports[i]);
    /* a headless service may have none */
    return s->port_count || subject->port.len || !s->headless ? n : 1;
}

static size_t endpoints_matching(const struct subject *subject, const struct service *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->endpoint_count && n < SERVICE_SUBSET; i++)
        n += endpoint_matches(subject, s->endpoints[i]);
    return n;
}

static bool has_records(const struct subject *subject, const struct service *s)
{
    return ports_matching(subject, s) &&
           (!means_endpoints(subject, s) || endpoints_matching(subject, s));
}

static void answer_endpoints(struct answering *a, const struct subject *subject,
                             const struct service *s)
{
    size_t failed = 0, tried = 0;

    for (size_t i = 0; i < s->endpoint_count && !a->response->truncated; i++) {
        const struct endpoint *e = s->endpoints[i];
        struct in_addr address;
        char room[DASHED_ROOM];
        if (!endpoint_matches(subject, e))
            continue;
        if (tried++ == SERVICE_SUBSET)
            break;
        if (open_address(a, s, endpoint_key(e, room), &address))
            failed++;
        else
            dns_add_a(a->response, DNS_ANSWER, a->name, ANSWER_TTL, address);
    }
    end_addresses(a, failed);
}

/* --- SRV records --- */

/* The targets of an answer: their places in the message, for the addresses that follow. */
struct targets {
    uint16_t weight;
    size_t count;
    struct {
        const struct endpoint *endpoint; /* NULL: the service itself */
        uint16_t at;
    } list[SERVICE_SUBSET];
};

/* endpoint NULL: the service itself. */
static void spell_target(const struct service *s, const struct endpoint *e,
                         char text[static LABELS_ROOM])
{
    char room[DASHED_ROOM];
    struct str label = e ? endpoint_label(e, room) : STR("");

    snprintf(text, LABELS_ROOM, "%.*s%s%s.%s.svc", STR_ARG(label), label.len ? "." : "",
             s->name, s->ns);
}

static void add_target(struct answering *a, const struct subject *subject,
                       const struct service *s, const struct endpoint *e,
                       struct targets *all)
{
    char text[LABELS_ROOM];
    uint16_t at = 0;

    spell_target(s, e, text);
    for (size_t i = 0; i < s->port_count; i++) {
        uint16_t port = e ? endpoint_port(s, e, i) : s->ports[i].number;
        const struct dns_srv srv = { 0, all->weight, port, in_zone(a, str_of(text)) };
        if (port && port_matches(subject, &s->ports[i]))
            dns_add_srv(a->response, a->name, ANSWER_TTL, &srv, &at);
    }
    if (!at)
        return;
    all->list[all->count].endpoint = e;
    all->list[all->count++].at = at;
}

static void add_target_addresses(struct answering *a, const struct service *s,
                                 const struct targets *all)
{
    for (size_t i = 0; i < all->count; i++) {
        struct in_addr address;
        char room[DASHED_ROOM];
        const struct endpoint *e = all->list[i].endpoint;
        struct dns_spelled name = { .tail = all->list[i].at };
        if (!open_address(a, s, e ? endpoint_key(e, room) : STR(""), &address))
            dns_add_a(a->response, DNS_ADDITIONAL, name, ANSWER_TTL, address);
    }
}

static uint16_t weight_of(size_t records)
{
    return records == 0 || records >= 100 ? 1 : (uint16_t)(100 / records);
}

static void answer_srv(struct answering *a, const struct subject *subject,
                       const struct service *s)
{
    size_t ports = ports_matching(subject, s);
    struct targets all = { .count = 0 };

    if (!means_endpoints(subject, s)) {
        all.weight = weight_of(ports);
        add_target(a, subject, s, NULL, &all);
    } else {
        all.weight = weight_of(ports * endpoints_matching(subject, s));
        for (size_t i = 0; i < s->endpoint_count && all.count < SERVICE_SUBSET; i++)
            if (endpoint_matches(subject, s->endpoints[i]))
                add_target(a, subject, s, s->endpoints[i], &all);
    }
    add_target_addresses(a, s, &all);
    end_addresses(a, 0);
}

/* --- services --- */

static bool answer_normal(struct answering *a, const struct subject *subject,
                          const struct service *s)
{
    if (!has_records(subject, s))
        answer_without_records(a, DNS_NXDOMAIN);
    else if (a->query->type == DNS_SRV)
        answer_srv(a, subject, s);
    else if (a->query->type != DNS_A)
        answer_without_records(a, DNS_NOERROR);
    else if (means_endpoints(subject, s))
        answer_endpoints(a, subject, s);
    else
        answer_address(a, s, STR(""));
    return true;
}

bool answer_service(struct answering *a, const struct subject *subject,
                    const struct service *s)
{
    if (s->kind != SERVICE_EXTERNAL)
        return answer_normal(a, subject, s);
    enum dns_type type = (enum dns_type)a->query->type;
    if (subject->endpoint.len || subject->port.len || subject->protocol.len) {
        answer_without_records(a, DNS_NXDOMAIN);
        return true;
    }
    if (type == DNS_A || type == DNS_AAAA || type == DNS_CNAME)
        return false;
    answer_without_records(a, DNS_NOERROR);
    return true;
}

void answer_alias(struct answering *a, struct dns_spelled target)
{
    a->response->authoritative = true;
    dns_add_name(a->response, DNS_ANSWER, a->name, DNS_CNAME, ANSWER_TTL, target);
    a->name = target;
}

bool answer_reverse(struct answering *a, const char *plain)
{
    struct address_key key;
    char text[LABELS_ROOM];
    char suffix[LABELS_ROOM];

    if (!a->addresses->owner_of(a->addresses->owner, a->zone->address, &key))
        return false;
    if (key.cluster.len)
        snprintf(suffix, sizeof(suffix), "%.*s.k8s", STR_ARG(key.cluster));
    else
        snprintf(suffix, sizeof(suffix), "%s", plain);
    bool service = key.service.len;
    int len = snprintf(text, sizeof(text), "%.*s%s%.*s%s%.*s.%s.%s", STR_ARG(key.pod),
                       service && key.pod.len ? "." : "", STR_ARG(key.service), ".",
                       STR_ARG(key.ns), service ? "svc" : "pod", suffix);
    if (len < 0 || (size_t)len >= sizeof(text))
        return false;
    if (a->query->type != DNS_PTR) {
        answer_without_records(a, DNS_NOERROR);
        return true;
    }
    a->response->authoritative = true;
    dns_add_name(a->response, DNS_ANSWER, a->name, DNS_PTR, ANSWER_TTL,
                 (struct dns_spelled){ str_of(text), 0 });
    return true;
}
