/* bench/spdy/driver.c - pairs of bare tunnels, kept busy with the same request
 *
 * A run is written as a sequence of steps: for each tunnel connect, upgrade, open its
 * pairs, then send requests until the time is up.  Each step runs the loop until it is
 * done; only responses are handled in a task, because the next request follows in the
 * same turn.
 */
#include "bench/spdy/driver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/answer.h"
#include "bench/load/call.h"
#include "bench/load/client.h"
#include "kube/credentials.h"
#include "net/connecting.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "wire/spdy.h"

#define DIAL_MS 10000
#define TURN_MS 100 /* how often clocks are checked when nothing happens */
#define HEAD_MAX 8192

/* Pair number n of a tunnel has the ids (a, a + 10): both ids have the same worker of the
 * runtime (id modulo 5), a different one than the four pairs before. */
#define FIRST_ID(n) (1 + 12 * (uint32_t)(n))
#define DATA_OFFSET 10

struct pair {
    uint32_t error_id, data_id;
    struct answer answer;
    struct call *call; /* NULL: HTTP/1 */
    uint64_t began;    /* start of the current request */
};

struct tunnel {
    struct driver *driver;
    struct task wake; /* wakes of the dial, then of the stream */
    struct stream *stream;
    bool talking;
    struct spdy_head frame; /* the one being read */
    uint32_t left;          /* of it */
    struct pair *pairs;
    size_t count;
};

struct driver {
    const struct driver_goal *goal;
    const struct plan *plan;
    struct loop *loop;
    struct tunnel *tunnels;
    size_t count;
    bool counting;
    struct tally tally;
    enum err result;
    struct diag *why;
};

static enum err fail(struct driver *d, enum err e, const char *what)
{
    d->result = diag_set(d->why, e, "%s", what);
    return d->result;
}

static enum err lost(struct tunnel *t)
{
    const char *why = t->stream->end.why.text;
    return fail(t->driver, ERR_RESET,
                why[0] ? why : "the API server closed the connection");
}

/* Requests */

static void send_request(struct tunnel *t, struct pair *p)
{
    const struct plan *plan = t->driver->plan;
    uint8_t head[SPDY_HEAD];
    struct bufq *out = &t->stream->out;
    const char *request = plan->head;
    size_t len = plan->head_len;

    p->began = monotonic_ns();
    if (p->call)
        request = call_begin(p->call, &len);
    spdy_data_head_encode(p->data_id, 0, (uint32_t)len, head);
    answer_init(&p->answer);
    if (!bufq_put(out, head, sizeof(head)) || !bufq_put(out, request, len))
        fail(t->driver, ERR_LIMIT, "the request does not fit");
    stream_update(t->stream);
}

static void count_answer(struct driver *d, const struct pair *p)
{
    if (!d->counting)
        return;
    if (p->answer.status != 200) {
        d->tally.failures[FAIL_STATUS]++;
        return;
    }
    d->tally.requests++;
    d->tally.body_in += p->answer.body;
    samples_add(&d->tally.latencies, monotonic_ns() - p->began);
}

static enum err take_bytes(struct tunnel *t, struct pair *p, const char *bytes, size_t n)
{
    struct driver *d = t->driver;
    enum err e =
        p->call ? call_feed(p->call, bytes, n) : answer_feed(&p->answer, bytes, n);

    if (p->call && !e)
        p->answer.status = 200;
    if (e == ERR_AGAIN)
        return OK;
    if (e)
        return fail(d, e, "the pod's answer cannot be counted");
    count_answer(d, p);
    if (p->answer.closes)
        return fail(d, ERR_EOF, "the pod closes its connections");
    send_request(t, p);
    return d->result;
}

static struct pair *find_pair(struct tunnel *t, uint32_t id)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->pairs[i].data_id == id || t->pairs[i].error_id == id)
            return &t->pairs[i];
    return NULL;
}

/* Anything that ends a pair ends the run. */
static bool ends_pair(struct tunnel *t)
{
    const struct spdy_head *f = &t->frame;

    if (f->type == SPDY_RST_STREAM || f->type == SPDY_GOAWAY)
        return true;
    if (f->type != SPDY_DATA)
        return false;
    const struct pair *p = find_pair(t, f->id);
    return f->flags & SPDY_FIN || (p && p->error_id == f->id);
}

static enum err take_head(struct tunnel *t)
{
    uint8_t bytes[SPDY_HEAD];
    size_t n = bufq_copy(&t->stream->in, 0, bytes, sizeof(bytes));
    enum err e = spdy_head_decode(bytes, n, &t->frame);

    if (e == ERR_AGAIN)
        return e;
    if (e)
        return fail(t->driver, e, "the API server does not speak SPDY");
    bufq_skip(&t->stream->in, SPDY_HEAD);
    t->left = t->frame.length;
    return ends_pair(t) ? fail(t->driver, ERR_RESET, "a pair was ended by the far side")
                        : OK;
}

