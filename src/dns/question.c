#include "dns/question.h"

#include <stdio.h>
#include <time.h>

#include "base/address.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "dns/forward.h"
#include "dns/namespaces.h"
#include "net/loop.h"
#include "route/naming.h"

LOG_MODULE(dns);

#define ALIASES_MAX 8 /* CNAMEs of one answer */
#define CACHED_MS (ANSWER_TTL * 1000)
#define FREE_QUESTIONS 16
#define LABELS_ROOM 256

static struct metric waiting = {
    .name = "kube_tunnel_dns_questions",
    .help = "DNS questions that wait for a look-up",
    .type = METRIC_GAUGE,
};

struct question {
    struct questions *all;
    struct list_node node; /* waiting, or free */
    struct dns_client client;
    struct dns_query query;
    struct zone zone;
    struct subject subject; /* of the query's name, or of `target` */
    struct dns_name target; /* of the last alias */
    /* The targets of the aliases that were followed, without the zone. */
    char aliases[ALIASES_MAX][LABELS_ROOM];
    size_t alias_count;
    struct cluster *cluster; /* a reference, or NULL */
    struct lookup lookup;
    struct namespace_want ns;
    struct task wake;
    struct timer deadline;
    bool waits;
};

struct questions {
    struct questions_parts parts;
    struct sched *sched;
    struct namespaces *namespaces;
    struct list_node waiting, unused;
    size_t waiting_count, unused_count;
    uint32_t serial;
    uint8_t room[RESPONSE_MAX];
};

static bool has_label(const void *owner, struct str label)
{
    return clusters_have_label(owner, label);
}

/* --- lifetime --- */

static void release_question(struct question *q)
{
    struct questions *all = q->all;

    if (q->waits) {
        q->waits = false;
        all->waiting_count--;
        metric_add(&waiting, 0, -1);
    }
    lookup_finish(&q->lookup);
    namespaces_leave(&q->ns);
    cluster_unref(TAKE(q->cluster));
    task_cancel(&q->wake);
    timer_stop(&q->deadline);
    list_remove(&q->node);
    if (all->unused_count >= FREE_QUESTIONS) {
        free(q);
        return;
    }
    list_append(&all->unused, &q->node);
    all->unused_count++;
}

static void on_wake(struct task *t);
static void on_deadline(struct timer *t);

static struct question *take_question(struct questions *all)
{
    struct question *q;

    if (all->unused_count) {
        q = list_first(&all->unused, struct question, node);
        list_remove(&q->node);
        all->unused_count--;
        return q;
    }
    q = xcalloc(1, sizeof(*q));
    q->all = all;
    list_init(&q->node);
    task_init(&q->wake, all->sched, RANK_WORK, on_wake);
    timer_init(&q->deadline, all->sched, on_deadline);
    return q;
}

struct questions *questions_create(const struct questions_parts *parts)
{
    struct questions *all = xcalloc(1, sizeof(*all));

    metrics_register(&waiting);
    all->parts = *parts;
    all->sched = loop_sched(parts->loop);
    all->namespaces = namespaces_create(all->sched);
    all->serial = (uint32_t)time(NULL);
    list_init(&all->waiting);
    list_init(&all->unused);
    return all;
}

void questions_destroy(struct questions *all)
{
    if (!all)
        return;
    list_for_each (q, &all->waiting, struct question, node)
        release_question(q);
    list_for_each (q, &all->unused, struct question, node) {
        list_remove(&q->node);
        free(q);
    }
    namespaces_destroy(all->namespaces);
    free(all);
}

void questions_set_forward(struct questions *all, struct dns_forward *forward)
{
    all->parts.forward = forward;
}

void questions_forget(struct questions *all, const void *transport)
{
    if (all->parts.forward)
        dns_forward_forget(all->parts.forward, transport);
    list_for_each (q, &all->waiting, struct question, node)
        if (q->client.transport == transport)
            release_question(q);
}

size_t questions_waiting(const struct questions *all)
{
    return all->waiting_count;
}

