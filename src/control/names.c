/* control/names.c - a stream of names and their addresses */
#include "control/names.h"

#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>

#include "addresses/pin.h"
#include "base/bufq.h"
#include "base/own.h"
#include "control/control_state.h"
#include "control/operation.h"
#include "route/naming.h"

#define NAMESPACES_MAX 64
#define LINE_MAX 4096 /* of one name: at most 100 ports, and three forms of a name */

static enum err add_namespaces(const char *text, struct texts *ret, struct diag *why)
{
    struct str rest = str_of(text), one;

    while (rest.at && !str_empty(rest)) {
        rest = str_cut(rest, ',', &one);
        if (ret->count == NAMESPACES_MAX)
            return diag_set(why, ERR_CONFIG, "more than %d namespaces", NAMESPACES_MAX);
        if (!str_empty(one))
            texts_add(ret, str_dup(one));
    }
    return OK;
}

enum err names_open(const struct control *c, struct str query, struct task *wake,
                    struct address_pin **ret, struct diag *why)
{
    AUTO_FREE char *context = query_value(query, "context");
    AUTO_FREE char *namespaces = query_value(query, "namespace");
    AUTO(texts_finish) struct texts list = { 0 };
    const struct control_orders *o = &c->parts.orders;
    struct addresses *a = o->addresses ? o->addresses(o->owner) : NULL;

    if (!a)
        return diag_set(why, ERR_CANCELLED, "kube-tunnel is stopping");
    enum err e = add_namespaces(namespaces, &list, why);
    return e ? e : pin_open(a, str_of(context), &list, wake, ret, why);
}

static void add_name(json_t *list, char *text)
{
    json_array_append_new(list, json_string(text));
    free(text);
}

/* From the longest to the shortest that is no other thing's. */
static json_t *names_of(const struct control *c, const struct pin_change *change)
{
    const struct address_key *k = &change->key;
    const char *zone = naming_zone(c->parts.naming), *dot = str_empty(k->pod) ? "" : ".";
    json_t *list = json_array();
    AUTO_FREE char *base = xasprintf("%.*s%s%.*s.%.*s", STR_ARG(k->pod), dot,
                                     STR_ARG(k->service), STR_ARG(k->ns));

    if (str_empty(k->cluster)) {
        add_name(list, xasprintf("%s.svc.%s", base, zone));
        add_name(list, xasprintf("%s.svc", base));
        add_name(list, xstrdup(base));
    } else {
        add_name(list, xasprintf("%s.svc.%.*s.k8s", base, STR_ARG(k->cluster)));
    }
    return list;
}

static json_t *line_of(const struct control *c, const struct pin_change *change)
{
    char address[INET_ADDRSTRLEN];

    if (change->event == PIN_READY)
        return json_pack("{s:s}", "type", "ready");
    if (change->event == PIN_LEFT_OUT)
        return json_pack("{s:s, s:I, s:s}", "type", "left-out", "count",
                         (json_int_t)change->left_out, "setting",
                         "max-address-listeners");
    snprintf(address, sizeof(address), "127.%u.%u.%u", change->address >> 16 & 0xff,
             change->address >> 8 & 0xff, change->address & 0xff);
    json_t *line = json_pack(
        "{s:s, s:o, s:s, s:s%, s:s%, s:s%, s:b}", "type",
        change->event == PIN_GONE ? "gone" : "name", "names", names_of(c, change),
        "address", address, "namespace", change->key.ns.at, change->key.ns.len, "service",
        change->key.service.at, change->key.service.len, "pod", change->key.pod.at,
        change->key.pod.len, "headless", change->headless);
    json_t *ports = json_array();
    for (size_t i = 0; i < change->port_count; i++)
        json_array_append_new(ports, json_integer(change->ports[i]));
    json_object_set_new(line, "ports", ports);
    return line;
}

static void put_line(struct bufq *out, json_t *line)
{
    AUTO_FREE char *text = json_dumps(line, JSON_COMPACT);

    json_decref(line);
    if (text && bufq_room(out) > strlen(text)) {
        bufq_write(out, text, strlen(text));
        bufq_write(out, "\n", 1);
    }
}

void names_write(const struct control *c, struct address_pin *p, struct bufq *out)
{
    struct pin_change change;

    while (bufq_room(out) >= LINE_MAX) {
        pin_next(p, &change);
        if (change.event == PIN_NOTHING)
            return;
        put_line(out, line_of(c, &change));
    }
}
