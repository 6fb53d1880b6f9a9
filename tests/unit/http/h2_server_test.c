/* tests/unit/http/h2_server_test.c - HTTP/2 from clients: what is accepted and what ends
 * the connection */
#include "h2_peer.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "http/page.h"

static struct peer peer; /* a megabyte of log */

static int setup(void **state)
{
    peer_start(&peer, true);
    *state = &peer;
    peer_received(&peer);
    return 0;
}

static int teardown(void **state)
{
    peer_finish(*state);
    return 0;
}

static struct http1_field room[200];

static enum err receive(struct message_stream *m, struct http1_head *ret)
{
    *ret = (struct http1_head){ .fields = room, .room = 200 };
    return m->ops->receive(m, STR(""), ret);
}

static struct message_stream *accepted(struct peer *p)
{
    peer_run(p);
    struct message_stream *m = h2_accept(p->c);
    assert_non_null(m);
    return m;
}

static void assert_line(const struct http1_head *head, size_t i, const char *name,
                        const char *value)
{
    assert_true(i < head->count);
    assert_int_equal(head->fields[i].name.len, strlen(name));
    assert_memory_equal(head->fields[i].name.at, name, strlen(name));
    assert_int_equal(head->fields[i].value.len, strlen(value));
    assert_memory_equal(head->fields[i].value.at, value, strlen(value));
}

static void answer(struct message_stream *m, const char *text)
{
    static struct http1_field fields[32];
    struct http1_head head = { .fields = fields, .room = 32 };
    struct answer_form form = { .keep = true };

    assert_int_equal(http1_response_parse(text, strlen(text), STR("GET"), &head), OK);
    m->ops->send_answer(m, &head, &form);
}

static void a_request_reads_as_one_of_http1(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method",
                                   "POST",
                                   ":scheme",
                                   "http",
                                   ":path",
                                   "/a?b=c",
                                   ":authority",
                                   "web.shop:8080",
                                   "x-first",
                                   "1",
                                   "cookie",
                                   "a=1",
                                   "te",
                                   "trailers",
                                   "cookie",
                                   "b=2",
                                   "host",
                                   "other.shop",
                                   "content-length",
                                   "3",
                                   "cookie",
                                   "c=3",
                                   NULL };
    struct http1_head head;

    peer_request(p, fields, 3, false);
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &head), OK);
    assert_memory_equal(head.method.at, "POST", 4);
    assert_memory_equal(head.target.at, "/a?b=c", 6);
    assert_int_equal(head.count, 5);
    assert_line(&head, 0, "host", "web.shop:8080");
    assert_line(&head, 1, "x-first", "1");
    assert_line(&head, 2, "cookie", "a=1; b=2; c=3");
    assert_line(&head, 3, "te", "trailers");
    assert_line(&head, 4, "content-length", "3");
    assert_int_equal(head.framing, BODY_TO_END);
    assert_int_equal(m->bytes->in.len, 3);
    assert_true(m->bytes->in_eof);
    stream_close(m->bytes);
}

static void a_request_without_body_has_none(void **state)
{
    struct peer *p = *state;
    struct http1_head head;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.framing, BODY_NONE);
    stream_close(m->bytes);
}

static void a_post_without_body_has_a_length_of_0(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method", "POST",       ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", NULL };
    struct http1_head head;

    peer_request(p, fields, 0, false);
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &head), OK);
    assert_int_equal(head.framing, BODY_LENGTH);
    assert_int_equal(head.length, 0);
    stream_close(m->bytes);
}

static void bytes_follow_the_answer_to_a_connect(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method", "CONNECT", ":authority", "web.shop:80",
                                   NULL };
    struct http1_field room_for_answer[4];
    struct http1_head request, head = { .fields = room_for_answer, .room = 4 };

    peer_request(p, fields, 0, true);
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &request), OK);
    assert_int_equal(request.framing, BODY_NONE);
    assert_int_equal(
        http1_response_parse("HTTP/1.1 200 OK\r\n\r\n", 19, STR("CONNECT"), &head), OK);
    m->ops->send_answer(m, &head, &(struct answer_form){ .keep = true });
    bufq_write(&m->bytes->out, "bytes", 5);
    stream_update(m->bytes);
    assert_string_equal(peer_received(p), "[1] :status: 200\n[1] data 5\n");
    stream_abort(m->bytes);
}

