/* bench/spdy/driver.c - one pair of one tunnel, kept busy with the same request
 *
 * A run is a story, not a table: connect, upgrade, open the pair, ask until the time is
 * up.  So it is told in order, each step turning the loop until it is done; only the
 * answers are taken in a task, because the next request follows in the same turn.
 */
#include "bench/spdy/driver.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/answer.h"
#include "bench/load/client.h"
#include "kube/credentials.h"
#include "net/connecting.h"
#include "net/tcp.h"
#include "net/tls.h"
#include "wire/spdy.h"

#define DIAL_MS 10000
#define TURN_MS 100 /* how often clocks are looked at when nothing happens */
#define HEAD_MAX 8192
#define ERROR_ID 1
#define DATA_ID 11 /* the same worker of the runtime's as the other (mod 5) */

struct driver {
    const struct driver_goal *goal;
    const struct plan *plan;
    struct loop *loop;
    struct task wake; /* of the dial, then of the stream */
    struct stream *stream;
    bool talking, counting;
    struct spdy_head frame; /* the one being read */
    uint32_t left;          /* of it */
    struct answer answer;
    uint64_t began; /* the present request */
    struct tally tally;
    enum err result;
    struct diag *why;
};

static enum err fail(struct driver *d, enum err e, const char *what)
{
    d->result = diag_set(d->why, e, "%s", what);
    return d->result;
}

static enum err lost(struct driver *d)
{
    return fail(d, ERR_RESET,
                d->stream->end.why.text[0] ? d->stream->end.why.text
                                           : "the API server closed the connection");
}

/* Turn the loop until `there`; ERR_TIMEOUT after ms. */
static enum err wait_for(struct driver *d, bool (*there)(const struct driver *),
                         uint64_t ms)
{
    uint64_t until = monotonic_ns() + ms * 1000000;

    while (!there(d)) {
        if (monotonic_ns() > until)
            return fail(d, ERR_TIMEOUT, "the API server does not answer");
        loop_run_once(d->loop, TURN_MS);
    }
    return d->result;
}

/* Asking */

static void ask(struct driver *d)
{
    uint8_t head[SPDY_HEAD];
    struct bufq *out = &d->stream->out;

    spdy_data_head_encode(DATA_ID, 0, (uint32_t)d->plan->head_len, head);
    answer_init(&d->answer);
    d->began = monotonic_ns();
    if (!bufq_put(out, head, sizeof(head)) ||
        !bufq_put(out, d->plan->head, d->plan->head_len))
        fail(d, ERR_LIMIT, "the request does not fit");
    stream_update(d->stream);
}

static void on_answer(struct driver *d)
{
    if (d->counting && d->answer.status != 200)
        d->tally.failures[FAIL_STATUS]++;
    if (d->counting && d->answer.status == 200) {
        d->tally.requests++;
        d->tally.body_in += d->answer.body;
        samples_add(&d->tally.latencies, monotonic_ns() - d->began);
    }
    if (d->answer.closes)
        fail(d, ERR_EOF, "the pod closes its connections");
    else
        ask(d);
}

static enum err take_bytes(struct driver *d, const char *bytes, size_t n)
{
    enum err e = answer_feed(&d->answer, bytes, n);

    if (e == OK)
        on_answer(d);
    else if (e != ERR_AGAIN)
        fail(d, e, "the pod's answer cannot be counted");
    return d->result;
}

static enum err take_head(struct driver *d)
{
    uint8_t bytes[SPDY_HEAD];
    size_t n = bufq_copy(&d->stream->in, 0, bytes, sizeof(bytes));
    enum err e = spdy_head_decode(bytes, n, &d->frame);

    if (e)
        return e == ERR_AGAIN ? e : fail(d, e, "the API server does not speak SPDY");
    bufq_skip(&d->stream->in, SPDY_HEAD);
    d->left = d->frame.length;
    if (d->frame.type == SPDY_RST_STREAM || d->frame.type == SPDY_GOAWAY ||
        (d->frame.type == SPDY_DATA && d->frame.flags & SPDY_FIN &&
         d->frame.id != ERROR_ID))
        return fail(d, ERR_RESET, "the pair was ended by the far side");
    return OK;
}

static enum err take_payload(struct driver *d)
{
    size_t n;
    const uint8_t *bytes = bufq_peek(&d->stream->in, &n);
    enum err e = OK;

    if (n > d->left)
        n = d->left;
    if (d->frame.type == SPDY_DATA && d->frame.id == ERROR_ID)
        e = fail(d, ERR_RESET, "the runtime refused the connection to the pod");
    else if (d->frame.type == SPDY_DATA && d->frame.id == DATA_ID)
        e = take_bytes(d, (const char *)bytes, n);
    bufq_skip(&d->stream->in, n);
    d->left -= (uint32_t)n;
    return e;
}

static void on_wake(struct task *t)
{
    struct driver *d = container_of(t, struct driver, wake);
    enum err e = OK;

    if (!d->talking || d->result)
        return;
    while (!e && !bufq_empty(&d->stream->in))
        e = d->left ? take_payload(d) : take_head(d);
    if (!d->result)
        stream_update(d->stream); /* there is room again */
    if (!d->result && (d->stream->broken || d->stream->in_eof))
        lost(d);
}

