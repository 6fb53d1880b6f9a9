/* exec/names.c - names of the cluster and their addresses, as the control socket reports them
 */
#include "exec/names.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <unistd.h>

#include "base/own.h"

#define NAMES_MAX 200000
#define SUFFIXES_MAX 256

struct known_name {
    struct in_addr address;
    bool repeated; /* by the present stream */
};

/* The parts of a full name: "db-0.db.shop.svc.cluster.local". */
struct parts {
    struct str local; /* "db-0.db" */
    struct str ns;
    struct str kind; /* svc or pod */
};

/* Resolvers do not distinguish case.  Owned by the caller. */
static char *lower_case(struct str name)
{
    char *text = str_dup(name);

    for (char *c = text; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return text;
}

/* A name from here on is never a short name of a service. */
static void take_name(struct service_names *n, struct str name)
{
    AUTO_FREE char *text = lower_case(name);

    if (!str_empty(name))
        map_set(&n->taken, str_of(text), n);
}

static bool is_taken(const struct service_names *n, struct str name)
{
    AUTO_FREE char *text = lower_case(name);

    return map_get(&n->taken, str_of(text)) != NULL;
}

void service_names_set_machine(struct service_names *n, struct str text)
{
    while (!str_empty(text)) {
        struct str line, word;
        text = str_cut(text, '\n', &line);
        str_cut(line, '#', &line);
        for (line = str_trim_space(line); !str_empty(line); line = str_trim_space(line)) {
            size_t len = 0;
            while (len < line.len && line.at[len] != ' ' && line.at[len] != '\t')
                len++;
            word = str_first(line, len);
            line = str_skip(line, len);
            take_name(n, word);
        }
    }
}

void service_names_init(struct service_names *n, const char *const *namespaces,
                        size_t namespace_count)
{
    char host[256] = "";

    *n = (struct service_names){ .namespaces = namespaces,
                                 .namespace_count = namespace_count };
    map_init(&n->by_name);
    map_init(&n->taken);
    take_name(n, STR("localhost"));
    if (gethostname(host, sizeof(host) - 1) == 0)
        take_name(n, str_of(host));
}

void service_names_finish(struct service_names *n)
{
    struct map_entry *entry;

    for (size_t at = 0; (entry = map_next(&n->by_name, &at));)
        free(entry->value);
    map_finish(&n->by_name);
    map_finish(&n->taken);
    *n = (struct service_names){ 0 };
}

/* Cuts the first label off. */
static struct str cut_label(struct str *rest)
{
    struct str label;

    *rest = str_cut(*rest, '.', &label);
    return label;
}

/* SERVICE.NS.svc.ZONE, POD.SERVICE.NS.svc.ZONE or POD.NS.pod.ZONE. */
static bool read_parts(struct str name, struct parts *ret)
{
    struct str rest = name, labels[4];

    if (!hosts_is_name(name))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(labels); i++)
        labels[i] = cut_label(&rest);
    if (str_eq(labels[2], STR("svc")) || str_eq(labels[2], STR("pod"))) {
        *ret = (struct parts){ labels[0], labels[1], labels[2] };
        return !str_empty(labels[3]);
    }
    if (!str_eq(labels[3], STR("svc")) || str_empty(rest))
        return false;
    ret->local = (struct str){ labels[0].at, labels[0].len + 1 + labels[1].len };
    ret->ns = labels[2];
    ret->kind = labels[3];
    return true;
}

static struct str text_member(const json_t *json, const char *key)
{
    const json_t *text = json_object_get(json, key);

    if (!json_is_string(text))
        return STR("");
    return (struct str){ json_string_value(text), json_string_length(text) };
}

/* The full name of a line. */
static struct str name_of(const json_t *json)
{
    const json_t *first = json_array_get(json_object_get(json, "names"), 0);

    if (!json_is_string(first))
        return STR("");
    return (struct str){ json_string_value(first), json_string_length(first) };
}

static bool is_service_address(struct in_addr address)
{
    uint32_t bits = ntohl(address.s_addr);

    return bits >> 24 == 127 && (bits >> 16) != 0x7f00;
}

static bool set_name(struct service_names *n, struct str name, struct in_addr address)
{
    struct known_name *known = map_get(&n->by_name, name);
    bool same = known && known->address.s_addr == address.s_addr;

    if (!known && n->by_name.count >= NAMES_MAX)
        return false;
    if (!known) {
        known = xcalloc(1, sizeof(*known));
        map_set(&n->by_name, name, known);
    }
    *known = (struct known_name){ address, true };
    return !same;
}

static bool take_added(struct service_names *n, const json_t *json)
{
    struct str name = name_of(json);
    struct str text = text_member(json, "address");
    struct in_addr address;
    struct parts parts;

    if (!read_parts(name, &parts) || strlen(text.at) != text.len ||
        inet_pton(AF_INET, text.at, &address) != 1 || !is_service_address(address))
        return false;
    return set_name(n, name, address);
}