static enum err take_payload(struct tunnel *t)
{
    size_t n;
    const uint8_t *bytes = bufq_peek(&t->stream->in, &n);
    struct pair *p = t->frame.type == SPDY_DATA ? find_pair(t, t->frame.id) : NULL;

    if (n > t->left)
        n = t->left;
    enum err e = p ? take_bytes(t, p, (const char *)bytes, n) : OK;
    bufq_skip(&t->stream->in, n);
    t->left -= (uint32_t)n;
    return e;
}

static void on_wake(struct task *task)
{
    struct tunnel *t = container_of(task, struct tunnel, wake);
    const struct driver *d = t->driver;
    enum err e = OK;

    if (!t->talking || d->result)
        return;
    while (!e && !bufq_empty(&t->stream->in))
        e = t->left ? take_payload(t) : take_head(t);
    if (!d->result)
        stream_update(t->stream); /* there is room again */
    if (!d->result && (t->stream->broken || t->stream->in_eof))
        lost(t);
}

/* Setting up */

static enum err connect_socket(struct tunnel *t, struct transfers *transfers, int *ret_fd)
{
    struct driver *d = t->driver;
    const struct kube_target *to = d->goal->target;
    struct connecting way = { 0 };

    connecting_start(&way, transfers,
                     &(struct connecting_to){ .host = to->host,
                                              .port = to->port,
                                              .proxy = to->proxy,
                                              .timeout_ms = DIAL_MS },
                     &t->wake);
    while (way.result == ERR_AGAIN)
        loop_run_once(d->loop, TURN_MS);
    enum err e = way.result;
    if (e) {
        fail(d, e, way.why.text);
    } else {
        *ret_fd = way.fd;
        way.fd = -1;
    }
    connecting_finish(&way);
    return e;
}

static enum err open_tls(struct tunnel *t, struct stream *below)
{
    struct driver *d = t->driver;
    const struct kube_target *to = d->goal->target;
    const struct tls_identity_settings settings = {
        .ca = { to->ca, "certificate authority" },
        .certificate = { to->certificate, "certificate" },
        .key = { to->key, "private key" },
        .insecure = to->insecure,
    };
    struct tls_identity *identity;

    enum err e = tls_identity_create(&settings, &identity, NULL, d->why);
    if (e) {
        stream_close(below);
        return d->result = e;
    }
    const char *name = to->tls_server_name ? to->tls_server_name : to->host;
    struct tls_context *context = tls_context_of(identity, "http/1.1");
    tls_identity_unref(identity);
    t->stream = tls_client_open(d->loop, context, below, name);
    tls_context_unref(context);
    return OK;
}

static enum err open_stream(struct tunnel *t, int fd)
{
    struct stream *below = tcp_open(t->driver->loop, fd, 0, 0);
    enum err e = OK;

    if (t->driver->goal->target->tls)
        e = open_tls(t, below);
    else
        t->stream = below;
    if (!e)
        t->stream->wake = &t->wake;
    return e;
}

static enum err send_upgrade(struct tunnel *t)
{
    const struct driver_goal *g = t->driver->goal;
    struct credentials *credentials =
        credentials_create(t->driver->loop, g->target, NULL);
    struct credentials_want want = { 0 };
    struct credential *user = NULL;
    struct diag why;

    enum err e = credentials_get(credentials, &want, &user, &why);
    credentials_destroy(credentials);
    if (e)
        return fail(t->driver, e, diag_text(&why, e));
    const char *authorization = user->fields[0];
    AUTO_FREE char *head = xasprintf(
        "POST %s/api/v1/namespaces/%s/pods/%s/portforward HTTP/1.1\r\n"
        "Host: %s\r\n%s%sContent-Length: 0\r\nConnection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n",
        g->target->prefix, g->ns, g->pod, g->target->host_header,
        authorization ? authorization : "", authorization ? "\r\n" : "");
    credential_unref(user);
    bool sent = bufq_put(&t->stream->out, head, strlen(head));
    stream_update(t->stream);
    return sent ? OK : fail(t->driver, ERR_LIMIT, "the upgrade does not fit");
}

/* The length of the answer's head, with its empty line; 0: not complete. */
static size_t answer_head(const struct tunnel *t, char text[static HEAD_MAX])
{
    size_t n = bufq_copy(&t->stream->in, 0, text, HEAD_MAX);
    const char *end = memmem(text, n, "\r\n\r\n", 4);
    return end ? (size_t)(end - text) + 4 : 0;
}

static enum err wait_for_answer(struct tunnel *t)
{
    struct driver *d = t->driver;
    uint64_t until = monotonic_ns() + DIAL_MS * 1000000ull;
    char text[HEAD_MAX];

    while (!t->stream->broken && !t->stream->in_eof && answer_head(t, text) == 0) {
        if (monotonic_ns() > until)
            return fail(d, ERR_TIMEOUT, "the API server does not answer");
        loop_run_once(d->loop, TURN_MS);
    }
    return d->result;
}

