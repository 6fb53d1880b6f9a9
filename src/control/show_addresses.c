/* control/show_addresses.c - addresses of services that are open, and releasing a port */
#include <arpa/inet.h>

#include "addresses/addresses.h"
#include "base/own.h"
#include "control/change.h"
#include "control/control_state.h"
#include "control/show.h"

#define SHOWN_MAX 1000 /* addresses of one answer; the rest is counted */

struct shown {
    json_t *list;
    size_t left_out;
};

static const char *error_name(enum err e)
{
    switch (e) {
    case ERR_ACCESS:
        return "privilege";
    case ERR_IN_USE:
        return "in-use";
    case ERR_FORBIDDEN:
        return "other-user";
    case ERR_LIMIT:
        return "too-many";
    default:
        return "failed";
    }
}

static json_t *ports_json(const struct address_status *s)
{
    json_t *list = json_array();

    for (size_t i = 0; i < s->port_count; i++)
        json_array_append_new(list, json_pack("{s:i, s:b}", "port", s->ports[i].port,
                                              "open", s->ports[i].open));
    return list;
}

static void add_address(void *owner, const struct address_status *s)
{
    struct shown *shown = owner;
    char text[INET_ADDRSTRLEN];

    if (json_array_size(shown->list) >= SHOWN_MAX) {
        shown->left_out++;
        return;
    }
    inet_ntop(AF_INET, &s->address, text, sizeof(text));
    json_array_append_new(
        shown->list, json_pack("{s:o, s:s, s:o, s:I, s:b}", "name", json_text(s->name),
                               "address", text, "ports", ports_json(s), "idleMs",
                               (json_int_t)s->idle_ms, "pinned", s->pinned));
}

static void add_problem(void *owner, const struct address_problem *p)
{
    json_t *item = json_pack("{s:i, s:s, s:o}", "port", p->port, "error",
                             error_name(p->error), "reason", json_text(p->reason));

    if (p->fix)
        json_object_set_new(item, "fix", json_text(p->fix));
    json_array_append_new(owner, item);
}

json_t *addresses_json(const struct control *c)
{
    const struct control_orders *o = &c->parts.orders;
    const struct addresses *a = o->addresses ? o->addresses(o->owner) : NULL;
    struct shown open = { json_array() };
    json_t *problems = json_array();
    struct addresses_summary s = { 0 };

    if (a) {
        s = addresses_summary(a);
        addresses_each(a, add_address, &open);
        addresses_each_problem(a, add_problem, problems);
    }
    json_t *whole = json_pack(
        "{s:I, s:I, s:I, s:I, s:o, s:o}", "known", (json_int_t)s.known, "listeners",
        (json_int_t)s.listeners, "refused", (json_int_t)s.refused, "idleMs",
        (json_int_t)s.idle_ms, "open", open.list, "problems", problems);
    if (open.left_out)
        json_object_set_new(whole, "openLeftOut",
                            json_integer((json_int_t)open.left_out));
    if (s.state)
        json_object_set_new(whole, "stateFile", json_text(s.state));
    return whole;
}

enum err show_addresses(struct operation *op, struct answer *ret)
{
    answer_json(ret, 200, addresses_json(op->control));
    return OK;
}

enum err change_release(struct operation *op, struct answer *ret)
{
    const struct control_orders *o = &op->control->parts.orders;
    struct addresses *a = o->addresses ? o->addresses(o->owner) : NULL;
    json_int_t port = json_integer_value(json_object_get(op->body, "port"));

    if (!a) {
        answer_error(ret, 409, "draining", "kube-tunnel status",
                     "kube-tunnel does not accept new clients any more");
        return OK;
    }
    if (port < 1 || port > UINT16_MAX) {
        answer_error(ret, 422, "invalid", "kube-tunnel dns release 5432",
                     "the field \"port\" is not a port");
        return OK;
    }
    size_t closed = addresses_release(a, (uint16_t)port);
    answer_json(ret, 200,
                json_pack("{s:I, s:I, s:i}", "port", port, "closed", (json_int_t)closed,
                          "seconds", ADDRESS_RELEASED_MS / 1000));
    return OK;
}
