/* cli/status_tables.c - the answer of the operation status, for people */
#include "cli/status_tables.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "base/utf8.h"
#include "cli/ask.h"
#include "cli/table.h"

#define ADDRESSES_SHOWN 20 /* those that were used last */

static const json_t *list_of(const json_t *status, const char *key)
{
    return json_object_get(status, key);
}

static void print_table(struct table *t, size_t rows, FILE *to)
{
    if (rows) {
        fputc('\n', to);
        table_print(t, to);
    }
    table_destroy(t);
}

static void print_process(const json_t *status, FILE *to)
{
    const json_t *rate = json_object_get(status, "lastMinute");
    double seconds = (double)number_of(rate, "ms") / 1000;
    int64_t began = wall_clock_ms();
    char age[32];

    if (rfc3339_parse(str_of(text_of(status, "started")), &began))
        began = wall_clock_ms();
    int64_t ms = wall_clock_ms() - began;
    fprintf(to, "kube-tunnel %s \"%s\" is %s: pid %lld, for %s\n",
            text_of(status, "version"), text_of(status, "name"), text_of(status, "state"),
            number_of(status, "pid"), age_text(ms > 0 ? (uint64_t)ms : 0, age));
    fprintf(to,
            "last minute: %lld requests (%.1f/s), %lld failed; now %zu clients, "
            "%zu tunnels\n",
            number_of(rate, "requests"),
            (double)number_of(rate, "requests") / (seconds < 1 ? 1 : seconds),
            number_of(rate, "failures"), json_array_size(list_of(status, "clients")),
            json_array_size(list_of(status, "tunnels")));
}

static void print_recording(const json_t *status, FILE *to)
{
    const json_t *r = json_object_get(status, "recording");

    if (number_of(r, "readers"))
        fprintf(to, "%lld readers of requests (kube-tunnel tail)%s\n",
                number_of(r, "readers"),
                json_is_true(json_object_get(r, "bodies")) ? "; bodies are recorded"
                                                           : "");
}

static void print_clusters(const json_t *status, FILE *to)
{
    static const char *const headings[] = { "CONTEXT", "STATE", "SERVER", "SERVICES",
                                            "ERROR" };
    struct table *t = table_create(headings, ARRAY_LEN(headings));
    size_t i;
    json_t *c;

    json_array_foreach(list_of(status, "clusters"), i, c)
    {
        AUTO_FREE char *services = xasprintf("%lld", number_of(c, "services"));
        const char *cells[] = { text_of(c, "context"), text_of(c, "state"),
                                text_of(c, "server"), services, text_of(c, "error") };
        table_add(t, cells);
    }
    print_table(t, i, to);
}

static char *ports_text(const json_t *address)
{
    char *text = xstrdup("");
    size_t i;
    json_t *port;

    json_array_foreach(json_object_get(address, "ports"), i, port)
    {
        char *before = text;
        bool open = json_is_true(json_object_get(port, "open"));
        text = xasprintf("%s%s%lld%s", before, i ? ", " : "", number_of(port, "port"),
                         open ? "" : " (not open)");
        free(before);
    }
    return text;
}

/* At most ADDRESSES_SHOWN; -o json has the others. */
static void print_addresses(const json_t *addresses, FILE *to)
{
    static const char *const headings[] = { "NAME", "ADDRESS", "PORTS", "UNUSED FOR" };
    struct table *t = table_create(headings, ARRAY_LEN(headings));
    const json_t *list = json_object_get(addresses, "open");
    size_t i, count = json_array_size(list);
    json_t *item;

    json_array_foreach(list, i, item)
    {
        AUTO_FREE char *ports = ports_text(item);
        char age[32];
        bool pinned = json_is_true(json_object_get(item, "pinned"));
        const char *cells[] = {
            text_of(item, "name"), text_of(item, "address"), ports,
            pinned ? "pinned" : age_text((uint64_t)number_of(item, "idleMs"), age)
        };
        if (count - i <= ADDRESSES_SHOWN)
            table_add(t, cells);
    }
    print_table(t, count, to);
    if (count > ADDRESSES_SHOWN)
        fprintf(to, "and %zu more addresses; see -o json\n", count - ADDRESSES_SHOWN);
}

void print_closed_ports(const json_t *problems, FILE *to)
{
    const char *fix = "";
    size_t i;
    json_t *item;

    json_array_foreach((json_t *)problems, i, item)
    {
        fprintf(to, "port %lld of services is not listened on: %s\n",
                number_of(item, "port"), text_of(item, "reason"));
        if (*text_of(item, "fix"))
            fix = text_of(item, "fix");
    }
    if (*fix)
        fprintf(to, "to allow these ports: %s\n", fix);
}

static void print_address_problems(const json_t *addresses, FILE *to)
{
    const json_t *list = json_object_get(addresses, "problems");
    const char *file = text_of(addresses, "stateFile");

    if (json_array_size(list) || *file)
        fputc('\n', to);
    if (*file)
        fprintf(to, "addresses of services are not remembered: %s\n", file);
    print_closed_ports(list, to);
}