/* --- responses --- */

static void begin_response(struct question *q, struct dns_response *r)
{
    size_t datagram = q->query.udp_size < DNS_UDP_MAX ? q->query.udp_size : DNS_UDP_MAX;

    dns_response_begin(r, &q->query, q->all->room,
                       q->client.stream ? RESPONSE_MAX : datagram);
    r->recursion_available = q->all->parts.forward != NULL;
}

static void send_response(struct question *q, struct dns_response *r)
{
    size_t len = dns_response_end(r);

    dns_respond(&q->client, r->room, len);
    release_question(q);
}

static struct answering answering_of(struct question *q, struct dns_response *r)
{
    return (struct answering){
        .response = r,
        .query = &q->query,
        .zone = &q->zone,
        .name = dns_question_from(&q->query, 0),
        .serial = q->all->serial,
        .own = q->client.own,
        .addresses = q->all->parts.addresses,
    };
}

static struct dns_spelled alias_of(const struct question *q, size_t i)
{
    struct dns_spelled name = dns_question_from(&q->query, q->zone.label);
    name.labels = str_of(q->aliases[i]);
    return name;
}

/* A name that does not exist, or has no records, is answered without the aliases to it, as
 * CoreDNS does. */
static void respond_without_records(struct question *q, enum dns_rcode rcode)
{
    struct dns_response r;

    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    answer_without_records(&a,
                           q->alias_count && rcode == DNS_NXDOMAIN ? DNS_NOERROR : rcode);
    send_response(q, &r);
}

static void respond_refusal(struct question *q, enum dns_rcode rcode)
{
    struct dns_response r;

    begin_response(q, &r);
    r.rcode = rcode;
    send_response(q, &r);
}

static enum dns_rcode rcode_of(enum err e)
{
    return e == OK                                    ? DNS_NOERROR
           : e == ERR_NOT_FOUND || e == ERR_FORBIDDEN ? DNS_NXDOMAIN
                                                      : DNS_SERVFAIL;
}

/* --- look-ups --- */

static bool source_has_too_many(const struct question *q)
{
    const struct sockaddr *peer = (const struct sockaddr *)&q->client.peer;
    struct str bytes = address_bytes(peer);
    size_t n = 0;

    if (address_is_loopback(peer))
        return false;
    list_for_each (other, &q->all->waiting, struct question, node)
        n += str_eq(address_bytes((const struct sockaddr *)&other->client.peer), bytes);
    return n >= SOURCE_QUESTIONS_MAX;
}

static void wait_for_answer(struct question *q)
{
    struct questions *all = q->all;

    if (q->waits)
        return;
    if (all->waiting_count >= QUESTIONS_MAX || source_has_too_many(q)) {
        respond_without_records(q, DNS_SERVFAIL);
        return;
    }
    q->waits = true;
    all->waiting_count++;
    metric_add(&waiting, 0, 1);
    list_append(&all->waiting, &q->node);
    timer_set(&q->deadline, QUESTION_MS);
}

static void run_question(struct question *q);

static bool ends_in_zone(const struct question *q, const struct dns_name *name,
                         size_t *ret)
{
    const struct zones zones = { q->all->parts.naming, has_label,
                                 q->all->parts.clusters };
    struct zone zone;

    zone_find(&zones, name, &zone);
    *ret = zone.label;
    return zone.kind == ZONE_CLUSTER && zone.cluster.len == 0 && zone.label > 0;
}

/* The labels of the target before its zone; answers have the zone of the question instead. */
static bool spell_alias(const struct dns_name *target, size_t labels, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < labels; i++) {
        struct str label = dns_label(target, i);
        if (memchr(label.at, '.', label.len) || len + label.len + 2 > LABELS_ROOM)
            return false;
        if (i)
            out[len++] = '.';
        len = str_append(out, LABELS_ROOM, len, label);
    }
    out[len] = '\0';
    return true;
}

static void add_aliases(struct question *q, struct answering *a)
{
    for (size_t i = 0; i < q->alias_count; i++)
        answer_alias(a, alias_of(q, i));
}

