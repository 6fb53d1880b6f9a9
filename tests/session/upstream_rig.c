#include "upstream_rig.h"

#include <ctype.h>
#include <string.h>
#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/address_owner.h"
#include "catalog/container_ports.h"
#include "catalog/endpoint.h"
#include "route/name.h"

struct upstream_rig rig;

/* ---- in the place of catalog.h ---- */

static void fill_in(struct lookup *l)
{
    service_unref(TAKE(l->service));
    l->result = rig.service ? OK : rig.error.code;
    if (rig.service) {
        l->service = service_ref(rig.service);
        return;
    }
    l->error = rig.error;
    l->missing_verb = rig.missing_verb;
    l->missing_resource = rig.missing_resource;
}

static void look_up(struct lookup *l, uint64_t max_age_ms, struct task *wake)
{
    rig.lookup_count++;
    rig.last_max_age = max_age_ms;
    *l = (struct lookup){ .result = ERR_AGAIN, .wake = wake };
    list_append(&rig.lookups, &l->subscribed);
    if (!rig.hold_lookups)
        fill_in(l);
}

void catalog_lookup(struct catalog *c, struct str ns, struct str name,
                    uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    (void)c, (void)ns, (void)name;
    look_up(l, max_age_ms, wake);
}

void catalog_lookup_pod(struct catalog *c, struct str ns, struct str pod,
                        uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    (void)c, (void)ns, (void)pod;
    rig.pod_lookup_count++;
    look_up(l, max_age_ms, wake);
}

void catalog_lookup_deployment(struct catalog *c, struct str ns, struct str name,
                               uint64_t max_age_ms, struct lookup *l, struct task *wake)
{
    catalog_lookup(c, ns, name, max_age_ms, l, wake);
}

void address_owner_find(struct address_owner *a, struct catalog *c, const char *address,
                        struct task *wake)
{
    (void)c;
    snprintf(rig.owner_address, sizeof(rig.owner_address), "%s", address);
    snprintf(a->address, sizeof(a->address), "%s", address);
    snprintf(a->ns, sizeof(a->ns), "%s", rig.owner_ns ? rig.owner_ns : "shop");
    snprintf(a->name, sizeof(a->name), "%s", rig.owner_is_pod ? "a" : "web");
    a->is_pod = rig.owner_is_pod;
    a->result = rig.owner_result;
    a->error = (struct api_error){ .code = a->result };
    a->wake = wake;
}

void address_owner_finish(struct address_owner *a)
{
    a->wake = NULL;
}

void catalog_note_missing(struct catalog *c, const struct endpoint *e)
{
    (void)c;
    snprintf(rig.missing, sizeof(rig.missing), "%s", e->key);
}

void lookup_finish(struct lookup *l)
{
    if (l->subscribed.next)
        list_remove(&l->subscribed);
    service_unref(l->service);
    *l = (struct lookup){ .result = OK };
}

void lookup_keep(const struct lookup *l)
{
    assert_int_equal(l->result, OK);
    rig.kept_count++;
}

bool lookup_is_watched(const struct lookup *l)
{
    (void)l;
    return catalog_rights(NULL) == RIGHTS_WATCH;
}

bool catalog_ready(const struct catalog *c, struct api_error *ret_error)
{
    (void)c;
    *ret_error = rig.trouble;
    return rig.trouble.code == OK;
}

enum rights catalog_rights(const struct catalog *c)
{
    (void)c;
    return rig.rights;
}

void catalog_on_gone(struct catalog *c, void (*gone)(void *owner, const char *pod_uid),
                     void *owner)
{
    (void)c;
    rig.gone = gone;
    rig.gone_owner = owner;
}

void catalog_on_change(struct catalog *c,
                       void (*changed)(void *owner, const struct service *before,
                                       const struct service *after),
                       void *owner)
{
    (void)c;
    rig.changed = changed;
    rig.changed_owner = owner;
}

/* ---- the fake connector ---- */

static struct demand fake_demand(struct connector *c, const char *pod_uid)
{
    (void)c;
    const char *letter = strchr("abcdefgh", pod_uid[0]);
    return letter ? rig.carried[pod_uid[0] - 'a'] : (struct demand){ 0 };
}

static void fake_expect(struct connector *c, const struct endpoint *endpoint,
                        uint32_t at_once, const struct demand *of)
{
    (void)c;
    size_t len = strlen(rig.expected);
    snprintf(rig.expected + len, sizeof(rig.expected) - len, "%s:%u ", endpoint->uid,
             at_once);
    rig.expected_of = *of;
}

