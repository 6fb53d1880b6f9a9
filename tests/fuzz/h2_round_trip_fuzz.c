/* tests/fuzz/h2_round_trip_fuzz.c - a request of HTTP/1 through HTTP/2 and back
 *
 * h1_server reads it, h2_client sends it, h2_server reads it, h1_client sends it.  What
 * arrives is a request that our parser accepts, with the same method, target and fields, in
 * order, and with the same body: nothing can be smuggled through a change of version.
 */
#include <assert.h>
#include <ctype.h>

#include "base/own.h"
#include "http/h1.h"
#include "http/h2.h"

#define ROOM 100

static struct http1_field first_fields[ROOM], second_fields[ROOM], last_fields[ROOM];

static void on_wake(struct task *t)
{
    (void)t;
}

static bool same_name(struct str a, struct str b)
{
    return str_ieq(a, b);
}

/* Those of `a` that travel on are the fields of `b`, but for framing and Cookie, which is
 * one there. */
static bool travels(const struct http1_field *f)
{
    return !f->hop && f->id != FIELD_HOST && f->id != FIELD_CONTENT_LENGTH &&
           f->id != FIELD_TE && f->id != FIELD_TRANSFER_ENCODING &&
           !same_name(f->name, STR("cookie"));
}

static void compare(const struct http1_head *a, const struct http1_head *b)
{
    size_t j = 0;

    assert(str_eq(a->method, b->method));
    assert(str_eq(a->target, b->target));
    for (size_t i = 0; i < a->count; i++) {
        if (!travels(&a->fields[i]))
            continue;
        while (j < b->count && !travels(&b->fields[j]))
            j++;
        assert(j < b->count);
        assert(same_name(a->fields[i].name, b->fields[j].name));
        assert(str_eq(a->fields[i].value, b->fields[j].value));
        j++;
    }
    while (j < b->count && !travels(&b->fields[j]))
        j++;
    assert(j == b->count);
}

struct world {
    struct sched sched;
    struct chunk_pool pool;
    struct task wake;
    struct h2_settings settings;
    struct h2_connection *near, *far;
    struct stream_pair h2, in, out;
    struct h1_servers servers;
    struct h1_server *reader;
    struct h1_client writer;
};

static void pass(struct world *w, struct message_stream *from,
                 const struct http1_head *head)
{
    struct request_form form = { .path = head->target };
    struct message_stream *to = h2_open(w->near), *back;
    struct http1_head second = { .fields = second_fields, .room = ROOM };
    struct http1_head last = { .fields = last_fields, .room = ROOM };
    struct head_text text = { 0 };
    struct body body;
    size_t moved;

    body_init(&body, head);
    to->ops->send_request(to, head, &form);
    enum err e = body_move(&body, &from->bytes->in, &to->bytes->out, to->coding, &moved);
    if (!e && body.done)
        to->ops->end(to, STR(""));
    sched_run(&w->sched, 1001);
    back = h2_accept(w->far);
    if (back && !e && body.done && !back->ops->receive(back, STR(""), &second)) {
        form.path = second.target;
        h1_client_begin(&w->writer, w->out.a);
        w->writer.message.ops->send_request(&w->writer.message, &second, &form);
        body_init(&body, &second);
        e = body_move(&body, &back->bytes->in, &w->out.a->out, w->writer.message.coding,
                      &moved);
        assert(!e);
        if (back->bytes->in_eof && bufq_empty(&back->bytes->in))
            w->writer.message.ops->end(&w->writer.message, back->trailers);
        assert(!head_text_take(&text, &w->out.a->out, 1u << 20));
        assert(!http1_request_parse(text.at, text.len, &last));
        compare(head, &last);
        head_text_finish(&text);
        body_init(&body, &last);
        assert(!body_discard(&body, &w->out.a->out));
        assert(
            !back->bytes->in_eof || !bufq_empty(&back->bytes->in) ||
            (bufq_empty(&w->out.a->out) && (body.done || body.framing == BODY_LENGTH)));
    }
    w->in.a->wake = w->out.a->wake = NULL;
    if (back)
        stream_close(back->bytes);
    stream_close(to->bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *in, size_t len)
{
    static struct world w;
    struct h1_limits limits = { .max_head_size = 16384, .max_head_fields = ROOM - 10 };
    struct http1_head first = { .fields = first_fields, .room = ROOM - 10 };

    if (len > 60000)
        return 0;
    sched_init(&w.sched, 1);
    chunk_pool_init(&w.pool, 8);
    task_init(&w.wake, &w.sched, RANK_WORK, on_wake);
    w.settings = (struct h2_settings){ .sched = &w.sched,
                                       .pool = &w.pool,
                                       .max_head_size = 65536,
                                       .max_head_fields = ROOM,
                                       .streams_max = 100,
                                       .window = 1 << 20 };
    h2_settings_init(&w.settings);
    w.h2 = mem_stream_pair(&w.sched, &w.pool, 1 << 20);
    w.in = mem_stream_pair(&w.sched, &w.pool, 1 << 20);
    w.out = mem_stream_pair(&w.sched, &w.pool, 1 << 20);
    w.near = h2_client_create(&w.settings, w.h2.a, &w.wake);
    w.far = h2_server_create(&w.settings, w.h2.b, &w.wake);
    sched_run(&w.sched, 1000);
    h1_servers_init(&w.servers, limits);
    w.reader = h1_server_take(&w.servers, w.in.a);
    h1_client_init(&w.writer, limits);
    bufq_write(&w.in.a->in, in, len);
    struct message_stream *from = &w.reader->message;
    if (!from->ops->receive(from, STR(""), &first) &&
        !str_eq(first.method, STR("CONNECT")) && first.target.at[0] == '/')
        pass(&w, from, &first);
    h1_server_put(&w.servers, w.reader);
    h1_servers_trim(&w.servers);
    h1_client_finish(&w.writer);
    h2_destroy(w.near);
    h2_destroy(w.far);
    w.h2.a->wake = w.h2.b->wake = NULL;
    stream_abort(w.h2.a);
    stream_abort(w.h2.b);
    stream_abort(w.in.a);
    stream_abort(w.in.b);
    stream_abort(w.out.a);
    stream_abort(w.out.b);
    h2_settings_finish(&w.settings);
    task_cancel(&w.wake);
    sched_finish(&w.sched);
    chunk_pool_finish(&w.pool);
    return 0;
}
