/* tests/session/stage.c - the real serve/, with the test as its clients and pods */
#include "stage.h"

#include <stdio.h>

#include "admin/admin.h"
#include "base/own.h"
#include "catalog/service.h"
#include "cluster/clusters.h"
#include "serve/exposed.h"

/* The fake of upstream/: its `struct upstream` is the stage. */

static struct stage *stage_of(struct upstream *u)
{
    return (struct stage *)(void *)u;
}

/* The endpoint and its texts in one allocation. */
struct named_endpoint {
    struct endpoint endpoint;
    char pod[32], uid[32];
};

static struct endpoint *endpoint_make(size_t i)
{
    struct named_endpoint *n = xcalloc(1, sizeof(*n));
    snprintf(n->pod, sizeof(n->pod), "web-%zu", i);
    snprintf(n->uid, sizeof(n->uid), "uid-%zu", i);
    n->endpoint = (struct endpoint){
        .refs = 1, .ns = "shop", .pod = n->pod, .uid = n->uid, .key = n->uid
    };
    return &n->endpoint;
}

struct endpoint *endpoint_ref(const struct endpoint *e)
{
    struct endpoint *mine = (struct endpoint *)e;
    mine->refs++;
    return mine;
}

void endpoint_unref(struct endpoint *e)
{
    if (!e || --e->refs)
        return;
    free(e);
}

static void answer_lease(struct stage *st, struct leased *l)
{
    struct lease *lease = l->lease;
    const struct outcome *o = &l->outcome;

    lease->result = o->result;
    if (o->result == ERR_AGAIN)
        return;
    lease->reused = o->reused;
    lease->dialling = o->dialling;
    lease->retry_after = (uint32_t)o->retry_after;
    lease->missing_verb = o->verb;
    lease->missing_resource = o->resource;
    if (o->why)
        diag_set(&lease->why, o->result, "%s", o->why);
    if (!o->result || o->dialling)
        lease->endpoint = endpoint_make((size_t)(l - st->leases));
    if (o->result)
        return;
    struct stream_pair pair = mem_stream_pair(&st->sched, &st->pool, st->limit);
    lease->port = 8080;
    lease->via = (struct log_id){ .kind = 't', .number = 1 };
    lease->stream = l->ours = pair.a;
    l->pod = pair.b;
    pair.a->wake = l->wake;
    h1_client_init(&l->h1, (struct h1_limits){ st->config->max_head_size,
                                               st->config->max_head_fields });
    h1_client_begin(&l->h1, l->ours);
    lease->message = &l->h1.message;
}

void upstream_lease(struct upstream *u, const struct want *want, struct lease *lease,
                    struct task *wake)
{
    struct stage *st = stage_of(u);
    struct leased *l = &st->leases[st->lease_count];

    assert_true(st->lease_count < LEASES_MAX);
    assert_null(lease->private);
    *l = (struct leased){
        .lease = lease,
        .wake = wake,
        .outcome = st->script[st->lease_count],
        .raw = want->proto == PROTO_RAW,
        .repeatable = want->repeatable,
        .attempt = want->attempt,
        .pair = want->pair,
        .port = want->route->port,
        .wait_ms = want->wait_until - st->sched.now,
    };
    snprintf(l->avoid, sizeof(l->avoid), "%s", want->avoid ? want->avoid->pod : "");
    snprintf(l->route, sizeof(l->route), "%.*s/%.*s", STR_ARG(want->route->name.ns),
             STR_ARG(want->route->name.service));
    assert_in_range(want->wait_until, st->sched.now, st->sched.now + st->config->wait_ms);
    lease->private = (struct leasing *)(void *)st;
    st->lease_count++;
    answer_lease(st, l);
}

static struct leased *find_leased(struct stage *st, const struct lease *lease)
{
    for (size_t i = 0; i < st->lease_count; i++)
        if (st->leases[i].lease == lease)
            return &st->leases[i];
    fail_msg("a lease that is not out was returned");
    return NULL;
}

