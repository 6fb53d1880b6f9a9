/* upstream/survey.c - how a route leads to a pod, step by step, without a connection */
#include "upstream/survey.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "upstream/leasing.h"
#include "upstream/loops.h"
#include "upstream/no_endpoint.h"
#include "upstream/surveyed.h"

#define MAX_AGE_MS 3000
#define ENDPOINTS_SHOWN 20

struct survey {
    struct leasing_parts *parts;
    struct route route;
    char *client;
    struct search search;
    enum err result; /* ERR_AGAIN: not known yet */
    struct survey_step steps[SURVEY_STEPS_MAX];
    size_t count;
    struct endpoint *endpoint; /* a reference; or NULL */
    uint16_t port;
};

static void PRINTF_LIKE(5, 6) add(struct survey *s, const char *step, bool ok,
                                  char *object, const char *format, ...)
{
    struct survey_step *at = &s->steps[s->count];
    va_list args;

    if (s->count == SURVEY_STEPS_MAX) {
        free(object);
        return;
    }
    va_start(args, format);
    if (vasprintf(&at->finding, format, args) < 0)
        abort();
    va_end(args);
    at->step = step;
    at->ok = ok;
    at->object = object;
    s->count++;
}

static enum err end(struct survey *s, enum err e, const char *step, char *object,
                    const struct diag *why)
{
    add(s, step, false, object, "%s", diag_text(why, e));
    s->result = e;
    return e;
}

static const char *kind_of(const struct name *n)
{
    return n->kind == NAME_POD          ? "Pod"
           : n->kind == NAME_DEPLOYMENT ? "Deployment"
                                        : "Service";
}

static char *object_of(const struct survey *s)
{
    const struct name *n = &search_route(&s->search)->name;

    if (n->kind == NAME_ADDRESS)
        return xasprintf("address %s", n->address);
    struct str name = n->kind == NAME_POD ? n->endpoint : n->service;
    return xasprintf("%s %.*s/%.*s", kind_of(n), STR_ARG(n->ns), STR_ARG(name));
}

static void add_service(struct survey *s, const struct service *found)
{
    bool watched = lookup_is_watched(&s->search.lookup);

    add(s, "service", true, object_of(s), "%s%s%s, %zu port%s, %zu endpoint%s; %s",
        found->headless       ? "headless, "
        : found->has_selector ? "with a selector, "
                              : "",
        found->sticky ? "sessionAffinity ClientIP, " : "",
        found->kind == SERVICE_NORMAL ? "found" : "found by name", found->port_count,
        found->port_count == 1 ? "" : "s", found->endpoint_count,
        found->endpoint_count == 1 ? "" : "s",
        watched ? "from a watch" : "looked up just now");
}

static const char *state_of(const struct endpoint *e)
{
    return e->terminating ? "terminating" : e->ready ? "ready" : "not ready";
}

/* Why this endpoint may or may not be chosen: the rule of balance.c that applies to it. */
static void add_endpoint(struct survey *s, const struct choice *c,
                         const struct endpoint *e)
{
    const struct choosing *ch = &s->parts->choosing;
    uint16_t port = route_container_port(c->route, c->service, e, c->port_index);
    bool usable = balance_may_choose(ch->balance, c, e);
    bool fit = balance_is_fit(ch->balance, c, e);
    char *object = xasprintf("Pod %s/%s", e->ns, e->pod);
    uint32_t tunnels = connector_count(connectors_for(ch->connectors, e), e->key);

    if (!route_matches(c->route, e))
        add(s, "endpoint", false, object,
            "it is not the endpoint that the name asks for");
    else if (!port)
        add(s, "endpoint", false, object, "%s, but it has no such container port",
            state_of(e));
    else
        add(s, "endpoint", usable, object, "%s, %s port %u, %u tunnel%s%s", state_of(e),
            e->ip ? e->ip : "no address", port, tunnels, tunnels == 1 ? "" : "s",
            usable && !fit ? ", chosen last: it refused connections or is terminating"
                           : "");
}

static void add_endpoints(struct survey *s, const struct choice *c)
{
    size_t limit = choice_limit(c), shown = limit;

    if (shown > ENDPOINTS_SHOWN)
        shown = ENDPOINTS_SHOWN;
    for (size_t i = 0; i < shown; i++)
        add_endpoint(s, c, c->service->endpoints[i]);
    if (c->service->endpoint_count > shown)
        add(s, "endpoint", true, NULL, "%zu more are not shown; %zu may be chosen",
            c->service->endpoint_count - shown, limit);
}

