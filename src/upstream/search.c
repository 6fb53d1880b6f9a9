#include "upstream/search.h"

#include "base/own.h"

const struct route *search_route(const struct search *s)
{
    return s->external.route ? s->external.route : s->requested;
}

bool search_was_redirected(const struct search *s)
{
    return s->external.route != NULL;
}

static void drop_owner(struct search *s)
{
    if (s->owner)
        address_owner_finish(s->owner);
    free(TAKE(s->owner));
}

static void find_owner(struct search *s, const char *address)
{
    drop_owner(s);
    s->owner = xcalloc(1, sizeof(*s->owner));
    address_owner_find(s->owner, s->catalog, address, s->wake);
}

static void look_up(struct search *s, uint64_t max_age_ms)
{
    const struct name *n = &search_route(s)->name;

    lookup_finish(&s->lookup);
    if (n->kind == NAME_ADDRESS)
        find_owner(s, n->address);
    else if (n->kind == NAME_POD)
        catalog_lookup_pod(s->catalog, n->ns, n->endpoint, max_age_ms, &s->lookup,
                           s->wake);
    else if (n->kind == NAME_DEPLOYMENT)
        catalog_lookup_deployment(s->catalog, n->ns, n->service, max_age_ms, &s->lookup,
                                  s->wake);
    else
        catalog_lookup(s->catalog, n->ns, n->service, max_age_ms, &s->lookup, s->wake);
}

void search_prepare(struct search *s, struct catalog *catalog,
                    const struct route *requested, struct task *wake)
{
    s->catalog = catalog;
    s->requested = requested;
    s->wake = wake;
}

void search_start(struct search *s, struct catalog *catalog,
                  const struct route *requested, uint64_t max_age_ms, struct task *wake)
{
    search_prepare(s, catalog, requested, wake);
    look_up(s, max_age_ms);
}

void search_again(struct search *s, uint64_t max_age_ms)
{
    external_finish(&s->external);
    look_up(s, max_age_ms);
}

bool search_is_at_address(const struct search *s)
{
    return search_route(s)->name.kind == NAME_ADDRESS;
}

enum err search_follow_address(struct search *s, const struct external_rules *rules,
                               uint64_t max_age_ms, struct diag *why)
{
    const struct address_owner *a = s->owner;

    if (a->result) {
        *why = a->error.why;
        return a->result;
    }
    if (rules->is_open && !rules->is_open(rules->owner, str_of(a->ns)))
        return diag_set(why, ERR_CLOSED, "%s is in namespace %s, which is closed",
                        a->address, a->ns);
    struct route *next = xcalloc(1, sizeof(*next));
    next->port = search_route(s)->port;
    if (!name_of_owner(a->ns, a->name, a->is_pod, &next->name)) {
        free(next);
        return diag_set(why, ERR_LIMIT, "the name of its owner is too long");
    }
    s->external.route = next;
    look_up(s, max_age_ms);
    return OK;
}

bool search_is_at_alias(const struct search *s)
{
    return s->lookup.service->kind == SERVICE_EXTERNAL &&
           search_route(s)->name.kind == NAME_SERVICE;
}

enum err search_follow(struct search *s, const struct external_rules *rules, bool same_ns,
                       uint64_t max_age_ms, struct diag *why)
{
    enum err e = external_follow(&s->external, rules, search_route(s), s->lookup.service,
                                 same_ns, why);

    if (!e)
        look_up(s, max_age_ms);
    return e;
}

void search_end_lookup(struct search *s)
{
    lookup_finish(&s->lookup);
}

void search_finish(struct search *s)
{
    lookup_finish(&s->lookup);
    drop_owner(s);
    external_finish(&s->external);
}