static void an_answer_with_body_and_trailers_arrives(void **state)
{
    struct peer *p = *state;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    answer(m, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n"
              "Transfer-Encoding: chunked\r\n\r\n");
    assert_int_equal(m->coding, CODING_STRIP);
    bufq_write(&m->bytes->out, "hello", 5);
    m->ops->end(m, STR("Grpc-Status: 0\r\nConnection: x\r\n"));
    assert_string_equal(peer_received(p),
                        "[1] :status: 200\n[1] content-type: text/plain\n"
                        "[1] data 5\n[1] grpc-status: 0\n[1] end\n"
                        "[1] closed 0\n");
    assert_true(m->bytes->out_eof);
    stream_close(m->bytes);
    assert_int_equal(h2_count(p->c), 0);
}

static void an_interim_answer_comes_before_the_final_one(void **state)
{
    struct peer *p = *state;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    answer(m, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    answer(m, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_string_equal(peer_received(p), "[1] :status: 103\n[1] link: </a>\n"
                                          "[1] :status: 204\n[1] end\n[1] closed 0\n");
    stream_close(m->bytes);
}

/* Flow control: bytes that are not taken do not open the stream's window, and other
 * streams continue. */
static void a_body_that_is_not_taken_stops_its_sender_alone(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method", "POST",       ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", NULL };

    peer_request(p, fields, 300000, false);
    struct message_stream *slow = accepted(p);
    assert_int_equal(slow->bytes->in.len, PEER_WINDOW);
    assert_int_equal(p->body_left, 300000 - PEER_WINDOW);
    size_t slow_left = p->body_left;

    peer_request(p, fields, 300000, false); /* both draw on body_left from here on */
    struct message_stream *fast = accepted(p);
    while (!fast->bytes->in_eof && fast->bytes->in.len) {
        bufq_clear(&fast->bytes->in);
        stream_update(fast->bytes);
        peer_run(p);
    }
    assert_true(fast->bytes->in_eof);
    assert_int_equal(slow->bytes->in.len, PEER_WINDOW);
    p->body_left = slow_left;
    for (size_t i = 0; i < 20 && !slow->bytes->in_eof; i++) {
        bufq_clear(&slow->bytes->in);
        stream_update(slow->bytes);
        peer_run(p);
    }
    assert_true(slow->bytes->in_eof);
    stream_close(fast->bytes);
    stream_close(slow->bytes);
}

static void allow_bytes(struct peer *p, uint32_t window)
{
    nghttp2_settings_entry entry = { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window };

    nghttp2_submit_settings(p->session, NGHTTP2_FLAG_NONE, &entry, 1);
    peer_run(p);
}

static void a_client_that_takes_nothing_makes_its_stream_stuck(void **state)
{
    struct peer *p = *state;
    static const uint8_t body[65000];

    allow_bytes(p, 0);
    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    answer(m, "HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n");
    bufq_write(&m->bytes->out, body, sizeof(body));
    stream_update(m->bytes);
    peer_run(p);
    assert_true(m->bytes->stuck);
    assert_int_equal(p->data, 0);
    allow_bytes(p, 65000);
    assert_false(m->bytes->stuck);
    assert_int_equal(p->data, 65000);
    stream_abort(m->bytes);
    peer_run(p);
    assert_int_equal(h2_count(p->c), 0);
}

static void resets_are_passed_on_both_ways(void **state)
{
    struct peer *p = *state;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    m->ops->reset(m, RESET_REFUSED);
    assert_string_equal(peer_received(p), "[1] reset 7\n[1] closed 7\n");
    stream_close(m->bytes);

    int32_t id = peer_get(p, "/");
    m = accepted(p);
    nghttp2_submit_rst_stream(p->session, 0, id, NGHTTP2_CANCEL);
    peer_run(p);
    assert_true(m->bytes->broken);
    assert_int_equal(m->reset_code, NGHTTP2_CANCEL);
    stream_close(m->bytes);
}

/* Nothing more was sent, and after `LINGER_MS` the stream is reset without an error. */
#define LINGER_MS 200
static void assert_reset_later(struct peer *p)
{
    assert_string_equal(peer_received(p), "");
    p->now += LINGER_MS;
    assert_string_equal(peer_received(p), "[1] reset 0\n[1] closed 0\n");
}

static struct message_stream *refuse_unfinished(struct peer *p)
{
    const char *const fields[] = { ":method", "POST",       ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", NULL };

    peer_request(p, fields, 10, true);
    struct message_stream *m = accepted(p);
    answer(m, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\n");
    bufq_write(&m->bytes->out, "no", 2);
    m->ops->end(m, STR(""));
    return m;
}

static void a_client_may_end_a_request_that_was_answered(void **state)
{
    struct peer *p = *state;

    struct message_stream *m = refuse_unfinished(p);

    peer_run(p);
    stream_close(m->bytes);
    assert_non_null(strstr(peer_received(p), "[1] data 2\n[1] end\n"));
    p->body_holds = false;
    nghttp2_session_resume_data(p->session, 1);
    assert_string_equal(peer_received(p), "[1] closed 0\n");
    p->now += LINGER_MS;
    assert_string_equal(peer_received(p), "");
}

/* RFC 9113, section 8.1: a server may end a request that it does not need to read. */
static void the_rest_of_an_answered_request_is_refused_without_error(void **state)
{
    struct peer *p = *state;
    struct message_stream *m = refuse_unfinished(p);

    peer_run(p);
    stream_close(m->bytes);
    assert_non_null(strstr(peer_received(p), "[1] data 2\n[1] end\n"));
    assert_reset_later(p);
}

static void a_response_without_a_body_may_be_closed_before_it_was_sent(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method", "POST",       ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", NULL };

    peer_request(p, fields, 10, true);
    struct message_stream *m = accepted(p);
    answer(m, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n");
    stream_close(m->bytes);
    assert_non_null(strstr(peer_received(p), "[1] end\n"));
    assert_reset_later(p);
}

static void an_extended_connect_is_an_upgrade(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method",
                                   "CONNECT",
                                   ":protocol",
                                   "websocket",
                                   ":scheme",
                                   "http",
                                   ":path",
                                   "/chat",
                                   ":authority",
                                   "web.shop",
                                   "sec-websocket-version",
                                   "13",
                                   "sec-websocket-key",
                                   "theirs",
                                   NULL };
    struct http1_head head;

    peer_request(p, fields, 4, true);
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &head), OK);
    assert_true(head.upgrade);
    assert_memory_equal(head.method.at, "GET", 3);
    assert_line(&head, 2, "upgrade", "websocket");
    assert_int_equal(head.fields[3].value.len, 24);
    assert_line(&head, 4, "sec-websocket-version", "13");
    assert_int_equal(head.count, 5); /* a key of the client is left out */
    assert_int_equal(head.framing, BODY_NONE);
    answer(m, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
              "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n");
    bufq_write(&m->bytes->out, "frames", 6);
    stream_update(m->bytes);
    assert_string_equal(peer_received(p), "[1] :status: 200\n[1] data 6\n");
    assert_int_equal(m->bytes->in.len, 4);
    stream_close(m->bytes);
}