static void add_port(struct survey *s, const struct choice *c)
{
    const struct service *found = c->service;

    if (c->route->target_port) {
        add(s, "port", true, NULL, "--target-port: container port %u",
            c->route->target_port);
    } else if (c->port_index < found->port_count) {
        const struct service_port *p = &found->ports[c->port_index];
        AUTO_FREE char *target =
            p->target_name ? xstrdup(p->target_name) : xasprintf("%u", p->target);
        bool asked = c->route->port || !str_empty(c->route->name.port_name);
        add(s, "port", true, NULL, "%u%s%s%s leads to targetPort %s; %s", p->number,
            p->name[0] ? " (" : "", p->name, p->name[0] ? ")" : "", target,
            asked ? "the name has this port"
                  : "80, or the first TCP port, is the default");
    } else {
        add(s, "port", true, NULL, "any port is the container's");
    }
}

static enum err choose(struct survey *s)
{
    const struct leasing_parts *p = s->parts;
    const struct service *found = s->search.lookup.service;
    struct choice c = { .route = search_route(&s->search),
                        .service = found,
                        .client = str_of(s->client),
                        .own = &p->settings.own,
                        .listeners = &p->settings.listeners };
    struct diag why = { "" };
    enum err e = route_port(c.route, found, &c.port_index, &why);

    add_service(s, found);
    if (e)
        return end(s, e, "port", NULL, &why);
    add_port(s, &c);
    add_endpoints(s, &c);
    e = loops_check(&c, &why);
    if (e)
        return end(s, e, "loop", NULL, &why);
    struct endpoint *chosen = balance_choose(p->choosing.balance, &c);
    if (!chosen) {
        struct no_endpoint because =
            no_endpoint_cause(c.route, found, c.port_index, p->choosing.sched->now, &why);
        end(s, because.result, "choice", object_of(s), &why);
        if (because.may_pass)
            add(s, "wait", false, NULL, "a request waits for it, at most --wait");
        return because.result;
    }
    s->endpoint = endpoint_ref(chosen);
    s->port = route_container_port(c.route, found, chosen, c.port_index);
    add(s, "choice", true, xasprintf("Pod %s/%s", chosen->ns, chosen->pod),
        "%s; container port %u",
        found->sticky ? "the same for each request of this client"
        : found->endpoint_count > 1
            ? "of two that may be chosen, at random, the one with "
              "fewer requests"
            : "the only one",
        s->port);
    return s->result = OK;
}

static enum err look(struct survey *s);

static enum err follow_address(struct survey *s)
{
    const struct external_rules rules = leasing_rules(s->parts);
    struct diag why = { "" };
    char *object = object_of(s);
    enum err e = search_follow_address(&s->search, &rules, MAX_AGE_MS, &why);

    if (e == ERR_AGAIN) {
        free(object);
        return e;
    }
    if (e)
        return end(s, e, "address", object, &why);
    AUTO_FREE char *owner = object_of(s);
    add(s, "address", true, object, "it is of %s", owner);
    return look(s);
}

static enum err follow(struct survey *s)
{
    const struct external_rules rules = leasing_rules(s->parts);
    struct diag why = { "" };
    char *object = object_of(s);
    const char *target = s->search.lookup.service->external_name;

    add(s, "service", true, object, "an ExternalName for %s",
        target ? target : "nothing");
    enum err e = search_follow(&s->search, &rules, false, MAX_AGE_MS, &why);
    return e ? end(s, e, "external name", NULL, &why) : look(s);
}

static enum err look(struct survey *s)
{
    const struct lookup *found = &s->search.lookup;

    if (search_is_at_address(&s->search))
        return follow_address(s);
    if (found->result == ERR_AGAIN)
        return ERR_AGAIN;
    if (found->result)
        return end(s, found->result, "service", object_of(s), &found->error.why);
    return search_is_at_alias(&s->search) ? follow(s) : choose(s);
}

enum err survey_result(struct survey *s)
{
    return s->result == ERR_AGAIN ? look(s) : s->result;
}

const struct survey_step *survey_steps(const struct survey *s, size_t *ret_count)
{
    *ret_count = s->count;
    return s->steps;
}

const struct endpoint *survey_endpoint(const struct survey *s, uint16_t *ret_port)
{
    *ret_port = s->port;
    return s->endpoint;
}

const struct name *survey_name(const struct survey *s)
{
    return &search_route(&s->search)->name;
}

void survey_missing(const struct survey *s, const char **ret_verb,
                    const char **ret_resource)
{
    *ret_verb = s->search.lookup.missing_verb;
    *ret_resource = s->search.lookup.missing_resource;
}

struct survey *survey_create(struct leasing_parts *parts, const struct route *route,
                             struct str client, struct task *wake)
{
    struct survey *s = xcalloc(1, sizeof(*s));

    s->parts = parts;
    s->route = *route;
    name_copy(&s->route.name, &route->name);
    s->client = str_dup(client);
    s->result = ERR_AGAIN;
    search_start(&s->search, parts->catalog, &s->route, MAX_AGE_MS, wake);
    return s;
}

void survey_close(struct survey *s)
{
    if (!s)
        return;
    search_finish(&s->search);
    endpoint_unref(s->endpoint);
    for (size_t i = 0; i < s->count; i++) {
        free(s->steps[i].object);
        free(s->steps[i].finding);
    }
    free(s->client);
    free(s);
}
