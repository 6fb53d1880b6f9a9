/* tests/session/pressure_test.c - which client is refused or reset when memory runs
 * short */
#include "stage.h"

#include <stdio.h>

#define HOST "Host: web.shop.svc\r\n"
#define GET "GET / HTTP/1.1\r\n" HOST "\r\n"
#define LARGE                                                                            \
    ((size_t)4 << 20) /* much larger than the buffers of the test's own streams */
#define EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/* Clients of other machines. */
static const struct arrival remote[] = {
    { "10.0.0.0:1" }, { "10.0.0.1:1" }, { "10.0.0.2:1" },
    { "10.0.0.3:1" }, { "10.0.0.4:1" },
};

/* Of this machine, whatever their addresses. */
static const struct arrival users[] = {
    { "127.0.0.1:1", { PEER_LOCAL, 1000 } },
    { "127.0.0.2:1", { PEER_LOCAL, 1000 } },
    { "127.0.0.1:1", { PEER_LOCAL, 1001 } },
};

/* A head of about this size, without its end. */
static struct stream *half_a_head(struct stage *st, const struct arrival *from,
                                  size_t size)
{
    struct stream *client = stage_client_from(st, from);
    char field[101];

    memset(field, 'x', sizeof(field));
    memcpy(field, "X: ", 3);
    memcpy(field + sizeof(field) - 3, "\r\n", 3);
    stage_write(st, client, "GET / HTTP/1.1\r\n" HOST);
    for (size_t at = 0; at + 100 < size; at += 100)
        stage_write(st, client, field);
    return client;
}

static const char *status_of(struct stage *st, struct stream *client)
{
    const char *text = stage_received(st, client);
    return strlen(text) > 9 ? text + 9 : text;
}

static bool is_answered(struct stage *st, struct stream *client, const char *status)
{
    return strncmp(status_of(st, client), status, 3) == 0;
}

static void largest_unfinished_head_is_refused_first(void **state)
{
    struct stage *st = *state;
    serve_limit_memory(stage_serve(st), 256 * 1024);
    struct stream *small = half_a_head(st, &remote[1], 3000);
    struct stream *first = half_a_head(st, &remote[2], 60000);
    struct stream *second = half_a_head(st, &remote[3], 60000);

    assert_string_equal(stage_received(st, first), "");
    struct stream *third = half_a_head(st, &remote[4], 60000);
    assert_true(is_answered(st, first, "431"));
    assert_int_equal(first->end.verdict, V_CLEAN);
    assert_string_equal(stage_received(st, second), "");
    assert_string_equal(stage_received(st, third), "");
    stage_write(st, small, "\r\n");
    assert_int_equal(st->lease_count, 1);
    stage_write(st, pod(st, 0), EMPTY);
    assert_received(st, small, EMPTY);
}

/* The heads of 32 KiB of one client take more than half of the memory together: one of them is
 * refused, and not the larger head of another client. */
static void check_half(struct stage *st, const struct arrival *first,
                       const struct arrival *second, const struct arrival *other)
{
    struct stream *many[23], *one;

    serve_limit_memory(stage_serve(st), 1024 * 1024);
    for (size_t i = 0; i < 23; i++)
        many[i] = half_a_head(st, i % 2 ? second : first, 30000);
    one = half_a_head(st, other, 60000);
    assert_true(is_answered(st, many[0], "431"));
    assert_string_equal(stage_received(st, one), "");
    assert_string_equal(stage_received(st, many[1]), "");
}

static void address_with_more_than_half_is_closed_first(void **state)
{
    check_half(*state, &remote[1], &remote[1], &remote[2]);
}

static void user_with_more_than_half_is_closed_first(void **state)
{
    check_half(*state, &users[0], &users[1], &users[2]);
}