static void a_head_that_is_too_large_is_reported_to_the_user(void **state)
{
    struct peer *p = *state;
    static char value[30000];
    const char *const fields[] = { ":method", "GET",        ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", "a",    value,
                                   "b",       value,        NULL };
    struct http1_head head;

    memset(value, 'v', sizeof(value) - 1);
    p->settings.max_head_size = 40000;
    peer_request(p, fields, 0, false);
    struct message_stream *m = accepted(p);
    assert_int_equal(receive(m, &head), ERR_LIMIT);
    stream_close(m->bytes);
}

static void a_page_of_our_own_is_a_whole_answer(void **state)
{
    struct peer *p = *state;
    struct page page = { .status = 404, .type = "text/plain", .body = STR("no\n") };

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    m->ops->send_page(m, &page, true);
    const char *received = peer_received(p);
    assert_non_null(strstr(received, "[1] :status: 404\n[1] content-type: text/plain\n"
                                     "[1] content-length: 3\n"));
    assert_non_null(strstr(received, "[1] data 3\n[1] end\n[1] closed 0\n"));
    stream_close(m->bytes);
}

static void a_ping_is_answered(void **state)
{
    struct peer *p = *state;

    nghttp2_submit_ping(p->session, 0, NULL);
    assert_string_equal(peer_received(p), "ping ack\n");
}