/* An ExternalName outside the zone: its resolver follows it. */
static void respond_with_outside_name(struct question *q, const char *external)
{
    struct dns_response r;

    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    add_aliases(q, &a);
    answer_alias(&a, (struct dns_spelled){ str_of(external), 0 });
    send_response(q, &r);
}

/* A target in the zone of this cluster is a service of the same cluster: in a question about
 * the zone of another context, it is answered with a name of that zone. */
static void follow_external(struct question *q, const char *external)
{
    struct dns_name target;
    struct str text = str_of(external);
    size_t labels;

    if (str_ends(text, STR(".")))
        text.len--;
    if (!dns_name_of(text, &target)) {
        respond_without_records(q, DNS_SERVFAIL);
        return;
    }
    bool inside = ends_in_zone(q, &target, &labels);
    if (!inside) {
        AUTO_FREE char *copy = str_dup(text);
        respond_with_outside_name(q, copy);
        return;
    }
    if (q->alias_count == ALIASES_MAX ||
        !spell_alias(&target, labels, q->aliases[q->alias_count])) {
        respond_without_records(q, DNS_NOERROR);
        return;
    }
    q->alias_count++;
    if (q->query.type == DNS_CNAME) {
        struct dns_response r;
        begin_response(q, &r);
        struct answering a = answering_of(q, &r);
        add_aliases(q, &a);
        send_response(q, &r);
        return;
    }
    q->target = target;
    const struct zone inner = { .kind = ZONE_CLUSTER, .label = labels };
    subject_read(&q->target, &inner, &q->subject);
    lookup_finish(&q->lookup);
    run_question(q);
}

static void respond_with_service(struct question *q)
{
    const struct service *s = q->lookup.service;
    struct dns_response r;

    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    add_aliases(q, &a);
    if (q->subject.kind == SUBJECT_POD) {
        answer_pod(&a, &q->subject, s);
    } else if (!answer_service(&a, &q->subject, s)) {
        AUTO_FREE char *external = xstrdup(s->external_name ? s->external_name : "");
        follow_external(q, external);
        return;
    }
    bool has_records = r.counts[DNS_ANSWER] > q->alias_count || r.truncated;
    if (q->alias_count && (!has_records || r.rcode))
        respond_without_records(q, r.rcode);
    else
        send_response(q, &r);
}

static void log_failed_lookup(const struct question *q)
{
    const struct lookup *l = &q->lookup;
    char name[DNS_NAME_ROOM];

    if (l->result == ERR_NOT_FOUND || !dns_name_text(&q->query.name, name))
        return;
    log_debug(NO_ID, "a DNS look-up failed", LOG_S("name", name),
              LOG_S("reason", diag_text(&l->error.why, l->result)));
}

static void respond_with_lookup(struct question *q)
{
    enum err e = q->lookup.result;

    if (e == ERR_AGAIN) {
        wait_for_answer(q);
        return;
    }
    if (e)
        log_failed_lookup(q);
    if (e)
        respond_without_records(q, rcode_of(e));
    else
        respond_with_service(q);
}

static void respond_with_namespace(struct question *q)
{
    if (q->ns.result == ERR_AGAIN)
        wait_for_answer(q);
    else
        respond_without_records(q, rcode_of(q->ns.result));
}

/* A question from the network may not make a person log in at the terminal. */
static enum err find_cluster(struct question *q)
{
    struct clusters *clusters = q->all->parts.clusters;
    struct diag why = { "" };

    if (q->cluster)
        return OK;
    if (clusters_need_login(clusters, q->zone.cluster, &why))
        return ERR_CREDENTIALS;
    return clusters_find(clusters, q->zone.cluster, &q->cluster, &why);
}

