/* tests/unit/net/peer_test.c - distinguishes a client that only stopped sending from one
 * that is gone */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/tcp.h"

struct scene {
    struct loop *loop;
    struct stream *server;
    int client;
    struct task task;
    struct peer_watch watch;
};

static void on_wake(struct task *t)
{
    (void)t;
}

static void connect_over_loopback(struct scene *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    int listening = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listening, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(listening, 1), 0);
    getsockname(listening, (struct sockaddr *)&at, &len);
    s->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s->client, (struct sockaddr *)&at, sizeof(at)), 0);
    s->server = tcp_open(s->loop, accept(listening, NULL, NULL), 0, 0);
    s->server->wake = &s->task;
    close(listening);
}

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    s->loop = loop_create();
    task_init(&s->task, loop_sched(s->loop), RANK_WORK, on_wake);
    connect_over_loopback(s);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;
    peer_watch_stop(&s->watch);
    task_cancel(&s->task);
    stream_close(s->server);
    loop_destroy(s->loop);
    free(s);
    return 0;
}

static void run_until(struct scene *s, const bool *flag, uint64_t at_most_ms)
{
    struct sched *sched = loop_sched(s->loop);
    uint64_t end = sched->now + at_most_ms;
    while (!*flag && sched->now < end)
        loop_run_once(s->loop, 10);
}

static void a_half_closed_client_is_not_gone(void **state)
{
    struct scene *s = *state;

    shutdown(s->client, SHUT_WR);
    run_until(s, &s->server->in_eof, 5000);
    assert_true(s->server->in_eof);
    peer_watch_start(&s->watch, s->server, &s->task);
    run_until(s, &s->watch.gone, 300);
    assert_false(s->watch.gone);
    assert_false(s->server->broken);
    close(s->client);
}

static void a_client_that_closes_later_is_gone(void **state)
{
    struct scene *s = *state;

    shutdown(s->client, SHUT_WR);
    run_until(s, &s->server->in_eof, 5000);
    peer_watch_start(&s->watch, s->server, &s->task);
    assert_false(s->watch.gone);
    close(s->client);
    run_until(s, &s->watch.gone, 5000);
    assert_true(s->watch.gone);
}

static void a_client_that_closed_is_gone(void **state)
{
    struct scene *s = *state;

    close(s->client);
    run_until(s, &s->server->in_eof, 5000);
    peer_watch_start(&s->watch, s->server, &s->task);
    run_until(s, &s->watch.gone, 5000);
    assert_true(s->watch.gone);
}

static void a_descriptor_that_is_no_socket_is_never_gone(void **state)
{
    struct scene *s = *state;
    struct stream_pair pair =
        mem_stream_pair(loop_sched(s->loop), loop_pool(s->loop), 4096);

    peer_watch_start(&s->watch, pair.a, &s->task);
    assert_false(s->watch.gone);
    peer_watch_stop(&s->watch);
    stream_close(pair.a);
    stream_close(pair.b);
    close(s->client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_half_closed_client_is_not_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_that_closes_later_is_gone, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_that_closed_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_descriptor_that_is_no_socket_is_never_gone,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("net/peer", tests, NULL, NULL);
}