static bool fake_has_room(struct connector *c, const char *pod_uid, uint16_t port)
{
    (void)c, (void)port;
    return rig.room && strchr(rig.room, pod_uid[0]);
}

static uint32_t fake_count(struct connector *c, const char *pod_uid)
{
    (void)c;
    return rig.several && strchr(rig.several, pod_uid[0]) ? 2 : 1;
}

static void fake_make_room(struct connector *c, const char *pod_uid)
{
    (void)c;
    snprintf(rig.made_room, sizeof(rig.made_room), "%s", pod_uid);
}

static void fake_prewarm(struct connector *c, const char *pod_uid)
{
    (void)c;
    snprintf(rig.prewarmed, sizeof(rig.prewarmed), "%s", pod_uid);
}

static bool fake_has_large_transfers(struct connector *c, const char *pod_uid)
{
    (void)c;
    return rig.large && strchr(rig.large, pod_uid[0]);
}

static struct conn *conn_of(struct stream *s)
{
    return container_of(s, struct conn, stream);
}

static void conn_update(struct stream *s)
{
    (void)s;
}

static void conn_close(struct stream *s)
{
    assert_false(conn_of(s)->closed || conn_of(s)->aborted);
    conn_of(s)->closed = true;
    if (rig.one_descriptor)
        rig.direct_failure.code = OK;
    s->wake = NULL;
    stream_finish(s);
}

static void conn_abort(struct stream *s)
{
    assert_false(conn_of(s)->closed || conn_of(s)->aborted);
    conn_of(s)->aborted = true;
    s->wake = NULL;
    stream_finish(s);
}

static bool conn_is_free(const struct stream *s, bool alone)
{
    return s != rig.not_free && !(alone && s == rig.shared);
}

static bool conn_is_reusable(const struct stream *s)
{
    return strcmp(conn_of((struct stream *)s)->uid, rig.retired) != 0;
}

static void conn_set_alone(struct stream *s, bool alone)
{
    assert_false(conn_of(s)->lent);
    conn_of(s)->alone = alone;
}

static void conn_lend(struct stream *s, bool lent)
{
    conn_of(s)->lent = lent;
}

static const struct stream_ops conn_ops = {
    .update = conn_update,
    .close = conn_close,
    .abort = conn_abort,
    .lend = conn_lend,
    .set_alone = conn_set_alone,
    .is_reusable = conn_is_reusable,
    .is_free = conn_is_free,
};

/* The operations of a TCP connection: any kept one may be reused. */
static const struct stream_ops plain_ops = {
    .update = conn_update,
    .close = conn_close,
    .abort = conn_abort,
};

static void succeed(struct dial *d)
{
    struct opening *o = TAKE(d->opening);

    if (rig.connect) {
        o->stream = rig.connect();
        o->result = OK;
        return;
    }
    stream_init(&d->conn.stream, rig.plain ? &plain_ops : &conn_ops, loop_pool(rig.loop),
                65536, 65536);
    d->conn.lent = true;
    o->stream = &d->conn.stream;
    o->result = OK;
}

static void refuse(struct dial *d, const struct api_error *error)
{
    struct opening *o = TAKE(d->opening);
    o->error = *error;
    o->result = error->code;
}

static bool fails(const struct endpoint *endpoint)
{
    return !rig.only_refuses || strcmp(rig.only_refuses, endpoint->uid) == 0;
}

static void fake_open(struct connector *c, const struct endpoint *endpoint,
                      struct opening *o)
{
    (void)c;
    assert_in_range(rig.dial_count, 0, ARRAY_LEN(rig.dials) - 1);
    struct dial *d = &rig.dials[rig.dial_count++];

    *d = (struct dial){ .opening = o, .alone = o->alone, .small = o->small };
    o->private = d;
    snprintf(d->conn.uid, sizeof(d->conn.uid), "%s", endpoint->uid);
    d->conn.port = o->port;
    if (rig.hold_openings)
        return;
    if (rig.refusal.code && fails(endpoint))
        refuse(d, &rig.refusal);
    else
        succeed(d);
}

static void fake_open_direct(struct connector *c, const struct endpoint *endpoint,
                             struct opening *o)
{
    (void)c;
    struct dial *d = &rig.dials[rig.dial_count++];

    *d = (struct dial){ .opening = o, .direct = true };
    o->private = d;
    snprintf(d->conn.uid, sizeof(d->conn.uid), "%s", endpoint->uid);
    d->conn.port = o->port;
    o->via = (struct log_id){ .kind = 'd', .number = rig.dial_count };
    if (rig.hold_direct)
        return;
    if (rig.direct_failure.code && fails(endpoint))
        refuse(d, &rig.direct_failure);
    else
        succeed(d);
}