static bool is_loopback_text(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0;
}

/* Returns how many were added. */
static size_t add_dns_addresses(const json_t *status, struct table *t)
{
    size_t i;
    json_t *address;

    json_array_foreach(list_of(json_object_get(status, "dns"), "addresses"), i, address)
    {
        const char *text = json_string_value(address);
        const char *cells[] = { text,
                                is_loopback_text(text) ? "this machine" : "any machine",
                                "DNS server" };
        table_add(t, cells);
    }
    return i;
}

static void print_listeners(const json_t *status, FILE *to)
{
    static const char *const headings[] = { "LISTENER", "FROM", "LEADS TO" };
    struct table *t = table_create(headings, ARRAY_LEN(headings));
    size_t i;
    json_t *l;

    json_array_foreach(list_of(status, "listeners"), i, l)
    {
        AUTO_FREE char *leads =
            xasprintf("%s:%s", text_of(l, "exposes"), text_of(l, "port"));
        const char *cells[] = { text_of(l, "address"),
                                json_is_true(json_object_get(l, "loopback"))
                                    ? "this machine"
                                    : "any machine",
                                text_of(l, "exposes")[0] ? leads : "any name" };
        table_add(t, cells);
    }
    print_table(t, i + add_dns_addresses(status, t), to);
}

static void print_aliases(const json_t *status, FILE *to)
{
    static const char *const headings[] = { "ALIAS", "LEADS TO" };
    struct table *t = table_create(headings, ARRAY_LEN(headings));
    size_t i;
    json_t *a;

    json_array_foreach(list_of(status, "aliases"), i, a)
    {
        const char *cells[] = { text_of(a, "name"), text_of(a, "target") };
        table_add(t, cells);
    }
    print_table(t, i, to);
}

static const char *const clients_headings[] = { "CLIENT", "FROM",     "PROTOCOL", "STATE",
                                                "PORT",   "REQUESTS", "POD" };

static struct table *clients(const json_t *status)
{
    struct table *t = table_create(clients_headings, ARRAY_LEN(clients_headings));
    size_t i;
    json_t *c;

    json_array_foreach(list_of(status, "clients"), i, c)
    {
        AUTO_FREE char *port = xasprintf("%lld", number_of(c, "listener"));
        AUTO_FREE char *requests = xasprintf("%lld", number_of(c, "requests"));
        AUTO_FREE char *pod =
            xasprintf("%s/%s", text_of(c, "namespace"), text_of(c, "pod"));
        const char *cells[] = { text_of(c, "id"),
                                text_of(c, "client"),
                                text_of(c, "protocol"),
                                text_of(c, "state"),
                                port,
                                requests,
                                text_of(c, "pod")[0] ? pod : "" };
        table_add(t, cells);
    }
    return t;
}

static const char *const tunnels_headings[] = { "TUNNEL", "POD",  "STATE", "TRANSPORT",
                                                "SHARED", "BUSY", "IDLE",  "AGE" };

static struct table *tunnels(const json_t *status)
{
    struct table *t = table_create(tunnels_headings, ARRAY_LEN(tunnels_headings));
    size_t i;
    json_t *u;

    json_array_foreach(list_of(status, "tunnels"), i, u)
    {
        AUTO_FREE char *pod =
            xasprintf("%s/%s", text_of(u, "namespace"), text_of(u, "pod"));
        AUTO_FREE char *busy = xasprintf("%lld", number_of(u, "connections"));
        AUTO_FREE char *idle = xasprintf("%lld", number_of(u, "idle"));
        char age[32];
        const char *cells[] = { text_of(u, "id"),
                                pod,
                                text_of(u, "state"),
                                text_of(u, "transport"),
                                json_is_true(json_object_get(u, "shared")) ? "yes" : "no",
                                busy,
                                idle,
                                age_text((uint64_t)number_of(u, "ageMs"), age) };
        table_add(t, cells);
    }
    return t;
}

/* One pod: its requests, and its tunnels added up. */
struct pod_row {
    char *pod;
    long long running, requests, before, tunnels, idle;
    bool outlier;
};

struct pod_rows {
    struct pod_row *at;
    size_t count;
    long long before; /* of new rows */
};

/* New rows have no requests before; -1: it is not known. */
static struct pod_row *pod_row_of(struct pod_rows *rows, const json_t *item)
{
    AUTO_FREE char *pod = xasprintf("%s%s%s/%s", text_of(item, "cluster"),
                                    text_of(item, "cluster")[0] ? " " : "",
                                    text_of(item, "namespace"), text_of(item, "pod"));

    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->at[i].pod, pod) == 0)
            return &rows->at[i];
    rows->at = xrealloc(rows->at, (rows->count + 1) * sizeof(*rows->at));
    rows->at[rows->count] = (struct pod_row){ .pod = TAKE(pod), .before = rows->before };
    return &rows->at[rows->count++];
}