static void a_drain_lets_streams_end_and_begins_no_other(void **state)
{
    struct peer *p = *state;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    h2_drain(p->c);
    assert_string_equal(peer_received(p),
                        "goaway 0 last 2147483647\nping\ngoaway 0 last 1\n");
    answer(m, "HTTP/1.1 204 No Content\r\n\r\n");
    stream_close(m->bytes);
    peer_run(p);
    assert_true(h2_is_over(p->c));
    assert_null(h2_problem(p->c));
}

static void streams_end_with_their_connection(void **state)
{
    struct peer *p = *state;

    peer_get(p, "/");
    struct message_stream *m = accepted(p);
    stream_abort(p->far);
    p->far = NULL; /* peer_finish closes nothing */
    sched_run(&p->sched, p->now);
    assert_true(m->bytes->broken);
    assert_true(h2_is_over(p->c));
    answer(m, "HTTP/1.1 204 No Content\r\n\r\n"); /* no harm */
    m->ops->end(m, STR(""));
    stream_close(m->bytes);
}

/* ---- abuse ---- */

static void assert_ended(struct peer *p, uint32_t code)
{
    char expected[40];

    snprintf(expected, sizeof(expected), "goaway %u ", code);
    const char *received = peer_received(p);
    if (!strstr(received, expected))
        fail_msg("no %s in: %.200s", expected, received);
    assert_true(h2_is_over(p->c));
}

/* HEADERS of a complete GET / (all of its fields are in the static table but :authority). */
static void send_get_and_reset(struct peer *p, uint32_t id)
{
    uint8_t frames[] = { 0,   0,   8, 1, 5, 0, 0, 0, 0, 0x82, 0x86, 0x84, 0x41, 3, 'a',
                         '.', 'b', 0, 0, 4, 3, 0, 0, 0, 0,    0,    0,    0,    0, 8 };

    frames[5 + 2] = frames[17 + 5 + 2] = (uint8_t)(id >> 8);
    frames[5 + 3] = frames[17 + 5 + 3] = (uint8_t)id;
    peer_send(p, frames, sizeof(frames));
}

static void a_flood_of_resets_ends_the_connection(void **state)
{
    struct peer *p = *state;

    for (uint32_t i = 0; i < 1200 && !h2_is_over(p->c); i++)
        send_get_and_reset(p, 2 * i + 1);
    assert_ended(p, NGHTTP2_INTERNAL_ERROR); /* of nghttp2's own choice */
}

/* A window that overflows is an error of the stream, which we reset (CVE-2025-8671). */
static void send_get_and_provoke_reset(struct peer *p, uint32_t id)
{
    uint8_t frames[] = {
        0,   0,   8, 1, 5, 0, 0, 0, 0, 0x82, 0x86, 0x84, 0x41, 3,    'a',
        '.', 'b', 0, 0, 4, 8, 0, 0, 0, 0,    0,    0x7f, 0xff, 0xff, 0xff
    };

    frames[5 + 2] = frames[17 + 5 + 2] = (uint8_t)(id >> 8);
    frames[5 + 3] = frames[17 + 5 + 3] = (uint8_t)id;
    peer_send(p, frames, sizeof(frames));
    for (struct message_stream *m; (m = h2_accept(p->c));)
        stream_close(m->bytes);
}

