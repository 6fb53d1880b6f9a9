/* tests/unit/http/h2_client_test.c - HTTP/2 to pods: requests, responses and errors */
#include "h2_peer.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"

static struct peer peer;
static struct http1_field room[64];

static int setup(void **state)
{
    peer_start(&peer, false);
    *state = &peer;
    peer_received(&peer);
    return 0;
}

static int teardown(void **state)
{
    peer_finish(*state);
    return 0;
}

static enum err receive(struct message_stream *m, struct http1_head *ret)
{
    *ret = (struct http1_head){ .fields = room, .room = 64 };
    return m->ops->receive(m, STR("GET"), ret);
}

static void request(struct message_stream *m, const char *text,
                    enum http1_framing framing)
{
    static struct http1_field fields[32];
    struct http1_head head = { .fields = fields, .room = 32 };
    struct request_form form = { .path = STR("/a?b=c"), .authority = STR("web.shop") };

    assert_int_equal(http1_request_parse(text, strlen(text), &head), OK);
    if (framing)
        head.framing = framing;
    m->ops->send_request(m, &head, &form);
}

static struct message_stream *get(struct peer *p)
{
    struct message_stream *m = h2_open(p->c);

    assert_non_null(m);
    request(m, "GET / HTTP/1.1\r\nHost: x\r\nAccept: a\r\n\r\n", 0);
    return m;
}

static void a_request_goes_out_with_its_fields_in_order(void **state)
{
    struct peer *p = *state;
    struct message_stream *m = h2_open(p->c);

    request(m,
            "POST /old HTTP/1.1\r\nHost: localhost\r\nX-First: 1\r\nConnection: x-hop\r\n"
            "X-Hop: 2\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\nx-last: 3\r\n\r\n",
            0);
    assert_int_equal(m->coding, CODING_STRIP);
    bufq_write(&m->bytes->out, "abc", 3);
    m->ops->end(m, STR("x-sum: 6\r\n"));
    assert_string_equal(
        peer_received(p),
        "[1] :method: POST\n[1] :scheme: http\n[1] :authority: web.shop\n"
        "[1] :path: /a?b=c\n[1] x-first: 1\n[1] x-last: 3\n[1] te: trailers\n"
        "[1] data 3\n[1] x-sum: 6\n[1] end\n");
    stream_close(m->bytes);
    assert_string_equal(peer_received(p), "[1] reset 8\n[1] closed 8\n");
}

/* RFC 8441; the key and its proof belong to HTTP/1 (RFC 6455, section 1.3). */
static void
an_upgrade_goes_out_as_an_extended_connect_and_its_200_reads_as_a_101(void **state)
{
    struct peer *p = *state;
    static const char *const fields[] = { ":status", "200", "x-field", "1", NULL };
    struct message_stream *m = h2_open(p->c);
    struct http1_head head;

    request(m,
            "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: WebSocket\r\nConnection: upgrade\r\n"
            "Content-Length: 0\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            0);
    m->ops->end(m, STR(""));
    assert_string_equal(peer_received(p),
                        "[1] :method: CONNECT\n[1] :protocol: websocket\n"
                        "[1] :scheme: http\n[1] :authority: web.shop\n"
                        "[1] :path: /a?b=c\n");
    peer_answer(p, 1, fields, 5, false);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.status, 101);
    assert_true(head.upgrade);
    assert_memory_equal(head.fields[2].line.at,
                        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", 52);
    assert_int_equal(m->bytes->in.len, 5);
    bufq_write(&m->bytes->out, "abc", 3);
    stream_update(m->bytes);
    stream_shutdown(m->bytes);
    assert_string_equal(peer_received(p), "[1] data 3\n[1] end\n[1] closed 0\n");
    stream_close(m->bytes);
}

static void names_are_sent_in_lower_case_after_the_whole_path(void **state)
{
    struct peer *p = *state;
    static struct http1_field fields[8];
    static const char text[] = "GET /a HTTP/1.1\r\nHost: x.y\r\nX-Mixed: VaLue\r\n\r\n";
    struct http1_head head = { .fields = fields, .room = 8 };
    struct request_form form = { .path = STR("?b=c"), .add_slash = true };
    struct message_stream *m = h2_open(p->c);

    assert_int_equal(http1_request_parse(text, sizeof(text) - 1, &head), OK);
    m->ops->send_request(m, &head, &form);
    assert_string_equal(peer_received(p),
                        "[1] :method: GET\n[1] :scheme: http\n[1] :authority: x.y\n"
                        "[1] :path: /?b=c\n[1] x-mixed: VaLue\n[1] end\n");
    stream_abort(m->bytes);
}

static void an_answer_reads_as_one_of_http1(void **state)
{
    struct peer *p = *state;
    const char *const early[] = { ":status", "103", "link", "</a>", NULL };
    const char *const fields[] = { ":status", "200", "content-type", "text/plain", NULL };
    nghttp2_nv nv[2] = {
        { (uint8_t *)(uintptr_t)early[0], (uint8_t *)(uintptr_t)early[1], 7, 3, 0 },
        { (uint8_t *)(uintptr_t)early[2], (uint8_t *)(uintptr_t)early[3], 4, 4, 0 }
    };
    struct http1_head head;
    struct message_stream *m = get(p);

    peer_run(p);
    assert_int_equal(receive(m, &head), ERR_AGAIN);
    nghttp2_submit_headers(p->session, 0, 1, NULL, nv, 2, NULL);
    peer_answer(p, 1, fields, 5, false);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.status, 103);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.status, 200);
    assert_memory_equal(head.reason.at, "OK", 2);
    assert_int_equal(head.framing, BODY_TO_END);
    assert_int_equal(m->bytes->in.len, 5);
    assert_int_equal(m->bytes->end.verdict, V_CLEAN);
    assert_false(m->bytes->broken);
    stream_close(m->bytes);
    assert_int_equal(h2_count(p->c), 0);
}