static bool fake_progresses(const struct opening *o)
{
    return o->result == ERR_AGAIN && rig.opening_progresses;
}

static void fake_cancel(struct opening *o)
{
    struct dial *d = o->private;

    assert_ptr_equal(d->opening, o);
    d->opening = NULL;
    d->cancelled = true;
}

static void fake_retire(struct connector *c, const char *pod_uid)
{
    (void)c;
    snprintf(rig.retired, sizeof(rig.retired), "%s", pod_uid);
}

static const struct connector_ops fake_connector = {
    .open = fake_open,
    .cancel = fake_cancel,
    .progresses = fake_progresses,
    .has_room = fake_has_room,
    .has_large_transfers = fake_has_large_transfers,
    .count = fake_count,
    .demand = fake_demand,
    .expect = fake_expect,
    .prewarm = fake_prewarm,
    .make_room = fake_make_room,
    .retire = fake_retire,
};

static const struct connector_ops fake_direct = {
    .open = fake_open_direct,
    .cancel = fake_cancel,
};

/* ---- the rig ---- */

static bool listens(void *owner, const char *ip, uint16_t port)
{
    (void)owner;
    return strcmp(ip, "192.0.2.1") == 0 && port == 8080;
}

struct upstream_settings rig_settings(void)
{
    return (struct upstream_settings){
        .idle_ms = 90000,
        .attempt_ms = 10000,
        .max_head_size = 65536,
        .max_head_fields = 100,
        .http2_streams = 100,
        .http2_window = 65535,
        .prepare_second = true,
        .zone = "cluster.local",
        .own = { .uid = "me", .ns = "home", .name = "tunnel-0" },
        .listeners = { .has = listens },
    };
}

static int begin(bool with_tunnel, bool with_direct)
{
    const struct upstream_settings settings = rig_settings();

    log_set_level(LEVEL_ERROR);
    rig = (struct upstream_rig){ .loop = loop_create(), .rights = RIGHTS_WATCH };
    rig.connector.ops = &fake_connector;
    rig.direct.ops = &fake_direct;
    list_init(&rig.lookups);
    rig.sched = loop_sched(rig.loop);
    const struct upstream_connectors connectors = {
        .tunnel = with_tunnel ? &rig.connector : NULL,
        .direct = with_direct ? &rig.direct : NULL,
    };
    rig.upstream = upstream_create(rig.loop, NULL, &connectors, &settings);
    rig_service("ab");
    return 0;
}

int rig_begin(void **state)
{
    (void)state;
    return begin(true, false);
}

int rig_begin_auto(void **state)
{
    (void)state;
    return begin(true, true);
}

int rig_begin_direct(void **state)
{
    (void)state;
    return begin(false, true);
}

int rig_end(void **state)
{
    (void)state;
    if (!upstream_idle(rig.upstream))
        return -1; /* the test has failed, so its leases may still exist */
    upstream_destroy(rig.upstream);
    assert_null(rig.gone);
    assert_true(list_empty(&rig.lookups));
    service_unref(rig.service);
    for (size_t i = 0; i < rig.dial_count; i++) {
        const struct dial *d = &rig.dials[i];
        assert_null(d->opening);
        if (d->conn.stream.ops && !d->conn.closed && !d->conn.aborted)
            fail_msg("connection %zu was lost", i);
    }
    loop_destroy(rig.loop);
    return 0;
}

void rig_run(void)
{
    sched_run(rig.sched, rig.sched->now);
}

void rig_advance(uint64_t ms)
{
    uint64_t until = rig.sched->now + ms;

    rig_run();
    for (uint64_t wait; (wait = sched_wait(rig.sched)) <= until - rig.sched->now;)
        sched_run(rig.sched, rig.sched->now + wait);
    sched_run(rig.sched, until);
}

static const uint16_t *make_ports(void)
{
    const struct service_port http = { .name = "http", .tcp = true, .target = 8080 };
    const struct pod any = { 0 };
    struct container_ports ports;

    container_ports_init(&ports, &http, 1);
    const uint16_t *numbers = container_ports_of_pod(&ports, &any);
    container_ports_finish(&ports);
    return numbers;
}

static struct endpoint *make_endpoint(char name)
{
    static char texts[128][2];
    struct endpoint *e = xcalloc(1, sizeof(*e));
    char *text = texts[tolower(name)];

