/* serve/answering.c - the answer, from the pod to the client
 *
 * Heads are read where they lie: an answer's head comes in one chunk nearly always, is
 * parsed there, and its lines are written to the client from there.  One that comes in
 * several chunks is moved into one piece of memory: it may be larger than what a pod's
 * queue holds.  Interim answers
 * (1xx) are passed on and the head is waited for again.
 */
#include "serve/exchange.h"
#include "serve/heads.h"
#include "serve/session.h"

#define KEEP_MAX_S 86400

void answering_begin(struct exchange *x)
{
    struct answering *a = &x->answering;

    a->state = ANSWERING_HEAD;
    a->began = a->decode = a->pod_keeps = false;
    a->keep_ms = 0;
    a->scanned = 0;
    head_text_clear(&a->text);
    a->problem = NULL;
}

static enum answer bad(struct exchange *x, const char *problem)
{
    x->answering.problem = problem;
    return ANSWER_BAD;
}

struct found {
    const char *text;
    size_t len;
    size_t skip; /* how much of it still lies in the queue */
};

/* ERR_AGAIN, ERR_LIMIT. */
static enum err find_head(struct exchange *x, struct found *ret)
{
    struct answering *a = &x->answering;
    struct bufq *in = &x->lease.stream->in;
    size_t max = (size_t)x->serve->config->max_head_size;

    if (a->text.len == 0) {
        size_t run;
        ret->text = (const char *)bufq_peek(in, &run);
        run = run < max ? run : max;
        enum err e = http1_head_end(ret->text, run, &a->scanned, &ret->len);
        ret->skip = ret->len;
        if (!e)
            return OK;
        if (run == max)
            return ERR_LIMIT;
        if (run == in->len)
            return ERR_AGAIN;
    }
    enum err e = head_text_take(&a->text, in, max);
    *ret = (struct found){ a->text.at, a->text.len, 0 };
    return e;
}

/* "timeout=5, max=100" */
static uint32_t keep_alive_ms(const struct http1_head *head)
{
    const struct http1_field *field = http1_find(head, FIELD_KEEP_ALIVE);
    struct str list = field ? field->value : (struct str){ 0 };

    while (!str_empty(list)) {
        struct str one;
        uint64_t seconds;
        list = str_cut(list, ',', &one);
        struct str value = str_cut(str_trim(one), '=', &one);
        if (str_ieq(one, STR("timeout")) && !str_to_uint(value, KEEP_MAX_S, &seconds))
            return (uint32_t)seconds * 1000;
    }
    return 0;
}

static enum answer pass_interim(struct exchange *x, const struct http1_head *head)
{
    struct answer_form form = { 0 };

    if (head->status == 101 && !x->request.upgrade)
        return bad(x, "it switches protocols without an Upgrade in the request");
    if (head->status == 101 && x->sending.state != SENDING_DONE)
        return bad(x, "it switches protocols in the middle of the request");
    if (x->request.minor > 0)
        answer_head_write(head, &form, &x->client->out);
    if (head->status != 101)
        return ANSWER_WAIT;
    x->status = 101;
    x->answering.state = ANSWERING_DONE;
    return ANSWER_SWITCH;
}

static void pass_final(struct exchange *x, const struct http1_head *head)
{
    struct answering *a = &x->answering;

    body_init(&a->body, head);
    a->decode = head->framing == BODY_CHUNKED && x->request.minor == 0;
    a->pod_keeps = head->keep_alive;
    a->keep_ms = keep_alive_ms(head);
    x->paired = x->request.binds_connection || head->binds_connection;
    x->status = head->status;
    x->keep = x->request.keep_alive && !x->serve->draining && !a->decode &&
              head->framing != BODY_TO_EOF && x->sending.state == SENDING_DONE;

    struct answer_form form = {
        .decode = a->decode || x->request.minor == 0,
        .close = !x->keep,
        .say_keep_alive = x->request.minor == 0,
    };
    answer_head_write(head, &form, &x->client->out);
    a->state = ANSWERING_BODY;
}