static void a_flood_of_provoked_resets_ends_the_connection(void **state)
{
    struct peer *p = *state;
    uint32_t i;

    for (i = 0; i < 1200 && !h2_is_over(p->c); i++)
        send_get_and_provoke_reset(p, 2 * i + 1);
    assert_in_range(i, 1000, 1010);
    assert_string_equal(h2_problem(p->c), "too many streams broke a rule");
}

static void provoked_resets_at_a_low_rate_are_permitted(void **state)
{
    struct peer *p = *state;

    for (uint32_t i = 0; i < 2000 && !h2_is_over(p->c); i++) {
        p->now += 31;
        send_get_and_provoke_reset(p, 2 * i + 1);
    }
    assert_false(h2_is_over(p->c));
}

static void a_flood_of_settings_ends_the_connection(void **state)
{
    struct peer *p = *state;
    static const uint8_t settings[9] = { 0, 0, 0, 4 };

    for (int i = 0; i < 200000 && !h2_is_over(p->c); i++)
        peer_send(p, settings, sizeof(settings)); /* and takes no acknowledgement */
    assert_true(h2_is_over(p->c));
}

static void a_flood_of_pings_ends_the_connection(void **state)
{
    struct peer *p = *state;
    static const uint8_t ping[17] = { 0, 0, 8, 6 };

    for (int i = 0; i < 200000 && !h2_is_over(p->c); i++)
        peer_send(p, ping, sizeof(ping));
    assert_true(h2_is_over(p->c));
}

