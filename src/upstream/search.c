#include "upstream/search.h"

const struct route *search_route(const struct search *s)
{
    return s->external.route ? s->external.route : s->requested;
}

bool search_was_led(const struct search *s)
{
    return s->external.route != NULL;
}

static void look_up(struct search *s, uint64_t max_age_ms)
{
    const struct name *n = &search_route(s)->name;

    lookup_finish(&s->lookup);
    if (n->kind == NAME_POD)
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
    external_finish(&s->external);
}
