/* catalog/watching.c - which scopes there are, and which of them is used for a record
 *
 * Without --namespaces there is one scope, for the whole cluster; if that is forbidden, for the
 * home namespace.  Another namespace then gets a scope when a service that was found there is
 * requested again, so that mistyped names use up no scope.  With --namespaces there is one
 * scope for each of these, and no other.
 */
#include "base/own.h"
#include "catalog/record.h"

#define NARROW_MAX 16 /* scopes opened because of look-ups */

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

    for (struct record *r; (r = set_next(&c->records, &at));)
        lazy_finish(r);
    scopes_close(c, true);
}

/* Watched objects are used also while the API server cannot be reached; that an object does not
 * exist is only certain while the watches are connected. */
bool watching_covers(const struct catalog *c, const struct record *r)
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

void watching_on_lookup(struct record *r)
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