static void look_up(struct question *q)
{
    struct catalog *catalog;

    if (find_cluster(q)) {
        respond_without_records(q, DNS_SERVFAIL);
        return;
    }
    if (q->subject.kind == SUBJECT_NAMESPACE) {
        namespaces_ask(q->all->namespaces, q->cluster, q->subject.ns, &q->ns, &q->wake);
        respond_with_namespace(q);
        return;
    }
    catalog = q->cluster->catalog;
    if (q->subject.kind == SUBJECT_POD) {
        char ip[DASHED_ROOM];
        bool address = dashed_to_address(q->subject.pod, ip);
        catalog_lookup_pod(catalog, q->subject.ns, address ? str_of(ip) : q->subject.pod,
                           CACHED_MS, &q->lookup, &q->wake);
    } else {
        catalog_lookup(catalog, q->subject.ns, q->subject.service, CACHED_MS, &q->lookup,
                       &q->wake);
    }
    respond_with_lookup(q);
}

/* Answers what can be answered now; the question may be gone when this returns. */
static void run_question(struct question *q)
{
    const struct questions_parts *p = &q->all->parts;
    struct dns_response r;

    if (q->subject.ns.len && !p->is_open(p->owner, q->subject.ns)) {
        respond_without_records(q, DNS_NXDOMAIN);
        return;
    }
    if (q->alias_count) { /* the target of an ExternalName has to be a service's or a pod's */
        bool named = q->subject.kind == SUBJECT_SERVICE || q->subject.kind == SUBJECT_POD;
        if (!named || q->query.type != DNS_A) {
            respond_without_records(q, DNS_NOERROR);
            return;
        }
        look_up(q);
        return;
    }
    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    if (answer_fixed(&a, &q->subject))
        send_response(q, &r);
    else
        look_up(q);
}

static void on_wake(struct task *t)
{
    struct question *q = container_of(t, struct question, wake);

    if (q->subject.kind == SUBJECT_NAMESPACE)
        respond_with_namespace(q);
    else
        respond_with_lookup(q);
}

static void on_deadline(struct timer *t)
{
    respond_without_records(container_of(t, struct question, deadline), DNS_SERVFAIL);
}

/* --- questions --- */

/* Not of our zones. */
static void pass_on(struct question *q)
{
    struct dns_forward *forward = q->all->parts.forward;

    if (forward && dns_forward_ask(forward, &q->client, &q->query))
        release_question(q);
    else
        respond_refusal(q, forward ? DNS_SERVFAIL : DNS_REFUSED);
}

static void run_reverse(struct question *q)
{
    struct dns_response r;

    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    if (answer_reverse(&a, naming_zone(q->all->parts.naming)))
        send_response(q, &r);
    else
        pass_on(q);
}

static void run_any(struct question *q)
{
    struct dns_response r;

    begin_response(q, &r);
    struct answering a = answering_of(q, &r);
    answer_any(&a);
    send_response(q, &r);
}

static bool is_transfer(const struct dns_query *query)
{
    return query->type == DNS_AXFR || query->type == DNS_IXFR;
}

static void start_question(struct question *q)
{
    const struct questions_parts *p = &q->all->parts;
    const struct zones zones = { p->naming, has_label, p->clusters };

    if (q->query.rcode) {
        respond_refusal(q, q->query.rcode);
        return;
    }
    if (q->query.class != DNS_CLASS_IN || is_transfer(&q->query)) {
        respond_refusal(q, DNS_REFUSED);
        return;
    }
    zone_find(&zones, &q->query.name, &q->zone);
    if (q->zone.kind == ZONE_NONE)
        pass_on(q);
    else if (q->query.type == DNS_ANY)
        run_any(q);
    else if (q->zone.kind == ZONE_REVERSE)
        run_reverse(q);
    else {
        subject_read(&q->query.name, &q->zone, &q->subject);
        run_question(q);
    }
}

enum err questions_ask(struct questions *all, const struct dns_client *client,
                       const uint8_t *bytes, size_t len)
{
    struct question *q = take_question(all);

    q->alias_count = 0;
    q->client = *client;
    enum err e = dns_query_decode(bytes, len, &q->query);
    if (e)
        release_question(q);
    else
        start_question(q);
    return e;
}