/* gRPC reports an error like this: HEADERS with END_STREAM are the whole response. */
static void an_answer_that_is_only_a_head_has_no_body(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":status", "200", "grpc-status", "12", NULL };
    struct http1_head head;
    struct message_stream *m = get(p);

    peer_run(p);
    peer_answer(p, 1, fields, 0, false);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_int_equal(head.length, 0);
    stream_close(m->bytes);
}

static ssize_t with_trailers(nghttp2_session *s, int32_t id, uint8_t *buffer, size_t n,
                             uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    static const nghttp2_nv nv[1] = { { (uint8_t *)(uintptr_t) "grpc-status",
                                        (uint8_t *)(uintptr_t) "0", 11, 1, 0 } };
    (void)n, (void)source, (void)owner;
    memcpy(buffer, "ok", 2);
    *flags = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    nghttp2_submit_trailer(s, id, nv, 1);
    return 2;
}

static void trailers_are_lines_once_the_body_has_ended(void **state)
{
    struct peer *p = *state;
    const nghttp2_nv nv[1] = { { (uint8_t *)(uintptr_t) ":status",
                                 (uint8_t *)(uintptr_t) "200", 7, 3, 0 } };
    nghttp2_data_provider source = { .read_callback = with_trailers };
    struct message_stream *m = get(p);
    struct http1_head head;

    peer_run(p);
    nghttp2_submit_response(p->session, 1, nv, 1, &source);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(m->bytes->end.verdict, V_CLEAN);
    assert_int_equal(m->trailers.len, 16);
    assert_memory_equal(m->trailers.at, "grpc-status: 0\r\n", 16);
    stream_close(m->bytes);
}

static void a_204_has_no_body_though_its_stream_has_not_ended(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":status", "204", NULL };
    struct message_stream *m = get(p);
    struct http1_head head;

    peer_run(p);
    peer_answer(p, 1, fields, 0, true);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.framing, BODY_NONE);
    stream_abort(m->bytes);
}