/* Setting up */

static enum err connect_socket(struct driver *d, struct transfers *transfers, int *ret_fd)
{
    const struct kube_target *to = d->goal->target;
    struct connecting way = { 0 };

    connecting_start(&way, transfers, to->host, to->port, to->proxy, DIAL_MS, &d->wake);
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

static enum err open_tls(struct driver *d, struct stream *below)
{
    const struct kube_target *to = d->goal->target;
    struct tls_settings settings = { .ca = to->ca,
                                     .certificate = to->certificate,
                                     .key = to->key,
                                     .insecure = to->insecure,
                                     .alpn = "http/1.1" };
    struct tls_context *context;

    enum err e = tls_context_create(&settings, false, &context, d->why);
    if (e) {
        stream_close(below);
        return d->result = e;
    }
    const char *name = to->tls_server_name ? to->tls_server_name : to->host;
    d->stream = tls_client_open(d->loop, context, below, name);
    tls_context_unref(context);
    return OK;
}

static enum err open_stream(struct driver *d, int fd)
{
    struct stream *below = tcp_open(d->loop, fd, 0, 0);
    enum err e = OK;

    if (d->goal->target->tls)
        e = open_tls(d, below);
    else
        d->stream = below;
    if (!e)
        d->stream->wake = &d->wake;
    return e;
}

static enum err send_upgrade(struct driver *d)
{
    const struct driver_goal *g = d->goal;
    struct credentials credentials;

    credentials_init(&credentials, g->target);
    const char *authorization = credentials_header(&credentials, 1);
    AUTO_FREE char *head = xasprintf(
        "POST %s/api/v1/namespaces/%s/pods/%s/portforward HTTP/1.1\r\n"
        "Host: %s\r\n%s%s%sContent-Length: 0\r\nConnection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n",
        g->target->prefix, g->ns, g->pod, g->target->host_header,
        authorization ? "Authorization: " : "", authorization ? authorization : "",
        authorization ? "\r\n" : "");
    credentials_finish(&credentials);
    bool sent = bufq_put(&d->stream->out, head, strlen(head));
    stream_update(d->stream);
    return sent ? OK : fail(d, ERR_LIMIT, "the upgrade does not fit");
}

/* The length of the answer's head, with its empty line; 0: not complete. */
static size_t answer_head(const struct driver *d, char text[static HEAD_MAX])
{
    size_t n = bufq_copy(&d->stream->in, 0, text, HEAD_MAX);
    const char *end = memmem(text, n, "\r\n\r\n", 4);
    return end ? (size_t)(end - text) + 4 : 0;
}

static bool upgrade_answered(const struct driver *d)
{
    char text[HEAD_MAX];
    return d->stream->broken || d->stream->in_eof || answer_head(d, text) > 0;
}

static enum err upgrade(struct driver *d)
{
    char text[HEAD_MAX];

    enum err e = send_upgrade(d);
    if (!e)
        e = wait_for(d, upgrade_answered, DIAL_MS);
    if (e)
        return e;
    size_t n = answer_head(d, text);
    if (n == 0)
        return lost(d);
    if (!str_starts((struct str){ text, n }, STR("HTTP/1.1 101 "))) {
        *strpbrk(text, "\r\n") = '\0';
        return fail(d, ERR_UPGRADE, text);
    }
    bufq_skip(&d->stream->in, n);
    return OK;
}

static enum err open_pair(struct driver *d)
{
    struct spdy_pair pair = { ERROR_ID, DATA_ID, d->goal->port, 0 };
    uint8_t bytes[SPDY_PAIR_MAX];

    size_t n = spdy_pair_encode(&pair, true, bytes);
    if (!bufq_put(&d->stream->out, bytes, n))
        return fail(d, ERR_LIMIT, "the pair does not fit");
    d->talking = true;
    ask(d);
    return d->result;
}

static enum err set_up(struct driver *d, struct transfers *transfers)
{
    int fd = -1;

    enum err e = connect_socket(d, transfers, &fd);
    if (!e)
        e = open_stream(d, fd);
    if (!e)
        e = upgrade(d);
    return e ? e : open_pair(d);
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
        if (now > d->began + d->plan->patience_ns)
            fail(d, ERR_TIMEOUT, "no answer from the pod");
    }
    return now - started;
}

static enum err carry_out(struct driver *d, struct transfers *transfers,
                          void (*on_counting)(void),
                          void (*on_counted)(const struct tally *t, uint64_t took_ns))
{
    enum err e = set_up(d, transfers);
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

enum err driver_run(const struct driver_goal *goal, const struct plan *p,
                    void (*on_counting)(void),
                    void (*on_counted)(const struct tally *t, uint64_t took_ns),
                    struct diag *why)
{
    struct loop *loop = loop_create();
    struct transfers *transfers = transfers_create(loop);
    struct driver d = { .goal = goal, .plan = p, .loop = loop, .why = why };

    task_init(&d.wake, loop_sched(loop), RANK_WORK, on_wake);
    samples_init(&d.tally.latencies);
    enum err e = carry_out(&d, transfers, on_counting, on_counted);
    samples_finish(&d.tally.latencies);
    task_cancel(&d.wake);
    stream_close(d.stream);
    transfers_destroy(transfers);
    loop_destroy(loop);
    return e;
}
