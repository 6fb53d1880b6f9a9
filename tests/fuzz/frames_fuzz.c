/* tests/fuzz/frames_fuzz.c - an open tunnel whose server sends anything, at any time
 *
 * The input is a script: an op and a count in each byte, and after "send" that many bytes
 * that the server sends.  Four users open, write, read and leave in between.  Whatever comes:
 * in_eof and a verdict stand together, nothing follows the end, and all memory comes back.
 */
#include <assert.h>
#include <stdint.h>

#include "base/log.h"
#include "net/tcp.h"
#include "tunnel/tunnel.h"
#include "tunnel/tunnels.h"
#include "wire/websocket.h"

#ifndef FRAMES_IN_WEBSOCKET
#define FRAMES_IN_WEBSOCKET 0
#endif

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { USERS = 4 };

static struct loop *loop;
static struct stream *far;
static struct connecting *dialling;
static struct opening openings[USERS];
static struct task wake;

void connecting_start(struct connecting *c, struct transfers *t,
                      const struct connecting_to *to, struct task *on_result)
{
    (void)t, (void)to;
    *c = (struct connecting){ .result = ERR_AGAIN, .fd = -1, .wake = on_result };
    dialling = c;
}

void connecting_finish(struct connecting *c)
{
    if (dialling == c)
        dialling = NULL;
}

struct stream *tcp_open(struct loop *l, int fd, size_t in_limit, size_t out_limit)
{
    (void)fd, (void)in_limit, (void)out_limit;
    struct stream_pair ends = mem_stream_pair(loop_sched(l), loop_pool(l), 64 * 1024);
    stream_close(far);
    far = ends.b;
    far->wake = &wake;
    return ends.a;
}

bool tcp_is_unanswered(const struct stream *s, uint64_t ms)
{
    (void)s, (void)ms;
    return false;
}

void api_explain_refusal(const struct api *a, const struct credential *shown,
                         struct api_error *e)
{
    (void)a, (void)shown, (void)e;
}

struct tls_identity *credentials_identity(const struct credentials *a)
{
    (void)a;
    return NULL;
}

const struct kube_target *api_target(const struct api *a)
{
    static char host[] = "api.test", prefix[] = "";
    static const struct kube_target target = {
        .server = host, .host = host, .port = 80, .prefix = prefix, .host_header = host
    };
    (void)a;
    return &target;
}

void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms)
{
    (void)a, (void)call, (void)path, (void)timeout_ms; /* never answered */
}

void api_call_finish(struct api_call *call)
{
    (void)call;
}

struct credentials *api_credentials(struct api *a)
{
    (void)a;
    return NULL;
}

enum err credentials_get(struct credentials *c, struct credentials_want *w,
                         struct credential **ret, struct diag *why)
{
    static char *fields[] = { NULL };
    static struct credential credential = { .refs = 1, .fields = fields };

    (void)c, (void)w, (void)why;
    *ret = &credential;
    return OK;
}

void credentials_leave(struct credentials_want *w)
{
    (void)w;
}

void credential_unref(struct credential *c)
{
    (void)c;
}

bool credentials_reject(struct credentials *c, uint64_t generation)
{
    (void)c, (void)generation;
    return false;
}

static void on_wake(struct task *task)
{
    (void)task;
    if (far && !bufq_empty(&far->in)) {
        bufq_clear(&far->in);
        stream_update(far);
    }
}

static void pass(uint64_t ms)
{
    struct sched *s = loop_sched(loop);
    uint64_t until = s->now + ms;

    sched_run(s, s->now);
    for (uint64_t wait; (wait = sched_wait(s)) <= until - s->now;)
        sched_run(s, s->now + wait);
    sched_run(s, until);
}

static void far_sends(const void *bytes, size_t n)
{
    if (!far)
        return;
    bufq_write(&far->out, bytes, n);
    stream_update(far);
}