void upstream_lease_move(struct lease *from, struct lease *to, struct str client,
                         struct task *wake)
{
    (void)client;
    assert_null(to->private);
    *to = *from;
    *from = (struct lease){ 0 };
    if (!to->private)
        return;
    struct leased *l = find_leased((struct stage *)(void *)to->private, from);
    l->lease = to;
    l->wake = wake;
    if (l->ours)
        l->ours->wake = wake;
}

/* There is one cluster, and its upstream is the stage. */
bool clusters_have_label(const struct clusters *cs, struct str label)
{
    (void)cs;
    (void)label;
    return false;
}

enum err clusters_find(struct clusters *cs, struct str label, struct cluster **ret,
                       struct diag *why)
{
    (void)label;
    (void)why;
    *ret = cluster_ref(&((struct stage *)(void *)cs)->cluster);
    return OK;
}

void cluster_unref(struct cluster *c)
{
    if (c)
        c->refs--;
}

bool clusters_need_login(const struct clusters *cs, struct str label, struct diag *why)
{
    (void)label;
    diag_set(why, ERR_CREDENTIALS, "exec plugin \"login\" is still running");
    return ((const struct stage *)(const void *)cs)->login;
}

bool clusters_free_descriptor(struct clusters *cs)
{
    (void)cs;
    return false;
}

void clusters_unpair(struct clusters *cs, uint64_t pair)
{
    (void)cs;
    (void)pair;
}

void upstream_return(struct lease *lease, enum release_mode release)
{
    if (!lease->private)
        return;
    struct stage *st = (struct stage *)(void *)lease->private;
    struct leased *l = find_leased(st, lease);

    if (release == RELEASE_KEEP) {
        assert_int_equal(l->ours->end.verdict, V_OPEN);
        assert_true(bufq_empty(&l->ours->in));
        assert_true(bufq_empty(&l->ours->out));
    }
    l->returned = true;
    l->release = release;
    h1_client_finish(&l->h1);
    l->end = l->ours ? l->ours->end.verdict : V_OPEN;
    l->keep_ms = lease->keep_ms;
    l->lease = NULL;
    if (release == RELEASE_ABORT)
        stream_abort(TAKE(l->ours));
    else
        stream_close(TAKE(l->ours));
    endpoint_unref(lease->endpoint);
    *lease = (struct lease){ 0 };
}

void stage_prepare(struct stage *st, size_t i, const struct outcome *outcome)
{
    assert_non_null(st->leases[i].lease);
    st->leases[i].outcome = *outcome;
    answer_lease(st, &st->leases[i]);
    task_wake(st->leases[i].wake);
}

void stage_deliver(struct stage *st, size_t i, const struct outcome *outcome)
{
    stage_prepare(st, i, outcome);
    stage_run(st);
}

/* A fake of admin/, with a page of each status that a session distinguishes. */
void admin_answer(struct admin *a, const struct admin_request *r, struct admin_page *ret)
{
    (void)a;
    *ret = (struct admin_page){
        .status = 200,
        .type = "text/plain",
        .text = xasprintf("own %.*s %.*s\n", STR_ARG(r->method), STR_ARG(r->path)),
    };
}

static void on_drained(struct task *t)
{
    container_of(t, struct stage, drained)->drained_count++;
}

int stage_setup(void **state)
{
    struct stage *st = xcalloc(1, sizeof(*st));

    log_set_level(LEVEL_ERROR);
    sched_init(&st->sched, 1);
    st->sched.now = 1000;
    chunk_pool_init(&st->pool, 16);
    st->config = config_default();
    naming_init(&st->naming, st->config->cluster_domain);
    st->limit = STAGE_LIMIT;
    st->cluster.upstream = (struct upstream *)(void *)st;
    task_init(&st->drained, &st->sched, RANK_WORK, on_drained);
    *state = st;
    return 0;
}

struct serve *stage_serve(struct stage *st)
{
    if (!st->serve)
        st->serve = serve_create(&st->sched, &st->pool, (struct clusters *)(void *)st,
                                 st->config, &st->naming, NULL);
    return st->serve;
}