static void new_requests_are_refused_past_the_limit_and_own_pages_are_not(void **state)
{
    struct stage *st = *state;
    struct serve *serve = stage_serve(st);
    serve_limit_memory(serve, 256 * 1024);
    struct stream *asks = stage_client(st);

    chunk_pool_hold(&st->pool, 256 * 1024);
    stage_write(st, asks, GET);
    assert_true(is_answered(st, asks, "503"));
    assert_int_equal(st->lease_count, 0);
    stage_write(st, asks = stage_client(st),
                "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(is_answered(st, asks, "200"));
    chunk_pool_release(&st->pool, 256 * 1024);
    stage_write(st, stage_client(st), GET);
    assert_int_equal(st->lease_count, 1);
}

/* A client does not read its response, and may be reset after a second without
 * progress. */
static void connection_without_progress_is_reset_past_the_limit(void **state)
{
    struct stage *st = *state;
    char body[20000];
    serve_limit_memory(stage_serve(st), LARGE);
    struct stream *slow = stage_client_from(st, &remote[1]);
    struct stream *fast = stage_client_from(st, &remote[2]);

    memset(body, 'x', sizeof(body));
    slow->paused = true;
    for (size_t i = 0; i < 2; i++) {
        stage_write(st, i ? fast : slow, GET);
        stage_write(st, pod(st, i), "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
        stage_write_bytes(st, pod(st, i), body, sizeof(body));
    }
    size_t rest = LARGE + 100000 - st->pool.held;
    chunk_pool_hold(&st->pool, rest);
    stage_pass(st, 999);
    stage_received(st, fast);
    stage_write_bytes(st, pod(st, 1), body, sizeof(body));
    assert_int_equal(slow->end.verdict, V_OPEN);
    stage_pass(st, 1200);
    assert_int_equal(slow->end.verdict, V_RESET);
    assert_int_equal(fast->end.verdict, V_OPEN);
    chunk_pool_release(&st->pool, rest);
}

/* A client that stops reading in the middle of a response on lease i. */
static struct stream *open_unread(struct stage *st, size_t i)
{
    struct stream_pair pair = mem_stream_pair(&st->sched, &st->pool, st->limit);
    char body[20000];

    memset(body, 'x', sizeof(body));
    st->clients[st->client_count++] = pair.b;
    serve_accept(stage_serve(st), pair.a, &remote[i]);
    stage_write(st, pair.b, GET);
    pair.b->paused = pair.a->stuck = true;
    stage_write(st, pod(st, i), "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n");
    stage_write_bytes(st, pod(st, i), body, sizeof(body));
    return pair.b;
}

static void unread_answer_of_the_full_pod_is_reset_after_1s(void **state)
{
    struct stage *st = *state;
    struct stream *longest = open_unread(st, 0);
    stage_pass(st, 500);
    struct stream *other = open_unread(st, 1);

    stage_pass(st, 998);
    assert_false(serve_free_tunnel(stage_serve(st), "uid-1"));
    stage_pass(st, 2);
    assert_false(serve_free_tunnel(stage_serve(st), "uid-2"));
    assert_true(serve_free_tunnel(stage_serve(st), "uid-1"));
    stage_run(st);
    assert_int_equal(other->end.verdict, V_RESET);
    assert_int_equal(longest->end.verdict, V_OPEN);
    assert_true(st->leases[1].returned);
    assert_false(serve_free_tunnel(stage_serve(st), "uid-1"));
}

/* Copies for retries are dropped first: the request is sent without a copy. */
static void nothing_is_kept_for_a_retry_while_memory_is_tight(void **state)
{
    struct stage *st = *state;
    serve_limit_memory(stage_serve(st), 1024 * 1024);
    chunk_pool_hold(&st->pool, 800 * 1024);
    struct stream *client = stage_client(st);

    stage_write(st, client, "PUT / HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    pod_ends(st, 0, V_RESET, NULL);
    assert_true(is_answered(st, client, "502"));
    assert_int_equal(st->lease_count, 1);
    chunk_pool_release(&st->pool, 800 * 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(largest_unfinished_head_is_refused_first),
        TEST(address_with_more_than_half_is_closed_first),
        TEST(user_with_more_than_half_is_closed_first),
        TEST(new_requests_are_refused_past_the_limit_and_own_pages_are_not),
        TEST(connection_without_progress_is_reset_past_the_limit),
        TEST(unread_answer_of_the_full_pod_is_reset_after_1s),
        TEST(nothing_is_kept_for_a_retry_while_memory_is_tight),
    };
    return cmocka_run_group_tests_name("session/pressure", tests, NULL, NULL);
}
