/* control/show_status.c - the operation status: what this kube-tunnel does at present */
#include <time.h>
#include <unistd.h>

#include "base/rfc3339.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "control/control_state.h"
#include "control/reader.h"
#include "control/show.h"
#include "kube/target.h"
#include "listen/listen.h"
#include "route/naming.h"
#include "serve/serve.h"
#include "tunnel/tunnels.h"
#include "upstream/upstream.h"

#define SHOWN_MAX 1000 /* clients, or tunnels, of one answer; the rest is counted */

/* A list that is being filled. */
struct listing {
    json_t *list;
    size_t left_out;
    const char *cluster; /* its label; NULL: there is only one */
};

static void put(json_t *object, const char *key, const char *text)
{
    if (text)
        json_object_set_new(object, key, json_text(text));
}

static void put_number(json_t *object, const char *key, uint64_t number)
{
    json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void put_id(json_t *object, struct log_id id)
{
    char text[48];

    log_id_text(id, text);
    put(object, "id", text);
}

static void put_str(json_t *object, const char *key, struct str text)
{
    AUTO_FREE char *copy = str_dup(text);

    if (!str_empty(text))
        put(object, key, copy);
}

/* NULL: there are enough. */
static json_t *add_to(struct listing *l)
{
    if (json_array_size(l->list) >= SHOWN_MAX) {
        l->left_out++;
        return NULL;
    }
    json_t *item = json_object();
    json_array_append_new(l->list, item);
    return item;
}

static void end_listing(json_t *whole, const char *key, const char *left_out,
                        struct listing *l)
{
    json_object_set_new(whole, key, l->list);
    if (l->left_out)
        put_number(whole, left_out, l->left_out);
}

static void add_cluster(void *owner, const struct cluster_status *s)
{
    json_t *item = add_to(owner);

    if (!item)
        return;
    put(item, "context", s->name);
    put(item, "label", s->label);
    json_object_set_new(item, "plainNames", json_boolean(s->plain));
    put(item, "state",
        s->error.text[0] ? "failed"
        : !s->connected  ? "unused"
        : s->ready       ? "ready"
                         : "loading");
    if (s->error.text[0])
        put(item, "error", s->error.text);
    if (!s->connected)
        return;
    put(item, "server", s->target->host_header);
    put(item, "namespace", s->target->ns);
    put_number(item, "services", catalog_count(s->cluster->catalog));
}

static void add_listener(void *owner, const struct listener_status *s)
{
    json_t *item = add_to(owner);

    if (!item)
        return;
    put(item, "address", s->address);
    json_object_set_new(item, "loopback", json_boolean(s->loopback));
    put(item, "exposes", s->exposes);
    if (s->exposes && s->port_name)
        put(item, "port", s->port_name);
    else if (s->exposes)
        json_object_set_new(item, "port", json_sprintf("%u", s->port));
}

static void add_client(void *owner, const struct client_status *s)
{
    json_t *item = add_to(owner);

    if (!item)
        return;
    put_id(item, s->id);
    put(item, "client", s->address);
    put(item, "protocol", s->protocol);
    put(item, "state", s->state);
    put_number(item, "listener", s->listener);
    put_number(item, "requests", s->requests);
    put_number(item, "running", s->running);
    put(item, "namespace", s->ns);
    put(item, "pod", s->pod);
    put_str(item, "exposes", s->host);
}

static void add_tunnel(void *owner, const struct tunnel_status *s)
{
    const struct listing *l = owner;
    json_t *item = add_to(owner);

    if (!item)
        return;
    put_id(item, s->id);
    put(item, "cluster", l->cluster);
    put(item, "namespace", s->ns);
    put(item, "pod", s->pod);
    put(item, "state", s->state);
    put(item, "transport", s->transport);
    json_object_set_new(item, "shared", json_boolean(s->shared));
    put_number(item, "connections", s->lent);
    put_number(item, "idle", s->idle);
    put_number(item, "ageMs", s->age_ms);
}

static void add_pod(void *owner, const struct pod_load *p)
{
    const struct listing *l = owner;
    struct str ns, pod;
    json_t *item = add_to(owner);

    if (!item)
        return;
    str_cut(str_cut(str_of(p->key), '/', &ns), '/', &pod);
    put(item, "cluster", l->cluster);
    put_str(item, "namespace", ns);
    put_str(item, "pod", pod);
    put_number(item, "running", p->running);
    put_number(item, "requests", p->requests);
    json_object_set_new(item, "outlier", json_boolean(p->outlier));
}

static void add_pods(void *owner, const struct cluster_status *s)
{
    struct listing *l = owner;

    l->cluster = s->several ? s->label : NULL;
    if (s->cluster)
        upstream_each_pod(s->cluster->upstream, add_pod, l);
}

static void add_tunnels(void *owner, const struct cluster_status *s)
{
    struct listing *l = owner;

    l->cluster = s->several ? s->label : NULL;
    if (s->cluster)
        tunnels_each(s->cluster->tunnels, add_tunnel, l);
}

static void add_alias(json_t *list, const struct alias *a)
{
    json_t *item = json_object();

    put(item, "name", a->name);
    put(item, "target", a->target.text);
    if (a->port)
        put_number(item, "port", a->port);
    json_array_append_new(list, item);
}

static json_t *aliases_of(const struct naming *n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n->alias_count; i++)
        add_alias(list, n->aliases[i]);
    return list;
}

