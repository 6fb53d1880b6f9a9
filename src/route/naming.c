/* route/naming.c - names beyond the fixed forms: the cluster's domain and aliases */
#include "route/naming.h"

#include "base/own.h"

#define LOCALHOST ".localhost"

void naming_init(struct naming *n, const char *zone)
{
    *n = (struct naming){ .zone = xstrdup(zone) };
    list_init(&n->waiting);
    map_init(&n->by_name);
}

static void alias_free(struct alias *a)
{
    if (!a)
        return;
    free(a->name);
    free(a);
}

static void alias_freep(struct alias **a)
{
    alias_free(*a);
}

void naming_finish(struct naming *n)
{
    for (size_t i = 0; i < n->alias_count; i++)
        alias_free(n->aliases[i]);
    free(n->aliases);
    map_finish(&n->by_name);
    free(n->zone);
    free(n->found_zone);
    *n = (struct naming){ 0 };
}

const char *naming_zone(const struct naming *n)
{
    return n->found_zone ? n->found_zone : n->zone;
}

bool naming_set_found_zone(struct naming *n, const char *zone)
{
    if (str_ieq(str_of(zone), str_of(naming_zone(n))))
        return false;
    free(n->found_zone);
    n->found_zone = xstrdup(zone);
    return true;
}

void naming_end_look(struct naming *n)
{
    n->looking = false;
    while (!list_empty(&n->waiting)) {
        struct naming_want *w = list_first(&n->waiting, struct naming_want, node);
        list_remove(&w->node);
        task_wake(w->wake);
    }
}

/* What follows the first label svc, pod or deploy, which is the domain. */
static struct str after_kind(struct str host)
{
    while (host.at) {
        struct str label;
        host = str_cut(host, '.', &label);
        if (str_ieq(label, STR("svc")) || str_ieq(label, STR("pod")) ||
            str_ieq(label, STR("deploy")))
            return host;
    }
    return host;
}

bool naming_may_be_found(const struct naming *n, struct str host)
{
    struct str zone = after_kind(host);
    struct name name;

    if (!n->looking || str_empty(zone))
        return false;
    name_parse(host, zone, &name);
    return name.kind != NAME_INVALID && name.suffix == NAME_SUFFIX_ZONE;
}

void naming_wait(struct naming *n, struct naming_want *w, struct task *wake)
{
    naming_leave(w);
    w->wake = wake;
    list_append(&n->waiting, &w->node);
}

void naming_leave(struct naming_want *w)
{
    if (w->wake)
        list_remove(&w->node);
    w->wake = NULL;
}

/* --- aliases --- */

static struct str naming_without_dot(struct str host)
{
    return str_ends(host, STR(".")) ? str_first(host, host.len - 1) : host;
}