int stage_teardown(void **state)
{
    struct stage *st = *state;

    serve_destroy(st->serve);
    assert_int_equal(st->cluster.refs, 0);
    for (size_t i = 0; i < st->lease_count; i++) {
        assert_true(st->leases[i].returned);
        stream_abort(st->leases[i].pod);
    }
    for (size_t i = 0; i < st->client_count; i++)
        stream_abort(st->clients[i]);
    task_cancel(&st->drained);
    chunk_pool_finish(&st->pool);
    sched_finish(&st->sched);
    config_unref(st->config);
    naming_finish(&st->naming);
    free(st->received);
    free(st);
    return 0;
}

void stage_run(struct stage *st)
{
    sched_run(&st->sched, st->sched.now);
}

void stage_pass(struct stage *st, uint64_t ms)
{
    sched_run(&st->sched, st->sched.now + ms);
}

void stage_drain(struct stage *st)
{
    serve_drain(stage_serve(st), &st->drained);
    stage_run(st);
    stage_pass(st, st->config->drain_timeout_ms);
    stage_pass(st, 1);
}

static const struct arrival from = {
    .address = "127.0.0.1:40000",
    .peer = { .kind = PEER_LOCAL, .uid = 1000 },
    .port = 8080,
    .loopback = true,
};

struct stream *stage_client_from(struct stage *st, const struct arrival *arrival)
{
    struct stream_pair pair = mem_stream_pair(&st->sched, &st->pool, st->limit);

    assert_true(st->client_count < CLIENTS_MAX);
    st->clients[st->client_count++] = pair.b;
    serve_accept(stage_serve(st), pair.a, arrival);
    stage_run(st);
    return pair.b;
}

struct stream *stage_client(struct stage *st)
{
    return stage_client_from(st, &from);
}

struct stream *stage_raw_client(struct stage *st)
{
    struct stream_pair pair = mem_stream_pair(&st->sched, &st->pool, st->limit);
    struct expose expose = {
        .name = "web.shop", .port = "80", .any_host = st->any_host, .raw = st->raw
    };
    struct exposed *exposed;

    assert_int_equal(exposed_create(&expose, STR("cluster.local"), &exposed, NULL), OK);
    assert_true(st->client_count < CLIENTS_MAX);
    st->clients[st->client_count++] = pair.b;
    serve_accept_raw(stage_serve(st), pair.a, &from, exposed);
    exposed_unref(exposed);
    stage_run(st);
    return pair.b;
}

void stage_write_bytes(struct stage *st, struct stream *to, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n) {
        size_t taken = bufq_write(&to->out, at, n);
        if (!taken)
            fail_msg("%zu bytes were not read", n);
        stream_update(to);
        stage_run(st);
        at += taken;
        n -= taken;
    }
}

void stage_write(struct stage *st, struct stream *to, const char *text)
{
    stage_write_bytes(st, to, text, strlen(text));
}

size_t stage_read(struct stage *st, struct stream *at, char *out, size_t room)
{
    size_t n = bufq_read(&at->in, out, room);
    stream_update(at);
    stage_run(st);
    return n;
}

const char *stage_received(struct stage *st, struct stream *at)
{
    size_t len = 0;

    stage_run(st);
    do {
        st->received = xrealloc(st->received, len + at->in.len + 1);
        len += bufq_read(&at->in, st->received + len, at->in.len);
        stream_update(at);
        stage_run(st);
    } while (!bufq_empty(&at->in));
    st->received[len] = '\0';
    return st->received;
}

void hang_up(struct stage *st, struct stream *s)
{
    stream_shutdown(s);
    stage_run(st);
}

void drop(struct stage *st, struct stream **s)
{
    struct stream *gone = TAKE(*s);

    for (size_t i = 0; i < st->client_count; i++)
        if (st->clients[i] == gone)
            st->clients[i] = NULL;
    for (size_t i = 0; i < st->lease_count; i++)
        if (st->leases[i].pod == gone)
            st->leases[i].pod = NULL;
    stream_abort(gone);
    stage_run(st);
}

struct stream *pod(struct stage *st, size_t i)
{
    if (i >= st->lease_count || !st->leases[i].pod)
        fail_msg("there is no pod %zu", i);
    return st->leases[i].pod;
}

void pod_ends(struct stage *st, size_t i, enum verdict verdict, const char *why)
{
    assert_non_null(st->leases[i].ours);
    stream_end(st->leases[i].ours, verdict, why);
    stage_run(st);
}