static void endless_continuations_end_the_connection(void **state)
{
    struct peer *p = *state;
    static const uint8_t headers[] = { 0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82 };
    static const uint8_t more[] = { 0, 0, 4, 9, 0, 0, 0, 0, 1, 0, 1, 'a', 0 };

    peer_send(p, headers, sizeof(headers));
    for (int i = 0; i < 100 && !h2_is_over(p->c); i++)
        peer_send(p, more, sizeof(more));
    assert_ended(p, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* A field of 4 KB, put into the table once and named 1,000 times: 4 MB from 5 KB. */
static void a_header_bomb_costs_no_more_than_a_head(void **state)
{
    struct peer *p = *state;
    static uint8_t frame[16000];
    size_t n = 9;

    frame[3] = 1, frame[4] = 5, frame[8] = 1;
    static const uint8_t start[] = {
        0x82, 0x86, 0x84, 0x41, 3, 'a', '.', 'b', 0x40, 1, 'x', 0x7f, 0x81, 0x1e
    }; /* 127 + 3841 */
    memcpy(frame + n, start, sizeof(start));
    n += sizeof(start);
    memset(frame + n, 'v', 3968);
    n += 3968;
    memset(frame + n, 0xbe, 5000); /* the newest entry of the table */
    n += 5000;
    frame[1] = (uint8_t)((n - 9) >> 8);
    frame[2] = (uint8_t)(n - 9);
    size_t before = p->pool.held;
    peer_send(p, frame, n);
    struct message_stream *m = accepted(p);
    struct http1_head head;
    assert_int_equal(receive(m, &head), ERR_LIMIT);
    assert_true(p->pool.held - before < 3 * p->settings.max_head_size);
    stream_close(m->bytes);
}

/* ---- memory ---- */

/* Nothing is kept where AddressSanitizer checks the accesses (http/h2_memory.c). */
#if defined(__SANITIZE_ADDRESS__)
#define REUSE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define REUSE 0
#endif
#endif
#ifndef REUSE
#define REUSE 1
#endif

static void finish_requests(struct peer *p, size_t count)
{
    struct message_stream *m[100];

    for (size_t i = 0; i < count; i++) {
        peer_get(p, "/");
        m[i] = accepted(p);
    }
    for (size_t i = 0; i < count; i++) {
        answer(m[i], "HTTP/1.1 204 No Content\r\n\r\n");
        stream_close(m[i]->bytes);
    }
    peer_run(p);
}

static void memory_of_streams_is_kept_for_the_next_ones(void **state)
{
    struct peer *p = *state;

    finish_requests(p, 100);
    size_t kept = p->settings.blocks_kept, held = p->pool.held;
    assert_true(kept <= 512 << 10);
    if (REUSE)
        assert_true(kept > 0);
    finish_requests(p, 50);
    assert_int_equal(p->settings.blocks_kept, kept);
    assert_int_equal(p->pool.held, held);
    h2_settings_trim(&p->settings);
    assert_int_equal(p->settings.blocks_kept, 0);
    for (size_t i = 0; i < H2_BLOCK_CLASSES; i++)
        assert_null(p->settings.blocks[i]);
    finish_requests(p, 1);
}

static void full_free_lists_take_no_more_memory(void **state)
{
    struct peer *p = *state;
    const size_t full = 512 << 10;

    p->settings.blocks_kept += full;
    finish_requests(p, 20);
    assert_true(p->settings.blocks_kept <= full);
    h2_settings_trim(&p->settings);
}

static void more_streams_than_allowed_are_refused(void **state)
{
    struct peer *p = *state;
    const char *const fields[] = { ":method", "POST",       ":scheme",  "http", ":path",
                                   "/",       ":authority", "web.shop", NULL };
    struct message_stream *all[100];

    for (int i = 0; i < 100; i++) {
        peer_request(p, fields, 0, true);
        all[i] = accepted(p);
    }
    uint8_t one_more[] = { 0,    0,    8,    1,    5, 0,   0,   1,  1,
                           0x82, 0x86, 0x84, 0x41, 3, 'a', '.', 'b' };
    peer_send(p, one_more, sizeof(one_more));
    peer_run(p);
    assert_null(h2_accept(p->c));
    for (int i = 0; i < 100; i++)
        stream_abort(all[i]->bytes);
}

static void settings_that_are_not_acknowledged_end_the_connection(void **state)
{
    (void)state;
    static struct peer other;

    peer_start(&other, true);
    peer_send(&other, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    other.now += 9000;
    sched_run(&other.sched, other.now);
    assert_false(h2_is_over(other.c));
    other.now += 1100;
    sched_run(&other.sched, other.now);
    assert_true(h2_is_over(other.c));
    assert_string_equal(h2_problem(other.c), "SETTINGS were not acknowledged in time");
    peer_finish(&other);
}

/* What RFC 9113 forbids ends the stream or the connection, and reaches no user. */
static void forbidden_requests_reach_no_user(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value;
    } cases[] = {
        { "connection", "close" },
        { "transfer-encoding", "chunked" },
        { "upgrade", "websocket" },
        { "keep-alive", "5" },
        { "proxy-connection", "x" },
        { "te", "gzip" },
        { "X-Upper", "1" },
        { "a b", "1" },
        { "x", "a\nb: c" },
        { "x", "a\rb" },
        { ":path", "/second" },
        { ":unknown", "1" },
        { "content-length", "5" },
        { ":method", "GET\r\nX: y" },
        { "", "empty" },
        { "content-length", "-1" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct peer other;
        const char *const fields[] = { ":method",      "GET",      ":scheme",
                                       "http",         ":path",    "/",
                                       ":authority",   "web.shop", cases[i].name,
                                       cases[i].value, NULL };
        peer_start(&other, true);
        peer_request(&other, fields, 0, false);
        peer_run(&other);
        struct message_stream *m = h2_accept(other.c);
        if (m)
            fail_msg("%s: %s was accepted", cases[i].name, cases[i].value);
        peer_finish(&other);
    }
}

static void forbidden_frames_end_the_connection(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        uint8_t bytes[20];
        size_t len;
    } cases[] = {
        /* clang-format off */
        { "DATA on stream 0",            { 0, 0, 1, 0, 0, 0, 0, 0, 0, 'x' }, 10 },
        { "DATA on an idle stream",      { 0, 0, 1, 0, 0, 0, 0, 0, 9, 'x' }, 10 },
        { "HEADERS on an even stream",   { 0, 0, 1, 1, 5, 0, 0, 0, 2, 0x82 }, 10 },
        { "RST_STREAM on stream 0",      { 0, 0, 4, 3, 0, 0, 0, 0, 0, 0, 0, 0, 8 }, 13 },
        { "RST_STREAM of three bytes",   { 0, 0, 3, 3, 0, 0, 0, 0, 1, 0, 0, 0 }, 12 },
        { "SETTINGS of five bytes",      { 0, 0, 5, 4, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0 }, 14 },
        { "SETTINGS on a stream",        { 0, 0, 0, 4, 0, 0, 0, 0, 1 }, 9 },
        { "ENABLE_PUSH of 2",            { 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2 }, 15 },
        { "a window of 2^31",            { 0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x80, 0, 0, 0 }, 15 },
        { "PUSH_PROMISE of a client",    { 0, 0, 5, 5, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0x82 }, 14 },
        { "PING of seven bytes",         { 0, 0, 7, 6, 0, 0, 0, 0, 0 }, 16 },
        { "WINDOW_UPDATE of 0",          { 0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0 }, 13 },
        { "CONTINUATION without HEADERS", { 0, 0, 1, 9, 4, 0, 0, 0, 1, 0x82 }, 10 },
        { "a frame of 16385 bytes",      { 0, 0x40, 1, 0, 0, 0, 0, 0, 1 }, 9 },
        { "HPACK index 0",               { 0, 0, 1, 1, 5, 0, 0, 0, 1, 0x80 }, 10 },
        /* clang-format on */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        static struct peer other;
        peer_start(&other, true);
        peer_received(&other);
        peer_send(&other, cases[i].bytes, cases[i].len);
        if (!strstr(peer_received(&other), "goaway") || !h2_is_over(other.c))
            fail_msg("%s: heard \"%s\"", cases[i].what, other.log);
        peer_finish(&other);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_request_reads_as_one_of_http1),
        T(a_request_without_body_has_none),
        T(a_post_without_body_has_a_length_of_0),
        T(bytes_follow_the_answer_to_a_connect),
        T(an_answer_with_body_and_trailers_arrives),
        T(an_interim_answer_comes_before_the_final_one),
        T(a_body_that_is_not_taken_stops_its_sender_alone),
        T(a_client_that_takes_nothing_makes_its_stream_stuck),
        T(resets_are_passed_on_both_ways),
        T(a_client_may_end_a_request_that_was_answered),
        T(the_rest_of_an_answered_request_is_refused_without_error),
        T(a_response_without_a_body_may_be_closed_before_it_was_sent),
        T(an_extended_connect_is_an_upgrade),
        T(a_head_that_is_too_large_is_reported_to_the_user),
        T(a_page_of_our_own_is_a_whole_answer),
        T(a_ping_is_answered),
        T(a_drain_lets_streams_end_and_begins_no_other),
        T(streams_end_with_their_connection),
        T(a_flood_of_resets_ends_the_connection),
        T(a_flood_of_provoked_resets_ends_the_connection),
        T(provoked_resets_at_a_low_rate_are_permitted),
        T(a_flood_of_settings_ends_the_connection),
        T(a_flood_of_pings_ends_the_connection),
        T(endless_continuations_end_the_connection),
        T(a_header_bomb_costs_no_more_than_a_head),
        T(memory_of_streams_is_kept_for_the_next_ones),
        T(full_free_lists_take_no_more_memory),
        T(more_streams_than_allowed_are_refused),
        cmocka_unit_test(settings_that_are_not_acknowledged_end_the_connection),
        cmocka_unit_test(forbidden_requests_reach_no_user),
        cmocka_unit_test(forbidden_frames_end_the_connection),
    };
    return cmocka_run_group_tests_name("http/h2_server", tests, NULL, NULL);
}