static enum err upgrade(struct tunnel *t)
{
    char text[HEAD_MAX];

    enum err e = send_upgrade(t);
    if (!e)
        e = wait_for_answer(t);
    if (e)
        return e;
    size_t n = answer_head(t, text);
    if (n == 0)
        return lost(t);
    if (!str_starts((struct str){ text, n }, STR("HTTP/1.1 101 "))) {
        *strpbrk(text, "\r\n") = '\0';
        return fail(t->driver, ERR_UPGRADE, text);
    }
    bufq_skip(&t->stream->in, n);
    return OK;
}

static enum err open_pair(struct tunnel *t, size_t n)
{
    struct pair *p = &t->pairs[n];
    uint8_t bytes[SPDY_PAIR_MAX];

    const struct plan *plan = t->driver->plan;
    if (plan->grpc_host)
        p->call = call_create(plan->grpc_host, plan->grpc_path);
    p->error_id = FIRST_ID(n);
    p->data_id = p->error_id + DATA_OFFSET;
    struct spdy_pair wire = { p->error_id, p->data_id, t->driver->goal->port,
                              (uint32_t)n };
    size_t len = spdy_pair_encode(&wire, n == 0, bytes);
    if (!bufq_put(&t->stream->out, bytes, len))
        return fail(t->driver, ERR_LIMIT, "the pair does not fit");
    send_request(t, p);
    return t->driver->result;
}

static enum err set_up(struct tunnel *t, struct transfers *transfers)
{
    int fd = -1;

    enum err e = connect_socket(t, transfers, &fd);
    if (!e)
        e = open_stream(t, fd);
    if (!e)
        e = upgrade(t);
    t->talking = !e;
    for (size_t i = 0; !e && i < t->count; i++)
        e = open_pair(t, i);
    return e;
}

static bool is_late(const struct driver *d, uint64_t now)
{
    for (size_t i = 0; i < d->count; i++)
        for (size_t n = 0; n < d->tunnels[i].count; n++)
            if (now > d->tunnels[i].pairs[n].began + d->plan->patience_ns)
                return true;
    return false;
}

/* Returns how long it took. */
static uint64_t run_for(struct driver *d, uint64_t ns)
{
    uint64_t started = monotonic_ns();
    uint64_t now = started;

    while (!d->result && now - started < ns) {
        uint64_t left_ms = (ns - (now - started)) / 1000000;
        loop_run_once(d->loop, left_ms < TURN_MS ? left_ms : TURN_MS);
        now = monotonic_ns();
        if (is_late(d, now))
            fail(d, ERR_TIMEOUT, "no answer from the pod");
    }
    return now - started;
}

static enum err carry_out(struct driver *d, struct transfers *transfers,
                          void (*on_counting)(void),
                          void (*on_counted)(const struct tally *t, uint64_t took_ns))
{
    enum err e = OK;
    for (size_t i = 0; !e && i < d->count; i++)
        e = set_up(&d->tunnels[i], transfers);
    if (e)
        return e;
    run_for(d, d->plan->settle_ns);
    on_counting();
    d->counting = true;
    uint64_t took = run_for(d, d->plan->duration_ns);
    if (!d->result)
        on_counted(&d->tally, took);
    return d->result;
}

/* As many pairs as the plan has connections, `per_tunnel` to each tunnel. */
static void make_tunnels(struct driver *d)
{
    size_t per = d->goal->per_tunnel, left = d->plan->connections;

    d->count = (left + per - 1) / per;
    d->tunnels = xcalloc(d->count, sizeof(*d->tunnels));
    for (size_t i = 0; i < d->count; i++) {
        struct tunnel *t = &d->tunnels[i];
        t->driver = d;
        t->count = left < per ? left : per;
        t->pairs = xcalloc(t->count, sizeof(*t->pairs));
        task_init(&t->wake, loop_sched(d->loop), RANK_WORK, on_wake);
        left -= t->count;
    }
}

static void drop_tunnels(struct driver *d)
{
    for (size_t i = 0; i < d->count; i++) {
        struct tunnel *t = &d->tunnels[i];
        task_cancel(&t->wake);
        stream_close(t->stream);
        for (size_t n = 0; n < t->count; n++)
            call_destroy(t->pairs[n].call);
        free(t->pairs);
    }
    free(d->tunnels);
}

enum err driver_run(const struct driver_goal *goal, const struct plan *p,
                    void (*on_counting)(void),
                    void (*on_counted)(const struct tally *t, uint64_t took_ns),
                    struct diag *why)
{
    struct loop *loop = loop_create();
    struct transfers *transfers = transfers_create(loop);
    struct driver d = { .goal = goal, .plan = p, .loop = loop, .why = why };

    samples_init(&d.tally.latencies);
    make_tunnels(&d);
    enum err e = carry_out(&d, transfers, on_counting, on_counted);
    drop_tunnels(&d);
    samples_finish(&d.tally.latencies);
    transfers_destroy(transfers);
    loop_destroy(loop);
    return e;
}
