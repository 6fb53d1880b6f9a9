/* upstream/tls_ports.c - TLS with services: to which service ports, and with which verification
 */
#include "upstream/tls_ports.h"

#include <assert.h>
#include <stdio.h>

#include "base/log.h"
#include "base/map.h"
#include "base/metrics.h"
#include "base/own.h"
#include "catalog/service.h"
#include "net/tls_service.h"
#include "upstream/tls_failure.h"
#include "upstream/tls_rules.h"

LOG_MODULE(upstream);

#define TLS_PORTS_MAX 1024 /* with more, those without references are forgotten */
#define KEY_ROOM 720       /* "NS/NAME:PORT" and "/ENDPOINT" at their longest */

struct tls_port {
    unsigned refs; /* one of the map */
    struct tls_ports *owner;
    struct tls_context *context; /* made at the first handshake */
    uint32_t number;
    uint16_t port;       /* the service's */
    bool declared;       /* the service declares TLS; else the port's number means it */
    uint64_t plain_till; /* sched ms; 0: it has not answered plainly */
    enum service_kind kind;
    const struct tls_rule *rule;   /* of `rules`; or NULL */
    struct tls_rules *rules;       /* a reference */
    char *ns, *service, *endpoint; /* endpoint: "" where no endpoint is named */
};

struct tls_ports {
    struct sched *sched;
    struct chunk_pool *pool;
    const struct upstream_settings *settings;
    char *found_zone;        /* or NULL */
    struct tls_rules *rules; /* a reference; NULL: all ports are spoken to plainly */
    struct tls_trust *trust; /* of services whose rule has none */
    struct map ports;        /* struct tls_port, by key */
    uint32_t last_number;
};

static struct metric metric_handshakes = {
    .name = "kube_tunnel_pod_tls_handshakes_total",
    .help = "TLS handshakes with pods, by their outcome.",
    .type = METRIC_COUNTER,
    .label = "outcome",
    .values = { "full", "resumed", "certificate", "not_tls", "failed" },
};

enum outcome { FULL, RESUMED, CERTIFICATE, NOT_TLS, FAILED };

static void count_outcome(const struct tls_port *p, enum outcome outcome)
{
    metric_add_for(&metric_handshakes, p->owner->settings->cluster, outcome, 1);
}

/* ---- names ---- */

struct names {
    char *owned[TLS_NAMES_MAX];
    const char *list[TLS_NAMES_MAX + 1];
    size_t count;
};

static void add_name(struct names *n, char *name)
{
    assert(n->count < TLS_NAMES_MAX);
    n->owned[n->count] = name;
    n->list[n->count++] = name;
}

static void names_finish(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->owned[i]);
}

static const char *suffix_of(enum service_kind kind)
{
    return kind == SERVICE_POD ? "pod" : kind == SERVICE_DEPLOYMENT ? "deploy" : "svc";
}

/* Of a service, or, with the endpoint's label and a dot before it, of one endpoint. */
static void add_forms(struct names *n, const struct tls_port *p, const char *label,
                      const char *dot)
{
    const struct tls_ports *t = p->owner;
    const char *suffix = suffix_of(p->kind), *zone = t->settings->zone;

    if (zone)
        add_name(
            n, xasprintf("%s%s%s.%s.%s.%s", label, dot, p->service, p->ns, suffix, zone));
    if (t->found_zone && (!zone || strcmp(t->found_zone, zone) != 0))
        add_name(n, xasprintf("%s%s%s.%s.%s.%s", label, dot, p->service, p->ns, suffix,
                              t->found_zone));
    add_name(n, xasprintf("%s%s%s.%s.%s", label, dot, p->service, p->ns, suffix));
}

/* "web.shop" only with authorities of the rule's own: namespaces like dev and app are public
 * domains, too, in which the system's authorities sign names of others. */
static void names_of(const struct tls_port *p, struct names *ret)
{
    if (p->rule && p->rule->server_name) {
        add_name(ret, xstrdup(p->rule->server_name));
        return;
    }
    if (p->endpoint[0])
        add_forms(ret, p, p->endpoint, ".");
    add_forms(ret, p, "", "");
    if (p->rule && p->rule->trust)
        add_name(ret, xasprintf("%s.%s", p->service, p->ns));
}

static struct tls_context *context_of(const struct tls_port *p)
{
    const struct tls_rule *rule = p->rule;
    AUTO(names_finish) struct names names = { .count = 0 };
    bool own = rule && rule->trust;

    names_of(p, &names);
    return tls_context_of_service(&(struct tls_service_settings){
        .trust = own ? rule->trust : p->owner->trust,
        .names = names.list,
        .unverified = rule && rule->unverified,
        .pin = rule && rule->has_pin ? rule->pin : NULL,
    });
}

/* ---- finding ---- */

static void tls_port_free(struct tls_port *p)
{
    tls_context_unref(p->context);
    tls_rules_unref(p->rules);
    free(p->ns);
    free(p->service);
    free(p->endpoint);
    free(p);
}

void tls_port_unref(struct tls_port *p)
{
    if (p && --p->refs == 0)
        tls_port_free(p);
}

static void forget(struct tls_ports *t, bool all)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&t->ports, &at));) {
        struct tls_port *p = e->value;
        if (!all && p->refs > 1)
            continue;
        map_remove(&t->ports, str_of(e->key));
        tls_port_unref(p);
    }
}

