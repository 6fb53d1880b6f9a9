/* catalog/watching.c - which scopes there are, and which of them answers
 *
 * Without --namespaces there is one, for the whole cluster; where that is forbidden it is
 * the home namespace, and another namespace gets a scope of its own when a service that was
 * found there is requested again: names that are mistaken take no place.  With --namespaces
 * there is one for each of those, and no other.
 */
#include "base/own.h"
#include "catalog/record.h"

#define NARROW_MAX 16 /* scopes that questions have opened */

void watching_start(struct catalog *c)
{
    const struct catalog_settings *s = &c->settings;

    for (size_t i = 0; i < s->namespace_count; i++)
        scope_open(c, s->namespaces[i], true);
    if (!s->namespace_count)
        scope_open(c, NULL, true);
}

void watching_stop(struct catalog *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->records, &at));)
        lazy_finish(e->value);
    scopes_close(c, true);
}

/* What was known stays good while the API server is away; that something does not exist
 * is only known while it is there. */
bool watching_answers(const struct catalog *c, const struct record *r)
{
    const struct scope *s = scope_of(c, r->ns);

    if (r->what != WHAT_SERVICE || !s)
        return false;
    if (r->lazy)
        return lazy_answers(r);
    return scope_is_live(s) && (r->spec || scope_sees_all(s));
}

static bool may_open_narrow(const struct catalog *c)
{
    const struct scope *first = scope_first(c);

    return first && !c->settings.namespace_count && scope_is_narrow(first) &&
           c->scope_count <= NARROW_MAX;
}

static void on_lazy_refused(struct record *r)
{
    struct scope *s = scope_of(r->catalog, r->ns);
    if (s)
        scope_suspend_lazy(s);
}

void watching_note_question(struct record *r)
{
    struct catalog *c = r->catalog;
    struct scope *s = scope_of(c, r->ns);

    if (r->what != WHAT_SERVICE)
        return;
    if (r->lazy)
        lazy_touch(r);
    else if (!s && r->result == OK && may_open_narrow(c))
        scope_open(c, r->ns, false);
    else if (s && scope_is_lazy(s) && r->result == OK)
        lazy_watch(r, scope_by_endpoints(s), on_lazy_refused);
}