static json_t *rate_of(const struct serve *serve)
{
    const struct serve_rate rate = serve_recent(serve);
    json_t *json = json_object();

    put_number(json, "requests", rate.requests);
    put_number(json, "failures", rate.failures);
    put_number(json, "ms", rate.ms);
    return json;
}

/* The readers of requests, and what is recorded for them. */
static json_t *recording_of(const struct control *c)
{
    json_t *json = json_object();
    size_t readers = 0;

    list_for_each (r, &c->readers, struct reader, node)
        readers++;
    put_number(json, "readers", readers);
    json_object_set_new(json, "bodies", json_boolean(c->observer.bodies));
    put_number(json, "kept", c->history.count);
    return json;
}

static void put_process(json_t *whole, const struct control *c)
{
    char started[RFC3339_ROOM];

    rfc3339_write((int64_t)c->started * 1000, started);
    put(whole, "version", VERSION);
    put(whole, "name", c->name ? c->name : "");
    put(whole, "state", c->parts.orders.state(c->parts.orders.owner));
    put_number(whole, "pid", (uint64_t)getpid());
    put(whole, "started", started);
}

/* Names end in these; so do those of the resolver (kube-tunnel dns). */
static json_t *domains_of(const struct naming *n)
{
    json_t *list = json_array();

    json_array_append_new(list, json_text(n->zone));
    if (n->found_zone && strcmp(n->found_zone, n->zone) != 0)
        json_array_append_new(list, json_text(n->found_zone));
    json_array_append_new(list, json_text("k8s"));
    return list;
}

static void add_address(void *to, const char *address)
{
    json_array_append_new(to, json_text(address));
}

static json_t *dns_of(const struct control_orders *o)
{
    json_t *json = json_object(), *addresses = json_array();
    size_t waiting = o->dns ? o->dns(o->owner, add_address, addresses) : 0;

    json_object_set_new(json, "addresses", addresses);
    put_number(json, "waiting", waiting);
    return json;
}

enum err show_status(struct operation *op, struct answer *ret)
{
    const struct control *c = op->control;
    const struct control_parts *p = &c->parts;
    json_t *whole = json_object();
    struct listing clusters = { json_array() }, listeners = { json_array() },
                   clients = { json_array() }, tunnels = { json_array() },
                   pods = { json_array() };

    put_process(whole, c);
    clusters_each(p->clusters, add_cluster, &clusters);
    listeners_each(p->orders.listeners(p->orders.owner), add_listener, &listeners);
    serve_each_client(p->serve, add_client, &clients);
    clusters_each(p->clusters, add_pods, &pods);
    clusters_each(p->clusters, add_tunnels, &tunnels);
    end_listing(whole, "clusters", "clustersLeftOut", &clusters);
    end_listing(whole, "listeners", "listenersLeftOut", &listeners);
    json_object_set_new(whole, "dns", dns_of(&p->orders));
    json_object_set_new(whole, "domains", domains_of(p->naming));
    json_object_set_new(whole, "addresses", addresses_json(c));
    json_object_set_new(whole, "proxyOutside", json_boolean(serve_passes_on(p->serve)));
    json_object_set_new(whole, "aliases", aliases_of(p->naming));
    end_listing(whole, "clients", "clientsLeftOut", &clients);
    end_listing(whole, "pods", "podsLeftOut", &pods);
    end_listing(whole, "tunnels", "tunnelsLeftOut", &tunnels);
    json_object_set_new(whole, "lastMinute", rate_of(p->serve));
    json_object_set_new(whole, "recording", recording_of(c));
    answer_json(ret, 200, whole);
    return OK;
}

enum err show_version(struct operation *op, struct answer *ret)
{
    json_t *whole = json_object();

    put(whole, "api", "v1");
    put_process(whole, op->control);
    answer_json(ret, 200, whole);
    return OK;
}