static void trailers_beyond_the_limit_leave_the_head_as_it_is(void **state)
{
    struct peer *p = *state;
    const nghttp2_nv nv[1] = { { (uint8_t *)(uintptr_t) ":status",
                                 (uint8_t *)(uintptr_t) "200", 7, 3, 0 } };
    nghttp2_data_provider source = { .read_callback = with_trailers };
    struct message_stream *m = get(p);
    struct http1_head head;

    peer_run(p);
    p->settings.max_head_size = 30; /* "HTTP/1.1 200 OK", and no line more */
    nghttp2_submit_response(p->session, 1, nv, 1, &source);
    peer_run(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(m->trailers.len, 0);
    stream_abort(m->bytes);
}

static void a_refused_stream_was_not_processed(void **state)
{
    struct peer *p = *state;
    struct message_stream *m = get(p);
    struct http1_head head;

    peer_run(p);
    assert_int_equal(receive(m, &head), ERR_AGAIN);
    nghttp2_submit_rst_stream(p->session, 0, 1, NGHTTP2_REFUSED_STREAM);
    peer_run(p);
    assert_int_equal(m->bytes->end.verdict, V_UNPROCESSED);
    assert_int_equal(receive(m, &head), ERR_EOF);
    stream_close(m->bytes);
}

static void a_reset_stream_may_have_been_processed(void **state)
{
    struct peer *p = *state;
    struct message_stream *m = get(p);

    peer_run(p);
    nghttp2_submit_rst_stream(p->session, 0, 1, NGHTTP2_ENHANCE_YOUR_CALM);
    peer_run(p);
    assert_int_equal(m->bytes->end.verdict, V_RESET);
    assert_int_equal(m->reset_code, NGHTTP2_ENHANCE_YOUR_CALM);
    stream_close(m->bytes);
}

static void streams_above_the_last_of_a_goaway_were_not_processed(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":status", "204", NULL };
    struct message_stream *first = get(p), *second = get(p);

    peer_run(p);
    nghttp2_submit_goaway(p->session, 0, 1, NGHTTP2_NO_ERROR, NULL, 0);
    peer_run(p);
    assert_int_equal(first->bytes->end.verdict, V_OPEN);
    assert_int_equal(second->bytes->end.verdict, V_UNPROCESSED);
    assert_true(h2_is_draining(p->c));
    assert_int_equal(h2_capacity(p->c), 0);
    assert_null(h2_open(p->c));
    peer_answer(p, 1, fields, 0, false);
    peer_run(p);
    struct http1_head head;
    assert_int_equal(receive(first, &head), OK);
    assert_int_equal(head.status, 204);
    stream_close(first->bytes);
    stream_close(second->bytes);
    peer_run(p);
    assert_true(h2_is_over(p->c));
}

static void a_request_that_was_not_sent_before_the_goaway_was_not_processed(void **state)
{
    struct peer *p = *state;

    nghttp2_submit_goaway(p->session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
    struct message_stream *m = get(p);
    const uint8_t *bytes;
    ssize_t n = nghttp2_session_mem_send(p->session, &bytes);
    assert_true(n > 0);
    bufq_write(&p->far->out, bytes, (size_t)n); /* read before our flush */
    stream_update(p->far);
    peer_run(p);
    assert_int_equal(m->bytes->end.verdict, V_UNPROCESSED);
    stream_close(m->bytes);
}

static void an_http1_server_has_processed_nothing(void **state)
{
    (void)state;
    static struct peer other;
    static const struct str answers[] = {
        { "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
        { "H", 1 },
        { "-ERR unknown command\r\n", 22 },
        { "\0\0\0\4\0\0\0\0\1", 9 }, /* no SETTINGS has a stream */
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        peer_start(&other, false);
        struct message_stream *m = get(&other);
        sched_run(&other.sched, other.now);
        peer_send(&other, answers[i].at, answers[i].len);
        assert_int_equal(m->bytes->end.verdict, V_UNPROCESSED);
        assert_int_equal(h2_peer(other.c), H2_PEER_OTHER);
        assert_true(h2_is_over(other.c));
        stream_close(m->bytes);
        peer_finish(&other);
    }
}

static void capacity_is_what_the_far_end_accepts(void **state)
{
    struct peer *p = *state;
    nghttp2_settings_entry few = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2 };

    assert_int_equal(h2_capacity(p->c), 100);
    nghttp2_submit_settings(p->session, 0, &few, 1);
    peer_run(p);
    assert_int_equal(h2_capacity(p->c), 2);
    struct message_stream *a = get(p), *b = get(p);
    assert_int_equal(h2_capacity(p->c), 0);
    stream_abort(a->bytes);
    stream_abort(b->bytes);
    peer_run(p);
    assert_int_equal(h2_capacity(p->c), 2);
}

static void a_cancelled_request_frees_its_stream(void **state)
{
    struct peer *p = *state;
    struct message_stream *m = get(p);

    m->ops->reset(m, RESET_CANCEL); /* before it was sent */
    stream_close(m->bytes);
    peer_run(p);
    assert_int_equal(h2_count(p->c), 0);
    m = get(p);
    peer_run(p);
    stream_abort(m->bytes);
    assert_non_null(strstr(peer_received(p), "reset 8"));
    assert_int_equal(h2_count(p->c), 0);
}

static void a_stream_without_a_request_is_free_again_at_once(void **state)
{
    struct peer *p = *state;
    struct message_stream *aborted = h2_open(p->c), *closed = h2_open(p->c);

    peer_run(p);
    assert_int_equal(h2_count(p->c), 2);
    stream_abort(aborted->bytes);
    stream_close(closed->bytes);
    assert_int_equal(h2_count(p->c), 0);
    peer_run(p);
    assert_null(strstr(peer_received(p), "reset")); /* the far end knew neither */
}

static void a_lost_connection_ends_its_streams(void **state)
{
    (void)state;
    static struct peer other;

    peer_start(&other, false);
    struct message_stream *m = get(&other);
    sched_run(&other.sched, other.now);
    stream_end(other.near, V_TRANSPORT_LOST, "the tunnel was lost");
    sched_run(&other.sched, other.now);
    assert_int_equal(m->bytes->end.verdict, V_TRANSPORT_LOST);
    assert_string_equal(m->bytes->end.why.text, "the tunnel was lost");
    stream_close(m->bytes);
    peer_finish(&other);
}

static void a_connection_that_the_far_end_closes_ends_its_streams(void **state)
{
    (void)state;
    static struct peer other;

    peer_start(&other, false);
    struct message_stream *m = get(&other);
    peer_run(&other);
    stream_shutdown(other.far);
    sched_run(&other.sched, other.now);
    assert_true(h2_is_over(other.c));
    assert_int_equal(m->bytes->end.verdict, V_RESET);
    stream_close(m->bytes);
    peer_finish(&other);
}

/* Another stream goes on, so the connection does. */
static void a_goaway_ends_a_request_that_was_not_sent_at_once(void **state)
{
    struct peer *p = *state;
    struct message_stream *first = get(p);

    peer_run(p);
    struct message_stream *second = get(p);
    peer_send(p, "\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0", 17);
    assert_false(h2_is_over(p->c));
    assert_int_equal(first->bytes->end.verdict, V_OPEN);
    assert_int_equal(second->bytes->end.verdict, V_UNPROCESSED);
    stream_abort(first->bytes);
    stream_close(second->bytes);
}

static void accept_streams(struct peer *p, uint32_t n)
{
    nghttp2_settings_entry entry = { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, n };

    nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, &entry, 1);
    peer_run(p);
}