/* False: it is too long for a name. */
static bool naming_fold(struct str host, char ret[static NAME_ROOM],
                        struct str *ret_folded)
{
    host = naming_without_dot(host);
    if (host.len >= NAME_ROOM)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        ret[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *ret_folded = (struct str){ ret, host.len };
    return true;
}

static const struct alias *find(const struct naming *n, struct str host)
{
    const struct str tail = STR(LOCALHOST);
    char room[NAME_ROOM];
    struct str name;

    if (!n->alias_count || !naming_fold(host, room, &name))
        return NULL;
    const struct alias *a = map_get(&n->by_name, name);
    if (!a && name.len > tail.len && str_ends(name, tail))
        a = map_get(&n->by_name, str_first(name, name.len - tail.len));
    return a;
}

static bool is_full_under_localhost(const struct naming *n, struct str name)
{
    AUTO_FREE char *host = xasprintf("%.*s" LOCALHOST, STR_ARG(name));
    struct name meant;

    name_parse(str_of(host), str_of(n->zone), &meant);
    return meant.kind != NAME_INVALID && meant.suffix == NAME_SUFFIX_SVC_LOCALHOST;
}

/* Why the name cannot be an alias: it has a meaning already, as a name of the cluster or
 * of kube-tunnel itself.  Three labels are allowed, because they have a meaning only
 * where the label of a cluster is the last. */
static const char *name_fault(const struct naming *n, struct str name)
{
    struct name meant;

    if (str_iends(name, STR(LOCALHOST)))
        return "leave out \".localhost\": it is accepted after every alias";
    naming_read(n, name, &meant, NULL);
    if (meant.suffix == NAME_SUFFIX_ALIAS)
        return "it is an alias already";
    if (meant.kind == NAME_OWN)
        return "it is kube-tunnel's own";
    if (meant.kind != NAME_INVALID)
        return "it is a name of the cluster already";
    if (is_full_under_localhost(n, name))
        return "with \".localhost\" it is a name of a cluster already";
    if (str_ieq(name, str_of(n->zone)))
        return "it is the cluster's domain";
    return NULL;
}

/* Also accepts db-0.db.shop as a target, as --expose does. */
static void read_target(struct str target, struct str zone, struct name *ret)
{
    struct name longer;
    struct str any;
    bool three = str_cut(str_cut(target, '.', &any), '.', &any).at;

    name_parse(target, zone, ret);
    if (ret->kind != NAME_INVALID || !three)
        return;
    AUTO_FREE char *full = xasprintf("%.*s.svc", STR_ARG(target));
    name_parse(str_of(full), zone, &longer);
    if (longer.kind != NAME_INVALID && longer.kind != NAME_OWN)
        name_copy(ret, &longer);
}

/* A named port as a name: "http" of web.shop is _http._tcp.web.shop.svc. */
static void read_port_name(struct str port, struct str target, struct str zone,
                           struct name *ret)
{
    AUTO_FREE char *host = NULL;

    if (ret->kind != NAME_SERVICE && ret->kind != NAME_DEPLOYMENT)
        return;
    if (ret->suffix == NAME_SUFFIX_NONE || ret->suffix == NAME_SUFFIX_LOCALHOST)
        host = xasprintf("_%.*s._tcp.%.*s.%.*s.svc", STR_ARG(port), STR_ARG(ret->service),
                         STR_ARG(ret->ns));
    else
        host = xasprintf("_%.*s._tcp.%.*s", STR_ARG(port), STR_ARG(target));
    name_parse(str_of(host), zone, ret);
}

static const char *target_fault(const struct naming *n, struct str target,
                                const struct name *read)
{
    if (find(n, target))
        return "its target is an alias itself";
    if (read->kind == NAME_OWN)
        return "its target is no name of the cluster";
    return read->kind == NAME_INVALID ? read->problem : NULL;
}

static void append(struct naming *n, struct alias *a)
{
    n->aliases = xrealloc(n->aliases, (n->alias_count + 1) * sizeof(struct alias *));
    map_set(&n->by_name, str_of(a->name), a);
    n->aliases[n->alias_count++] = a;
}

enum err naming_add_alias(struct naming *n, struct str name, struct str target,
                          struct str port, struct diag *why)
{
    AUTO(alias_freep) struct alias *a = xcalloc(1, sizeof(*a));
    uint64_t number = 0;
    bool named = port.at && str_to_uint(port, UINT16_MAX, &number) != OK;