static void add_loads(struct pod_rows *rows, const json_t *status, const json_t *before)
{
    size_t i;
    json_t *item;

    json_array_foreach(list_of(status, "pods"), i, item)
    {
        struct pod_row *row = pod_row_of(rows, item);
        row->running = number_of(item, "running");
        row->requests = number_of(item, "requests");
        row->outlier = json_is_true(json_object_get(item, "outlier"));
    }
    json_array_foreach(list_of(before, "pods"), i, item) pod_row_of(rows, item)->before =
        number_of(item, "requests");
}

static void add_tunnels(struct pod_rows *rows, const json_t *status)
{
    size_t i;
    json_t *item;

    json_array_foreach(list_of(status, "tunnels"), i, item)
    {
        struct pod_row *row = pod_row_of(rows, item);
        row->tunnels++;
        row->idle += number_of(item, "idle");
    }
}

static const char *const pods_headings[] = { "POD",     "REQUESTS", "PER SECOND",
                                             "RUNNING", "TUNNELS",  "IDLE",
                                             "STATE" };

/* Statuses are a second apart. */
static char *rate_text(const struct pod_row *r)
{
    if (r->before < 0 || r->requests < r->before)
        return xstrdup("-");
    return xasprintf("%lld", r->requests - r->before);
}

static void add_pod_row(struct table *t, const struct pod_row *r)
{
    AUTO_FREE char *requests = xasprintf("%lld", r->requests);
    AUTO_FREE char *rate = rate_text(r);
    AUTO_FREE char *running = xasprintf("%lld", r->running);
    AUTO_FREE char *tunnels = xasprintf("%lld", r->tunnels);
    AUTO_FREE char *idle = xasprintf("%lld", r->idle);
    const char *cells[] = {
        r->pod, requests, rate, running, tunnels, idle, r->outlier ? "refuses" : ""
    };

    table_add(t, cells);
}

static struct table *pods(const json_t *status, const json_t *before)
{
    struct table *t = table_create(pods_headings, ARRAY_LEN(pods_headings));
    struct pod_rows rows = { .before = before ? 0 : -1 };

    add_loads(&rows, status, before);
    add_tunnels(&rows, status);
    for (size_t i = 0; i < rows.count; i++) {
        add_pod_row(t, &rows.at[i]);
        free(rows.at[i].pod);
    }
    free(rows.at);
    return t;
}

struct table *status_table(const json_t *status, const json_t *before,
                           enum status_view view)
{
    switch (view) {
    case VIEW_CLIENTS:
        return clients(status);
    case VIEW_TUNNELS:
        return tunnels(status);
    default:
        return pods(status, before);
    }
}

size_t status_columns(enum status_view view)
{
    static const size_t columns[] = {
        [VIEW_PODS] = ARRAY_LEN(pods_headings),
        [VIEW_CLIENTS] = ARRAY_LEN(clients_headings),
        [VIEW_TUNNELS] = ARRAY_LEN(tunnels_headings),
    };
    return columns[view];
}

static void print_view(const json_t *status, enum status_view view, FILE *to)
{
    struct table *t = status_table(status, NULL, view);

    print_table(t, table_rows(t), to);
}

void print_status_summary(const json_t *status, FILE *to)
{
    print_process(status, to);
    print_recording(status, to);
}

static void print_left_out(const json_t *status, const char *key, const char *what,
                           FILE *to)
{
    if (number_of(status, key))
        fprintf(to, "\n%lld %s are not shown\n", number_of(status, key), what);
}

void print_status_tables(const json_t *status, bool wide, FILE *to)
{
    print_status_summary(status, to);
    print_clusters(status, to);
    print_listeners(status, to);
    print_addresses(json_object_get(status, "addresses"), to);
    print_address_problems(json_object_get(status, "addresses"), to);
    print_aliases(status, to);
    print_view(status, VIEW_CLIENTS, to);
    print_left_out(status, "clientsLeftOut", "clients", to);
    print_view(status, wide ? VIEW_TUNNELS : VIEW_PODS, to);
    print_left_out(status, "tunnelsLeftOut", "tunnels", to);
}

static void print_names(const json_t *list, const char *kind, const char *key, FILE *to)
{
    size_t i;
    json_t *item;

    json_array_foreach(list, i, item)
    {
        AUTO_FREE char *name = xstrdup(text_of(item, key));
        text_make_printable(name, false);
        fprintf(to, "%s/%s\n", kind, name);
    }
}

void print_status_names(const json_t *status, FILE *to)
{
    print_names(list_of(status, "clusters"), "context", "context", to);
    print_names(list_of(status, "listeners"), "listener", "address", to);
    print_names(list_of(status, "aliases"), "alias", "name", to);
    print_names(list_of(status, "clients"), "client", "id", to);
    print_names(list_of(status, "tunnels"), "tunnel", "id", to);
}