/* Nobody who speaks something else need be waited for until a blank line comes. */
static bool is_http_so_far(const struct bufq *in)
{
    static const char version[] = "HTTP/";
    char first[sizeof(version) - 1];
    size_t n = bufq_copy(in, 0, first, sizeof(first));

    return memcmp(first, version, n) == 0;
}

static enum err parse_answer(struct exchange *x, const struct found *found)
{
    struct http1_head *head = &x->serve->answer;
    enum err e;

    do
        e = http1_response_parse(found->text, found->len, x->request.method, head);
    while (e == ERR_LIMIT && head->count == head->room &&
           head_fields_grow(head, x->serve->config->max_head_fields));
    return e;
}

/* Nothing more can be done with an incomplete head. */
static enum answer incomplete(struct exchange *x)
{
    const struct stream *pod = x->lease.stream;

    if (x->answering.text.len == 0 && !is_http_so_far(&pod->in))
        return bad(x, "it does not begin with HTTP/");
    return pod->in_eof ? bad(x, "it ended in the middle of its head") : ANSWER_WAIT;
}

/* *ret_read: it was one, and there may be another. */
static enum answer read_head(struct exchange *x, bool *ret_read)
{
    struct http1_head *head = &x->serve->answer;
    struct found found;
    enum answer answer = ANSWER_WAIT;

    enum err e = find_head(x, &found);
    if (e == ERR_AGAIN)
        return incomplete(x);
    if (e)
        return bad(x, "its head is larger than max-head-size");
    e = parse_answer(x, &found);
    if (e)
        return bad(x, head_problem(head, e));
    if (head->status / 100 == 1)
        answer = pass_interim(x, head);
    else
        pass_final(x, head);
    if (answer != ANSWER_BAD)
        bufq_skip(&x->lease.stream->in, found.skip);
    x->answering.scanned = 0;
    head_text_clear(&x->answering.text);
    *ret_read = true;
    return answer;
}

static enum answer no_more_bytes(struct exchange *x)
{
    if (!x->lease.stream->in_eof)
        return ANSWER_WAIT;
    if (x->answering.text.len > 0)
        return bad(x, "it ended in the middle of its head");
    return x->answering.began ? bad(x, "it ended after an interim response")
                              : ANSWER_NONE;
}

/* Heads, until one is final or there is nothing more to read or no room to write. */
static enum answer read_heads(struct exchange *x)
{
    struct stream *pod = x->lease.stream;
    enum answer answer = ANSWER_WAIT;
    bool read = true;

    while (read && x->answering.state == ANSWERING_HEAD && answer == ANSWER_WAIT) {
        if (bufq_empty(&pod->in))
            return no_more_bytes(x);
        if (!x->answering.began)
            sending_stop_holding(x);
        x->answering.began = true;
        if (bufq_full(&x->client->out))
            return ANSWER_WAIT;
        read = false;
        answer = read_head(x, &read);
    }
    return answer;
}

static bool ended(const struct stream *s)
{
    return s->in_eof && bufq_empty(&s->in);
}

static enum answer pass_body(struct exchange *x)
{
    struct answering *a = &x->answering;
    struct stream *pod = x->lease.stream;
    size_t moved = 0;

    enum err e = body_move(&a->body, &pod->in, &x->client->out, a->decode, &moved);
    x->bytes_out += moved;
    if (e)
        return ANSWER_CUT;
    if (a->body.framing == BODY_TO_EOF && ended(pod))
        a->body.done = pod->end.verdict == V_CLEAN && !pod->broken;
    if (a->body.done) {
        a->state = ANSWERING_DONE;
        return ANSWER_COMPLETE;
    }
    return ended(pod) ? ANSWER_CUT : ANSWER_WAIT;
}

enum answer answering_run(struct exchange *x)
{
    enum answer answer = read_heads(x);

    if (x->answering.state == ANSWERING_BODY)
        answer = pass_body(x);
    x->lease.stream->paused = answer == ANSWER_WAIT && x->client->stuck;
    stream_update(x->client);
    if (answer == ANSWER_WAIT)
        stream_update(x->lease.stream);
    return answer;
}