    name = naming_without_dot(name);
    const char *fault = name_fault(n, name);
    target = naming_without_dot(target);
    if (!fault) {
        read_target(target, str_of(n->zone), &a->target);
        if (named)
            read_port_name(port, target, str_of(n->zone), &a->target);
        fault = target_fault(n, target, &a->target);
    }
    if (!fault && named && str_empty(a->target.port_name))
        fault = "the port of one pod is a number";
    if (fault)
        return diag_set(why, ERR_CONFIG, "alias %.*s=%.*s: %s", STR_ARG(name),
                        STR_ARG(target), fault);
    char room[NAME_ROOM];
    struct str folded = name;
    if (!naming_fold(name, room, &folded))
        return diag_set(why, ERR_CONFIG, "alias %.*s: longer than 253 bytes",
                        STR_ARG(name));
    a->name = str_dup(folded);
    a->port = (uint16_t)number;
    append(n, TAKE(a));
    return OK;
}

static void move_added(struct naming *to, struct naming *from)
{
    size_t kept = 0;

    for (size_t i = 0; i < from->alias_count; i++) {
        struct alias *a = from->aliases[i];
        if (!a->added || map_get(&to->by_name, str_of(a->name))) {
            from->aliases[kept++] = a;
            continue;
        }
        map_remove(&from->by_name, str_of(a->name));
        append(to, a);
    }
    from->alias_count = kept;
}

void naming_exchange_aliases(struct naming *n, struct naming *from)
{
    struct alias **aliases = n->aliases;
    size_t count = n->alias_count;
    struct map by_name = n->by_name;

    n->aliases = from->aliases;
    n->alias_count = from->alias_count;
    n->by_name = from->by_name;
    from->aliases = aliases;
    from->alias_count = count;
    from->by_name = by_name;
    move_added(n, from);
}

bool naming_remove_alias(struct naming *n, struct str name)
{
    char room[NAME_ROOM];
    struct str folded;

    if (!naming_fold(name, room, &folded))
        return false;
    struct alias *a = map_remove(&n->by_name, folded);
    if (!a)
        return false;
    size_t i = 0;
    while (n->aliases[i] != a)
        i++;
    n->alias_count--;
    memmove(&n->aliases[i], &n->aliases[i + 1],
            (n->alias_count - i) * sizeof(struct alias *));
    alias_free(a);
    return true;
}

/* --- reading --- */

void naming_read(const struct naming *n, struct str host, struct name *ret,
                 uint16_t *ret_port)
{
    const struct alias *a = find(n, host);

    if (ret_port)
        *ret_port = a ? a->port : 0;
    if (a) {
        name_copy(ret, &a->target);
        ret->suffix = NAME_SUFFIX_ALIAS;
        return;
    }
    name_parse(host, str_of(n->zone), ret);
    if (ret->kind == NAME_INVALID && n->found_zone)
        name_parse(host, str_of(n->found_zone), ret);
}

/* --- hosts outside the cluster --- */

/* Names of these are the cluster's or this machine's, or not meant for DNS (RFC 6761). */
static bool is_reserved(const struct naming *n, struct str host)
{
    const struct str endings[] = { STR("localhost"),     STR("svc"), STR("pod"),
                                   STR("deploy"),        STR("k8s"), str_of(n->zone),
                                   str_of(n->found_zone) };

    for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
        struct str end = naming_without_dot(endings[i]), before;
        if (str_empty(end) || !str_iends(host, end))
            continue;
        before = str_first(host, host.len - end.len);
        if (str_empty(before) || before.at[before.len - 1] == '.')
            return true;
    }
    return false;
}

static bool is_domain_label(struct str label)
{
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     (c >= '0' && c <= '9') || c == '-' || c == '_';
        if (!plain)
            return false;
    }
    return label.len > 0 && label.len <= 63;
}

static bool is_domain(struct str host)
{
    if (host.len > NAME_MAX_LEN)
        return false;
    while (host.at) {
        struct str label;
        host = str_cut(host, '.', &label);
        if (!is_domain_label(label))
            return false;
    }
    return true;
}

/* Whatever the cluster could mean by it goes first. */
static bool is_name_outside(const struct naming *n, struct str host, bool short_names)
{
    struct name name;

    if (is_reserved(n, host))
        return false;
    naming_read(n, host, &name, NULL);
    if (name.kind == NAME_SERVICE && name.suffix == NAME_SUFFIX_NONE)
        return !short_names;
    return name.kind == NAME_INVALID;
}

bool naming_read_outside(const struct naming *n, struct str host, bool short_names,
                         struct name *ret)
{
    struct str folded = naming_without_dot(host);

    if (name_of_address(host, ret)) {
        ret->kind = NAME_OUTSIDE;
        return true;
    }
    if (!is_domain(folded) || !is_name_outside(n, folded, short_names))
        return false;
    *ret = (struct name){ .kind = NAME_OUTSIDE };
    return naming_fold(host, ret->text, &folded);
}