static bool take_gone(struct service_names *n, struct str name)
{
    struct known_name *known = map_remove(&n->by_name, name);

    free(known);
    return known != NULL;
}

static bool take_ready(struct service_names *n)
{
    bool changed = !n->ready;
    struct map_entry *entry;

    n->ready = true;
    for (size_t at = 0; (entry = map_next(&n->by_name, &at));) {
        struct known_name *known = entry->value;
        if (known->repeated)
            continue;
        free(map_remove(&n->by_name, (struct str){ entry->key, entry->key_len }));
        changed = true;
    }
    return changed;
}

bool service_names_take(struct service_names *n, struct str line)
{
    json_t *json = json_loadb(line.at, line.len, 0, NULL);
    struct str type = text_member(json, "type");
    bool changed = false;

    if (str_eq(type, STR("name")))
        changed = take_added(n, json);
    else if (str_eq(type, STR("gone")))
        changed = take_gone(n, name_of(json));
    else if (str_eq(type, STR("left-out")))
        n->left_out = (size_t)json_integer_value(json_object_get(json, "count"));
    else if (str_eq(type, STR("ready")))
        changed = take_ready(n);
    json_decref(json);
    return changed;
}

void service_names_begin(struct service_names *n)
{
    struct map_entry *entry;

    n->ready = false;
    for (size_t at = 0; (entry = map_next(&n->by_name, &at));)
        ((struct known_name *)entry->value)->repeated = false;
}

/* --- short names --- */

/* Has an earlier namespace of the list the same name? */
static bool is_earlier(const struct service_names *n, const struct parts *p,
                       struct str rest, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *other =
            xasprintf("%.*s.%s.%.*s", STR_ARG(p->local), n->namespaces[i], STR_ARG(rest));
        if (map_get(&n->by_name, str_of(other)))
            return true;
    }
    return false;
}

static void add_short(const struct service_names *n, struct hosts *h,
                      struct in_addr address, struct str name)
{
    if (!is_taken(n, name))
        hosts_add(h, address, name);
}

/* "web", "web.shop", "web.shop.svc". */
static void add_short_names(const struct service_names *n, struct hosts *h,
                            struct str full, struct in_addr address)
{
    struct parts p;
    size_t i = 0;

    if (!read_parts(full, &p) || !str_eq(p.kind, STR("svc")))
        return;
    while (i < n->namespace_count && !str_eq(p.ns, str_of(n->namespaces[i])))
        i++;
    if (i == n->namespace_count)
        return;
    struct str rest = str_skip(full, p.local.len + 1 + p.ns.len + 1);
    if (!is_earlier(n, &p, rest, i))
        add_short(n, h, address, p.local);
    size_t with_ns = p.local.len + 1 + p.ns.len;
    add_short(n, h, address, str_first(full, with_ns));
    add_short(n, h, address, str_first(full, with_ns + 1 + p.kind.len));
}

enum err service_names_store(const struct service_names *n, struct hosts *h,
                             struct diag *why)
{
    struct map_entry *entry;

    hosts_begin(h);
    for (size_t at = 0; (entry = map_next(&n->by_name, &at));) {
        const struct known_name *known = entry->value;
        struct str full = { entry->key, entry->key_len };
        hosts_add(h, known->address, full);
        add_short_names(n, h, full, known->address);
    }
    return hosts_end(h, why);
}

/* --- for proxies --- */

static void add_once(struct texts *t, char *text)
{
    for (size_t i = 0; i < t->count; i++)
        if (strcmp(t->at[i], text) == 0) {
            free(text);
            return;
        }
    texts_add(t, text);
}

/* One that has short names. */
static bool is_chosen(const struct service_names *n, struct str ns)
{
    for (size_t i = 0; i < n->namespace_count; i++)
        if (str_eq(ns, str_of(n->namespaces[i])))
            return true;
    return false;
}

void service_names_suffixes(const struct service_names *n, struct texts *ret)
{
    struct map_entry *entry;

    for (size_t i = 0; i < n->namespace_count; i++) {
        add_once(ret, xasprintf(".%s", n->namespaces[i]));
        add_once(ret, xasprintf(".%s.svc", n->namespaces[i]));
    }
    for (size_t at = 0;
         ret->count < SUFFIXES_MAX && (entry = map_next(&n->by_name, &at));) {
        struct str full = { entry->key, entry->key_len };
        struct parts p;
        if (!read_parts(full, &p))
            continue;
        add_once(ret, xasprintf(".%.*s", (int)(full.len - (size_t)(p.kind.at - full.at)),
                                p.kind.at));
        if (is_chosen(n, p.ns) && str_eq(p.kind, STR("svc")) && !is_taken(n, p.local))
            add_once(ret, str_dup(p.local));
    }
}