/* nghttp2 would keep them until others have ended; another connection has room now. */
static void requests_beyond_the_streams_that_settings_accept_are_unprocessed(void **state)
{
    struct peer *p = *state;
    struct message_stream *m[5];

    for (size_t i = 0; i < 3; i++)
        m[i] = h2_open(p->c);
    accept_streams(p, 2);
    for (size_t i = 0; i < 3; i++)
        request(m[i], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    assert_int_equal(m[0]->bytes->end.verdict, V_OPEN);
    assert_int_equal(m[1]->bytes->end.verdict, V_OPEN);
    assert_int_equal(m[2]->bytes->end.verdict, V_UNPROCESSED);
    peer_run(p);
    assert_int_equal(m[1]->bytes->end.verdict, V_OPEN);
    stream_close(m[2]->bytes);
    stream_abort(m[0]->bytes);
    peer_run(p);
    assert_int_equal(h2_count(p->c), 1); /* nghttp2 has let go of the third, too */
    stream_abort(m[1]->bytes);
}

/* Those that the far end knows go on, although they are more than it accepts now. */
static void requests_that_were_sent_outlive_lower_settings(void **state)
{
    struct peer *p = *state;
    struct message_stream *a = get(p), *b = get(p), *c = get(p);

    accept_streams(p, 3);
    accept_streams(p, 1);
    assert_int_equal(a->bytes->end.verdict, V_OPEN);
    assert_int_equal(b->bytes->end.verdict, V_OPEN);
    assert_int_equal(c->bytes->end.verdict, V_OPEN);
    stream_abort(a->bytes);
    stream_abort(b->bytes);
    stream_abort(c->bytes);
}

static void an_assumed_number_of_streams_counts_until_settings_come(void **state)
{
    (void)state;
    static struct peer p;

    peer_start(&p, false);
    h2_assume_streams(p.c, 2);
    assert_int_equal(h2_capacity(p.c), 2);
    peer_send(&p, "\0\0\6\4\0\0\0\0\0\0\3\0\0\0\7", 15);
    assert_int_equal(h2_capacity(p.c), 7);
    assert_int_equal(h2_streams_accepted(p.c), 7);
    peer_finish(&p);
}

/* The far end accepts no stream at present: the first two go on, and so does the connection. */
static void a_goaway_ends_requests_that_wait_for_a_stream_at_once(void **state)
{
    struct peer *p = *state;
    struct message_stream *first = get(p), *second = get(p), *third = h2_open(p->c);

    peer_run(p);
    accept_streams(p, 0);
    request(third, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    peer_run(p);
    assert_int_equal(third->bytes->end.verdict, V_OPEN);
    peer_send(p, "\0\0\x08\7\0\0\0\0\0\0\0\0\3\0\0\0\0", 17);
    assert_int_equal(third->bytes->end.verdict, V_UNPROCESSED);
    assert_int_equal(first->bytes->end.verdict, V_OPEN);
    assert_int_equal(second->bytes->end.verdict, V_OPEN);
    stream_close(third->bytes);
    stream_abort(first->bytes);
    accept_streams(p, 2);
    assert_int_equal(h2_count(p->c), 1); /* nghttp2 has let go of the third, too */
    stream_abort(second->bytes);
}

/* It was opened, and its head is written when the GOAWAY has come. */
static void a_request_after_a_goaway_was_not_processed(void **state)
{
    struct peer *p = *state;
    struct message_stream *first = get(p), *late = h2_open(p->c);

    peer_run(p);
    peer_send(p, "\0\0\x08\7\0\0\0\0\0\0\0\0\1\0\0\0\0", 17);
    assert_int_equal(late->bytes->end.verdict, V_OPEN);
    request(late, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    assert_int_equal(late->bytes->end.verdict, V_UNPROCESSED);
    stream_close(late->bytes);
    stream_abort(first->bytes);
}

static void a_drain_wakes_the_owner(void **state)
{
    struct peer *p = *state;
    unsigned before = p->wakes;

    h2_drain(p->c);
    peer_run(p);
    assert_int_equal(p->wakes, before + 1);
    assert_int_equal(h2_capacity(p->c), 0);
}

static void a_connection_with_acknowledged_settings_stays_open(void **state)
{
    struct peer *p = *state;

    p->now += 20000;
    peer_run(p);
    assert_false(h2_is_over(p->c));
}

/* A pod that answers with nonsense after its SETTINGS. */
static void garbage_ends_the_connection(void **state)
{
    (void)state;
    static struct peer other;
    static const char *const garbage[] = { "\0\0\1\0\0\0\0\0\0x",
                                           "\xff\xff\xff\xff\xff\xff",
                                           "\0\0\4\x07\0\0\0\0\0abcd" };
    static const size_t lens[] = { 10, 6, 13 };

    for (size_t i = 0; i < ARRAY_LEN(garbage); i++) {
        peer_start(&other, false);
        struct message_stream *m = get(&other);
        sched_run(&other.sched, other.now);
        peer_send(&other, "\0\0\0\4\0\0\0\0\0", 9);
        peer_send(&other, garbage[i], lens[i]);
        other.now += 20000;
        peer_run(&other);
        assert_true(h2_is_over(other.c));
        assert_true(m->bytes->broken);
        stream_close(m->bytes);
        peer_finish(&other);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_goes_out_with_its_fields_in_order),
        T(an_answer_reads_as_one_of_http1),
        T(an_answer_that_is_only_a_head_has_no_body),
        T(trailers_are_lines_once_the_body_has_ended),
        T(a_refused_stream_was_not_processed),
        T(a_reset_stream_may_have_been_processed),
        T(streams_above_the_last_of_a_goaway_were_not_processed),
        T(a_request_that_was_not_sent_before_the_goaway_was_not_processed),
        cmocka_unit_test(an_http1_server_has_processed_nothing),
        T(capacity_is_what_the_far_end_accepts),
        T(a_cancelled_request_frees_its_stream),
        T(a_stream_without_a_request_is_free_again_at_once),
        cmocka_unit_test(a_lost_connection_ends_its_streams),
        T(an_upgrade_goes_out_as_an_extended_connect_and_its_200_reads_as_a_101),
        T(names_are_sent_in_lower_case_after_the_whole_path),
        T(a_204_has_no_body_though_its_stream_has_not_ended),
        T(trailers_beyond_the_limit_leave_the_head_as_it_is),
        cmocka_unit_test(a_connection_that_the_far_end_closes_ends_its_streams),
        T(a_goaway_ends_a_request_that_was_not_sent_at_once),
        T(requests_beyond_the_streams_that_settings_accept_are_unprocessed),
        T(requests_that_were_sent_outlive_lower_settings),
        T(an_assumed_number_of_streams_counts_until_settings_come),
        T(a_goaway_ends_requests_that_wait_for_a_stream_at_once),
        T(a_request_after_a_goaway_was_not_processed),
        T(a_drain_wakes_the_owner),
        T(a_connection_with_acknowledged_settings_stays_open),
        cmocka_unit_test(garbage_ends_the_connection),
    };
    return cmocka_run_group_tests_name("http/h2_client", tests, NULL, NULL);
}