/* Or as a message, where there are any. */
static void far_sends_payload(const void *bytes, size_t n)
{
    struct websocket_header h = { .opcode = WEBSOCKET_BINARY, .fin = true, .payload = n };
    uint8_t head[WEBSOCKET_HEADER_MAX];

    if (FRAMES_IN_WEBSOCKET)
        far_sends(head, websocket_header_encode(&h, head));
    far_sends(bytes, n);
}

static void answer_dial(void)
{
    static const char spdy[] =
        "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
        "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    static const char websocket[] =
        "HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";
    const char *answer = FRAMES_IN_WEBSOCKET ? websocket : spdy;

    if (!dialling || dialling->result != ERR_AGAIN)
        return;
    dialling->result = OK;
    task_wake(dialling->wake);
    pass(0);
    far_sends(answer, strlen(answer));
    pass(0);
}

static void open_connection(struct tunnels *tunnels, struct opening *o)
{
    static char name[] = "web";
    struct endpoint e = { .refs = 1, .ns = name, .pod = name, .uid = name, .key = name };

    if (o->stream || (o->result == ERR_AGAIN && o->wake))
        return;
    connector_open(tunnels_connector(tunnels), &e, 80, o, &wake);
    answer_dial();
}

static void leave(struct opening *o, bool abort_it)
{
    struct stream *s = o->stream;
    o->stream = NULL;
    if (abort_it)
        stream_abort(s);
    else
        stream_close(s);
    opening_finish(o);
    *o = (struct opening){ 0 };
}

static void check(const struct opening *o)
{
    const struct stream *s = o->stream;
    if (!s)
        return;
    assert(s->in_eof == (s->end.verdict != V_OPEN));
    assert(!s->broken || s->in_eof);
    assert(s->in.len <= 64 * 1024);
}

static void use(struct opening *o, unsigned op, size_t n)
{
    static const uint8_t zeros[4096];
    struct stream *s = o->stream;
    bool ended = s && s->in_eof;
    size_t before = s ? s->in.len : 0;

    if (s && op == 2)
        bufq_write(&s->out, zeros, n * 128);
    if (s && op == 3)
        bufq_clear(&s->in);
    if (s && op == 4 && n % 4 == 0)
        stream_shutdown(s);
    if (s && (op == 2 || op == 3))
        stream_update(s);
    pass(op == 5 ? n * 100 : 0);
    assert(!ended || s->in.len <= before);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct tunnel_settings settings = { .transport = FRAMES_IN_WEBSOCKET
                                                         ? TUNNEL_TRANSPORT_WEBSOCKET
                                                         : TUNNEL_TRANSPORT_SPDY,
                                        .idle_ms = 60000,
                                        .check_ms = 1000,
                                        .dial_ms = 10000,
                                        .ping_ms = 5000,
                                        .ping_timeout_ms = 15000,
                                        .own_max = 1,
                                        .own_brief_max = 1,
                                        .tunnels_max = 2,
                                        .dials_max = 1,
                                        .pairs_max = 8,
                                        .age_ms = 3600000 };
    struct tunnels *tunnels;

    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    if (tunnels_create(loop, NULL, NULL, &settings, &tunnels, NULL))
        return 0;
    for (size_t i = 0; i < len; i++) {
        struct opening *o = &openings[(bytes[i] >> 3 & 1) | (bytes[i] >> 6 & 2)];
        unsigned op = bytes[i] & 7;
        size_t n = bytes[i] >> 4;
        size_t part = n < len - i - 1 ? n : len - i - 1;
        if (op == 0 || op == 1)
            open_connection(tunnels, o);
        if (op == 7)
            far_sends(bytes + i + 1, part);
        if (op == 1)
            far_sends_payload(bytes + i + 1, part);
        if (op == 1 || op == 7)
            i += part;
        if (op == 6)
            leave(o, n & 1);
        use(o, op, n);
        for (size_t u = 0; u < USERS; u++)
            check(&openings[u]);
    }
    for (size_t u = 0; u < USERS; u++)
        leave(&openings[u], false);
    tunnels_destroy(tunnels);
    pass(0);
    stream_close(far);
    far = NULL;
    dialling = NULL;
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}
