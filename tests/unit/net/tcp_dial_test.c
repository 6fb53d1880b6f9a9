/* tests/unit/net/tcp_dial_test.c - connecting to an address, against plain sockets */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"
#include "net/tcp_dial.h"

static struct loop *loop;
static struct tcp_dial dial;
static struct task wake;
static unsigned wakes;

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    dial = (struct tcp_dial){ 0 };
    wakes = 0;
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tcp_dial_finish(&dial);
    tcp_dial_finish(&dial);
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}

static int listening(struct sockaddr_storage *ret, int backlog)
{
    struct sockaddr_in *sa = (void *)ret;
    socklen_t len = sizeof(*sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *ret = (struct sockaddr_storage){ 0 };
    sa->sin_family = AF_INET;
    sa->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)sa, len), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
    return fd;
}

static void run_until_known(void)
{
    for (int i = 0; i < 100 && dial.result == ERR_AGAIN; i++)
        loop_run_once(loop, 50);
}

static void connects_and_carries_bytes(void **state)
{
    (void)state;
    struct sockaddr_storage to;
    int fd = listening(&to, 8);
    char received[8] = "";

    tcp_dial_start(&dial, loop, &to, 1000, &wake);
    run_until_known();
    assert_int_equal(dial.result, OK);
    assert_int_equal(dial.stream->end.verdict, V_OPEN);
    assert_true(stream_has_half_close(dial.stream));
    struct stream *s = TAKE(dial.stream);
    int peer = accept(fd, NULL, NULL);
    assert_true(bufq_put(&s->out, "hello", 5));
    stream_update(s);
    loop_run_once(loop, 50);
    assert_int_equal(read(peer, received, sizeof(received)), 5);
    assert_string_equal(received, "hello");
    stream_close(s);
    close(peer);
    close(fd);
}

static void refusal_is_a_stream_that_ended_with_it(void **state)
{
    (void)state;
    struct sockaddr_storage to;

    close(listening(&to, 8));
    tcp_dial_start(&dial, loop, &to, 1000, &wake);
    run_until_known();
    assert_int_equal(dial.result, OK);
    assert_int_equal(dial.stream->end.verdict, V_REFUSED);
    assert_true(dial.stream->broken);
    assert_non_null(strstr(dial.stream->end.why.text, "refused"));
    for (int i = 0; i < 5; i++) /* its socket is not polled any more */
        loop_run_once(loop, 10);
}

/* A full backlog drops the first packet of further connections. */
static void silence_is_a_failure_at_the_deadline(void **state)
{
    (void)state;
    struct sockaddr_storage to;
    int fd = listening(&to, 0), filling[4];

    for (size_t i = 0; i < ARRAY_LEN(filling); i++) {
        filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(filling[i], (struct sockaddr *)&to, sizeof(struct sockaddr_in));
    }
    uint64_t began = loop_sched(loop)->now;
    tcp_dial_start(&dial, loop, &to, 200, &wake);
    run_until_known();
    assert_int_equal(dial.result, ERR_CONNECT);
    assert_null(dial.stream);
    assert_non_null(strstr(dial.why.text, "no answer"));
    assert_in_range(loop_sched(loop)->now - began, 190, 1000);
    assert_int_equal(wakes, 1);
    for (size_t i = 0; i < ARRAY_LEN(filling); i++)
        close(filling[i]);
    close(fd);
}

static void address_without_a_route_fails(void **state)
{
    (void)state;
    struct sockaddr_storage to = { .ss_family = AF_INET };
    struct sockaddr_in *sa = (void *)&to;

    sa->sin_addr.s_addr = htonl(INADDR_BROADCAST);
    sa->sin_port = htons(80);
    tcp_dial_start(&dial, loop, &to, 1000, &wake);
    run_until_known();
    assert_int_equal(dial.result, ERR_CONNECT);
}

static void may_be_given_up_under_way(void **state)
{
    (void)state;
    struct sockaddr_storage to;
    int fd = listening(&to, 8);

    tcp_dial_start(&dial, loop, &to, 1000, &wake);
    tcp_dial_finish(&dial);
    for (int i = 0; i < 5; i++)
        loop_run_once(loop, 10);
    assert_int_equal(wakes, 0);
    close(fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connects_and_carries_bytes),
        TEST(refusal_is_a_stream_that_ended_with_it),
        TEST(silence_is_a_failure_at_the_deadline),
        TEST(address_without_a_route_fails),
        TEST(may_be_given_up_under_way),
    };
    return cmocka_run_group_tests_name("net/tcp_dial", tests, NULL, NULL);
}