static struct tls_port *tls_port_create(struct tls_ports *t, const char *key,
                                        const struct route *r, const struct service *s)
{
    struct tls_port *p = xcalloc(1, sizeof(*p));

    if (t->ports.count >= TLS_PORTS_MAX)
        forget(t, false);
    p->refs = 1;
    p->owner = t;
    p->number = ++t->last_number;
    p->kind = s->kind;
    p->ns = xstrdup(s->ns);
    p->service = xstrdup(s->name);
    p->endpoint = r->name.kind == NAME_ENDPOINT ? str_dup(r->name.endpoint) : xstrdup("");
    p->rules = tls_rules_ref(t->rules);
    p->rule = tls_rules_find(t->rules, s->ns, s->name);
    map_set(&t->ports, str_of(key), p);
    return p;
}

static struct tls_port *get(struct tls_ports *t, const struct route *r,
                            const struct service *s, uint16_t number)
{
    char key[KEY_ROOM];
    bool named = r->name.kind == NAME_ENDPOINT;
    struct str endpoint = named ? r->name.endpoint : STR("");

    snprintf(key, sizeof(key), "%s/%s/%s:%u/%.*s", suffix_of(s->kind), s->ns, s->name,
             number, STR_ARG(endpoint));
    struct tls_port *p = map_get(&t->ports, str_of(key));
    return p ? p : tls_port_create(t, key, r, s);
}

struct tls_port *tls_ports_find(struct tls_ports *t, const struct route *r,
                                const struct service *s, size_t port_index)
{
    enum port_tls tls = route_port_tls(r, s, port_index);

    if (tls == PORT_PLAIN || !t->rules)
        return NULL;
    uint16_t number = route_port_number(r, s, port_index);
    struct tls_port *p = get(t, r, s, number);
    p->port = number;
    p->declared = tls == PORT_TLS_DECLARED;
    if (!p->declared && p->plain_till > t->sched->now)
        return NULL;
    p->refs++;
    return p;
}

bool tls_ports_has(struct tls_ports *t, const struct route *r, const struct service *s,
                   size_t port_index)
{
    struct tls_port *p = tls_ports_find(t, r, s, port_index);

    tls_port_unref(p);
    return p != NULL;
}

uint32_t tls_port_number(const struct tls_port *p)
{
    return p->number;
}

/* ---- handshakes ---- */

/* Requests to such a port are never sent plainly: an answer of the pod cannot end the
 * verification that the rule requires. */
static bool has_verifying_rule(const struct tls_port *p)
{
    return p->rule && !p->rule->unverified;
}

struct stream *tls_port_open(struct tls_port *p, struct stream *below, bool http2)
{
    const struct tls_ports *t = p->owner;

    if (!p->context)
        p->context = context_of(p);
    return tls_service_open(t->sched, t->pool, p->context, below, http2);
}

void tls_port_on_ready(struct tls_port *p, const struct stream *s)
{
    count_outcome(p, tls_was_resumed(s) ? RESUMED : FULL);
}

static enum outcome outcome_of(enum tls_fault fault)
{
    return fault == TLS_FAULT_CERTIFICATE ? CERTIFICATE
           : fault == TLS_FAULT_NOT_TLS   ? NOT_TLS
                                          : FAILED;
}

bool tls_port_on_failure(struct tls_port *p, const struct tls_report *report,
                         struct log_id id)
{
    enum tls_fault fault = report ? report->fault : TLS_NO_FAULT;

    count_outcome(p, outcome_of(fault));
    if (fault != TLS_FAULT_NOT_TLS || p->declared || has_verifying_rule(p))
        return false;
    p->plain_till = p->owner->sched->now + PLAIN_MS;
    log_info(id, "the port speaks no TLS: it gets plain HTTP",
             LOG_S("service", p->service), LOG_S("namespace", p->ns),
             LOG_U("port", p->port));
    return true;
}

struct tls_failure *tls_port_explain(const struct tls_port *p,
                                     const struct tls_report *report, const char *why)
{
    struct tls_failure *f = xcalloc(1, sizeof(*f));

    f->declared = p->declared;
    f->has_rule = has_verifying_rule(p);
    f->port = p->port;
    snprintf(f->service, sizeof(f->service), "%s/%s", p->ns, p->service);
    diag_set(&f->why, ERR_TLS, "%s", why);
    if (!report)
        return f;
    f->fault = report->fault;
    f->certificate = report->certificate;
    return f;
}

/* ---- create and destroy ---- */

struct tls_ports *tls_ports_create(struct sched *sched, struct chunk_pool *pool,
                                   const struct upstream_settings *settings)
{
    struct tls_ports *t = xcalloc(1, sizeof(*t));

    metrics_register(&metric_handshakes);
    t->sched = sched;
    t->pool = pool;
    t->settings = settings;
    map_init(&t->ports);
    return t;
}

void tls_ports_configure(struct tls_ports *t, const struct upstream_tls *tls)
{
    forget(t, true);
    tls_rules_unref(t->rules);
    tls_trust_unref(t->trust);
    t->rules = tls_rules_ref(tls->rules);
    t->trust = t->rules ? tls_rules_trust(t->rules, &tls->cluster_ca) : NULL;
}

void tls_ports_set_zone(struct tls_ports *t, const char *found)
{
    free(t->found_zone);
    t->found_zone = xstrdup(found);
    forget(t, true);
}

void tls_ports_trim(struct tls_ports *t)
{
    if (t->ports.count >= TLS_PORTS_MAX)
        forget(t, false);
}

void tls_ports_destroy(struct tls_ports *t)
{
    if (!t)
        return;
    forget(t, true);
    map_finish(&t->ports);
    tls_rules_unref(t->rules);
    tls_trust_unref(t->trust);
    free(t->found_zone);
    free(t);
}
