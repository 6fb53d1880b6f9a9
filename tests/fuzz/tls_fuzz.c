/* tests/fuzz/tls_fuzz.c - two ends of TLS, and an attacker between them
 *
 * The input is a script: a client and a server write and read; the attacker between them
 * forwards, changes, drops and adds bytes, or ends the connection.  Whatever it does, each end
 * reads a prefix of what the other one wrote, and a clean end means that all of it arrived.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "playground/ca.h"
#include "net/tls.h"
#include "playground/tls_server.h"

#define WIRE_LIMIT (64 * 1024)
#define WRITTEN_MAX (1u << 20)
#define PART 1024

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum step {
    FORWARD,
    FORWARD_ALL,
    CHANGE,
    DROP,
    ADD,
    CUT,
    BREAK,
    WRITE,
    READ,
    SHUT,
    PAUSE,
    STEPS
};

/* One end, and the connection it stands on. */
struct end {
    struct stream *tls;
    struct stream *wire; /* our end of what it stands on; NULL: broken */
    size_t written, read;
};

static struct loop *loop;
static struct end ends[2];
static struct task wake;
static struct local_ca *ca;
static struct identity identity;

static void on_wake(struct task *task)
{
    (void)task;
}

static void run(void)
{
    sched_run(loop_sched(loop), loop_sched(loop)->now);
}

static uint8_t byte_at(size_t i, const struct end *by)
{
    return (uint8_t)(i * 31 + (i >> 8) + (by == &ends[1]));
}

static struct end *other(const struct end *e)
{
    return e == &ends[0] ? &ends[1] : &ends[0];
}

static void make_identity(void)
{
    static const char *const names[] = { "api.test", NULL };
    struct certificate_request request = {
        .common_name = "server", .names = names, .server = true, .days = 1
    };
    struct diag why;

    if (ca)
        return;
    if (local_ca_create("authority", &ca, &why) ||
        local_ca_issue(ca, &request, &identity, &why))
        abort();
}

static struct tls_context *make_server(void)
{
    struct tls_server_settings settings = { .certificate = identity.certificate,
                                            .key = identity.key,
                                            .alpn = "\x08http/1.1" };
    struct tls_context *c;
    struct diag why;

    if (tls_server_context(&settings, &c, &why))
        abort();
    return c;
}

static struct tls_context *make_client(void)
{
    struct tls_identity_settings settings = { .ca = { local_ca_certificate(ca), "ca" } };
    struct tls_identity *trust;
    struct diag why;

    if (tls_identity_create(&settings, &trust, NULL, &why))
        abort();
    struct tls_context *c = tls_context_of(trust, "http/1.1");
    tls_identity_unref(trust);
    return c;
}

static void open_end(struct end *e, bool server)
{
    struct stream_pair wire =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), WIRE_LIMIT);
    struct tls_context *c = server ? make_server() : make_client();

    e->tls = server ? tls_server_open(loop_sched(loop), loop_pool(loop), c, wire.a)
                    : tls_client_open(loop, c, wire.a, "api.test");
    e->tls->wake = &wake;
    e->wire = wire.b;
    tls_context_unref(c);
}

/* ---- the attacker ---- */

static void forward(struct end *from, size_t n)
{
    struct end *to = other(from);

    if (!from->wire || !to->wire || to->wire->shut || to->wire->broken)
        return;
    bufq_move_n(&to->wire->out, &from->wire->in, n);
    stream_update(from->wire);
    stream_update(to->wire);
}

static void add(struct end *to, const uint8_t *bytes, size_t n)
{
    if (!to->wire || to->wire->shut || to->wire->broken)
        return;
    bufq_write(&to->wire->out, bytes, n);
    stream_update(to->wire);
}

static void drop(struct end *from, size_t n)
{
    if (!from->wire)
        return;
    bufq_skip(&from->wire->in, n < from->wire->in.len ? n : from->wire->in.len);
    stream_update(from->wire);
}

static void change(struct end *from, uint8_t how)
{
    uint8_t byte;

    if (!from->wire || !bufq_read(&from->wire->in, &byte, 1))
        return;
    byte ^= how;
    add(other(from), &byte, 1);
    stream_update(from->wire);
}

static void shake_hands(void)
{
    for (int i = 0; i < 8; i++) {
        run();
        forward(&ends[0], SIZE_MAX);
        forward(&ends[1], SIZE_MAX);
    }
    run();
    assert(tls_ready(ends[0].tls) && tls_ready(ends[1].tls));
}

/* ---- the ends ---- */

static void write_more(struct end *e, size_t n)
{
    struct stream *s = e->tls;

    if (e->written > WRITTEN_MAX || s->shut || s->broken)
        return;
    for (uint8_t byte = byte_at(e->written, e); n; n--) {
        if (!bufq_write(&s->out, &byte, 1))
            break;
        byte = byte_at(++e->written, e);
    }
    stream_update(s);
}

static void check_end(const struct end *e)
{
    const struct stream *s = e->tls;
    const struct end *peer = other(e);

    assert(s->in_eof == (s->end.verdict != V_OPEN));
    assert(e->read <= peer->written);
    if (s->end.verdict == V_CLEAN && bufq_empty(&s->in))
        assert(peer->tls->shut && e->read == peer->written);
}

static void read_more(struct end *e, size_t n)
{
    uint8_t part[PART];

    while (n) {
        size_t got = bufq_read(&e->tls->in, part, n < PART ? n : PART);
        for (size_t i = 0; i < got; i++)
            assert(part[i] == byte_at(e->read + i, other(e)));
        e->read += got;
        n -= got;
        if (!got)
            break;
    }
    stream_update(e->tls);
}

static void step(struct end *e, enum step what, size_t how)
{
    switch (what) {
    case FORWARD:
        forward(e, how);
        break;
    case FORWARD_ALL:
        forward(e, SIZE_MAX);
        break;
    case CHANGE:
        change(e, (uint8_t)how);
        break;
    case DROP:
        drop(e, how);
        break;
    case CUT:
        if (e->wire)
            stream_shutdown(e->wire);
        break;
    case BREAK:
        stream_abort(TAKE(e->wire));
        break;
    case WRITE:
        write_more(e, how * how);
        break;
    case READ:
        read_more(e, how * how);
        break;
    case SHUT:
        if (!e->tls->broken)
            stream_shutdown(e->tls);
        break;
    case PAUSE:
        e->tls->paused = how & 1;
        stream_update(e->tls);
        break;
    case ADD:
    case STEPS:
        break;
    }
    run();
    check_end(&ends[0]);
    check_end(&ends[1]);
}

static void play(const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 2) {
        struct end *e = &ends[at[0] & 1];
        enum step what = (enum step)((at[0] >> 1) % STEPS);
        size_t how = at[1], left = (size_t)(end - at) - 2;

        at += 2;
        if (what == ADD) {
            size_t n = how < left ? how : left;
            add(e, at, n);
            at += n;
        }
        step(e, what, how);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    make_identity();
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    memset(ends, 0, sizeof(ends));
    open_end(&ends[0], false);
    open_end(&ends[1], true);
    if (bytes[0] & 1)
        shake_hands();
    play(bytes + 1, bytes + len);
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        read_more(&ends[i], SIZE_MAX);
        check_end(&ends[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        stream_close(ends[i].tls);
        stream_close(ends[i].wire);
    }
    task_cancel(&wake);
    run();
    loop_destroy(loop);
    return 0;
}
