/* control/show_services.c - the operation services: what the clusters have, for completion
 *
 * With a prefix or names only, so that a shell that completes a word in a cluster of many
 * thousand services gets its answer at once.
 */
#include <stdio.h>

#include "base/own.h"
#include "catalog/catalog.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "control/control_state.h"
#include "control/show.h"
#include "serve/policy.h"

#define NAME_SHOWN 640

/* What a request selects. */
struct selection {
    json_t *list;
    const struct config *config;
    const struct cluster_status *cluster;
    char *ns, *prefix; /* owned; NULL: any */
    bool names; /* only "SERVICE.NAMESPACE", with the cluster's label where needed */
    size_t limit, left_out;
};

static json_t *ports_of(const struct service *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->port_count; i++) {
        const struct service_port *p = &s->ports[i];
        json_t *port = json_object();
        json_object_set_new(port, "number", json_integer(p->number));
        if (p->name[0])
            json_object_set_new(port, "name", json_text(p->name));
        if (!p->tcp)
            json_object_set_new(port, "tcp", json_false());
        json_array_append_new(list, port);
    }
    return list;
}

static size_t count_ready(const struct service *s)
{
    size_t n = 0;

    while (n < s->endpoint_count && s->endpoints[n]->ready)
        n++;
    return n;
}

static json_t *service_json(const struct selection *sel, const struct service *s,
                            const char *name)
{
    json_t *item = json_object();

    json_object_set_new(item, "host", json_text(name));
    json_object_set_new(item, "name", json_text(s->name));
    json_object_set_new(item, "namespace", json_text(s->ns));
    if (sel->cluster->several)
        json_object_set_new(item, "cluster", json_text(sel->cluster->label));
    json_object_set_new(item, "ports", ports_of(s));
    json_object_set_new(item, "ready", json_integer((json_int_t)count_ready(s)));
    json_object_set_new(item, "endpoints", json_integer((json_int_t)s->endpoint_count));
    return item;
}

static void name_of(const struct selection *sel, const char *ns, const char *name,
                    char room[static NAME_SHOWN])
{
    if (sel->cluster->plain)
        snprintf(room, NAME_SHOWN, "%s.%s", name, ns);
    else
        snprintf(room, NAME_SHOWN, "%s.%s.svc.%s.k8s", name, ns, sel->cluster->label);
}

/* A name alone needs no more than this. */
static bool wants(void *owner, const char *ns, const char *service)
{
    struct selection *sel = owner;
    char name[NAME_SHOWN];

    if ((sel->ns && strcmp(sel->ns, ns) != 0) || !policy_opens(sel->config, str_of(ns)))
        return false;
    name_of(sel, ns, service, name);
    if (sel->prefix && !str_starts(str_of(name), str_of(sel->prefix)))
        return false;
    if (json_array_size(sel->list) >= sel->limit) {
        sel->left_out++;
        return false;
    }
    if (sel->names)
        json_array_append_new(sel->list, json_text(name));
    return !sel->names;
}

static void add_service(void *owner, const struct service *s)
{
    struct selection *sel = owner;
    char name[NAME_SHOWN];

    name_of(sel, s->ns, s->name, name);
    json_array_append_new(sel->list, service_json(sel, s, name));
}

static void add_cluster(void *owner, const struct cluster_status *s)
{
    struct selection *sel = owner;

    sel->cluster = s;
    if (s->cluster)
        catalog_each_wanted(s->cluster->catalog, wants, add_service, sel);
}

static size_t limit_of(struct str query)
{
    AUTO_FREE char *text = query_value(query, "limit");
    uint64_t n = 0;

    return text && !str_to_uint(str_of(text), SIZE_MAX, &n) ? (size_t)n : SIZE_MAX;
}

enum err show_services(struct operation *op, struct answer *ret)
{
    const struct control_parts *p = &op->control->parts;
    AUTO_FREE char *ns = query_value(op->query, "namespace");
    AUTO_FREE char *prefix = query_value(op->query, "prefix");
    json_t *whole = json_object();
    struct selection sel = {
        .list = json_array(),
        .config = p->orders.config(p->orders.owner),
        .ns = ns,
        .prefix = prefix,
        .names = query_flag(op->query, "names"),
        .limit = limit_of(op->query),
    };

    clusters_each(p->clusters, add_cluster, &sel);
    json_object_set_new(whole, "services", sel.list);
    if (sel.left_out)
        json_object_set_new(whole, "leftOut", json_integer((json_int_t)sel.left_out));
    answer_json(ret, 200, whole);
    return OK;
}