    *text = (char)tolower(name);
    e->refs = 1;
    e->ns = *text == 'n' ? "home" : "shop";
    e->pod = *text == 'n' ? "tunnel-0" : text;
    e->uid = *text == 'm' ? "me" : text;
    e->key = e->uid;
    e->hostname = text;
    e->ready = !isupper(name) && !isdigit(name);
    e->terminating = isdigit(name);
    e->ports = make_ports();
    return e;
}

void rig_service(const char *endpoints)
{
    rig_service_with_port(endpoints, &(struct service_port){
                                         .name = "http",
                                         .number = 80,
                                         .tcp = true,
                                         .target = 8080,
                                     });
}

void rig_service_with_port(const char *endpoints, const struct service_port *port)
{
    const struct service_spec loose = {
        .ns = "shop", .name = "web", .selector = "app=web", .ports = port, .port_count = 1
    };
    struct service_spec *spec = spec_pack(&loose);
    struct service *s = service_create(spec);

    spec_unref(spec);
    s->pods_seen = strlen(endpoints);
    for (size_t i = 0; endpoints[i]; i++)
        service_add_endpoint(s, make_endpoint(endpoints[i]));
    service_unref(rig.service);
    rig.service = s;
}

void rig_large_service(size_t count)
{
    rig_service("");
    for (size_t i = 0; i < count; i++) {
        AUTO_FREE char *pod = xasprintf("pod-%zu", i);
        const struct endpoint e = {
            .ns = "shop", .pod = pod, .uid = pod, .ready = true, .ports = make_ports()
        };
        service_add_endpoint(rig.service, endpoint_pack(&e));
    }
    rig.service->pods_seen = count;
}

void rig_drop_ports(size_t endpoint)
{
    struct endpoint *e = rig.service->endpoints[endpoint];

    container_ports_unref(TAKE(e->ports));
}

void rig_no_service(enum err e, int status, const char *why)
{
    service_unref(TAKE(rig.service));
    rig.error = (struct api_error){ .code = e, .status = status, .is_status = true };
    diag_set(&rig.error.why, e, "%s", why);
}

void rig_change(void)
{
    for (struct list_node *n = rig.lookups.next; n != &rig.lookups; n = n->next)
        task_wake(container_of(n, struct lookup, subscribed)->wake);
    rig_run();
}

void rig_answer(void)
{
    for (struct list_node *n = rig.lookups.next; n != &rig.lookups; n = n->next) {
        struct lookup *l = container_of(n, struct lookup, subscribed);
        if (l->result == ERR_AGAIN)
            fill_in(l);
    }
    rig_change();
}

void rig_gone(const char *uid)
{
    rig.gone(rig.gone_owner, uid);
    rig_run();
}

void rig_open_without_run(size_t dial)
{
    struct task *wake = rig.dials[dial].opening->wake;
    succeed(&rig.dials[dial]);
    task_wake(wake);
}

void rig_open(size_t dial)
{
    rig_open_without_run(dial);
    rig_run();
}

void rig_refuse(size_t dial, enum err e, const char *why)
{
    struct task *wake = rig.dials[dial].opening->wake;
    struct api_error error = { .code = e, .status = 500 };
    error.is_status = e == ERR_NOT_FOUND;
    diag_set(&error.why, e, "%s", why);
    refuse(&rig.dials[dial], &error);
    task_wake(wake);
    rig_run();
}

struct conn *rig_conn(size_t dial)
{
    assert_in_range(dial, 0, rig.dial_count - 1);
    return &rig.dials[dial].conn;
}

/* ---- requests ---- */

static void on_borrower_wake(struct task *task)
{
    container_of(task, struct borrower, wake)->wakes++;
}

void borrower_init(struct borrower *a, const char *host)
{
    *a = (struct borrower){ .want = { .repeatable = true,
                                      .client = STR("192.0.2.1"),
                                      .wait_until = rig.sched->now + 10000 } };
    name_parse(str_of(host), STR("cluster.local"), &a->route.name);
    assert_true(a->route.name.kind != NAME_INVALID && a->route.name.kind != NAME_OWN);
    a->route.port = 80;
    a->want.route = &a->route;
    task_init(&a->wake, rig.sched, RANK_WORK, on_borrower_wake);
}

void borrower_lease(struct borrower *a)
{
    upstream_lease(rig.upstream, &a->want, &a->lease, &a->wake);
}

void borrower_get(struct borrower *a)
{
    borrower_init(a, "web.shop");
    borrower_lease(a);
}

void borrower_return(struct borrower *a, enum release_mode release)
{
    upstream_return(&a->lease, release);
    assert_null(a->lease.private);
    assert_null(a->lease.stream);
    assert_null(a->lease.endpoint);
    task_cancel(&a->wake);
}
