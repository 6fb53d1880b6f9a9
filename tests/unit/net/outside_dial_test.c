/* tests/unit/net/outside_dial_test.c - resolving, checking and connecting, on loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/own.h"
#include "net/name_lookup.h"
#include "net/outside_address.h"
#include "net/outside_dial.h"

static struct outside_dialer dialer;
static struct outside_dial dial;
static struct task wake;
static unsigned wakes;
static struct sockaddr_storage checked[NAME_LOOKUP_MAX];
static size_t checked_count;

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

/* Loopback is what these tests connect to. */
static enum err allow(const struct sockaddr *sa, struct own_addresses *own,
                      struct diag *why)
{
    (void)own;
    (void)why;
    checked[checked_count++] = address_plain(sa);
    return OK;
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LEVEL_ERROR);
    dialer = (struct outside_dialer){ .loop = loop_create(), .check = allow };
    dialer.own = own_addresses_create(loop_sched(dialer.loop));
    dialer.lookups = name_lookups_create(4);
    dial = (struct outside_dial){ 0 };
    wakes = 0;
    checked_count = 0;
    task_init(&wake, loop_sched(dialer.loop), RANK_WORK, on_wake);
    return 0;
}

static int end(void **state)
{
    (void)state;
    outside_dial_finish(&dial);
    outside_dial_finish(&dial);
    task_cancel(&wake);
    name_lookups_destroy(dialer.lookups);
    own_addresses_destroy(dialer.own);
    loop_destroy(dialer.loop);
    return 0;
}

/* -1: this machine has no such address. */
static int listening(int family, uint16_t *port, int backlog)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(*port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(*port) };
    struct sockaddr_storage at = { 0 };
    socklen_t len = family == AF_INET ? sizeof(v4) : sizeof(v6);

    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    memcpy(&at, family == AF_INET ? (void *)&v4 : (void *)&v6, len);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&at, len) || listen(fd, backlog)) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = address_port((struct sockaddr *)&at);
    return fd;
}

static void dial_to(const char *host, uint16_t port, uint64_t ms)
{
    outside_dial_start(&dial, &dialer, host, port, ms, &wake);
    for (int i = 0; i < 400 && dial.result == ERR_AGAIN; i++)
        loop_run_once(dialer.loop, 25);
}

static void an_address_is_connected_to_without_a_lookup(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listening(AF_INET, &port, 8);

    dial_to("127.0.0.1", port, 1000);
    assert_int_equal(dial.result, OK);
    assert_int_equal(dial.stream->end.verdict, V_OPEN);
    assert_int_equal(checked_count, 1);
    close(fd);
}

static void a_name_is_resolved_and_each_address_is_checked(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listening(AF_INET, &port, 8);

    dial_to("localhost", port, 3000);
    assert_int_equal(dial.result, OK);
    assert_non_null(dial.stream);
    assert_int_equal(wakes, 1);
    assert_true(checked_count >= 1);
    assert_int_equal(checked[checked_count - 1].ss_family, AF_INET);
    close(fd);
}

static void addresses_that_are_not_allowed_are_not_connected_to(void **state)
{
    (void)state;
    uint16_t port = 0;
    int fd = listening(AF_INET, &port, 8);
    static const char *const hosts[] = { "127.0.0.1",       "::ffff:127.0.0.1",
                                         "64:ff9b::7f00:1", "localhost",
                                         "127.1",           "2130706433" };

    dialer.check = outside_address_check;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        dial_to(hosts[i], port, 3000);
        if (dial.result != ERR_CLOSED || !strstr(dial.why.text, "loopback"))
            fail_msg("%s: %d %s", hosts[i], dial.result, dial.why.text);
        assert_null(dial.stream);
        outside_dial_finish(&dial);
    }
    assert_int_equal(poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 0), 0);
    close(fd);
}

static void refused_connections_are_reported_with_the_address(void **state)
{
    (void)state;
    uint16_t port = 0;

    close(listening(AF_INET, &port, 8));
    dial_to("127.0.0.1", port, 1000);
    assert_int_equal(dial.result, ERR_REFUSED);
    assert_non_null(strstr(dial.why.text, "127.0.0.1"));
}

static void a_name_without_an_address_is_not_resolved(void **state)
{
    (void)state;
    dial_to("no name", 80, 10000);
    assert_int_equal(dial.result, ERR_RESOLVE);
    assert_non_null(strstr(dial.why.text, "no name: "));
}

/* A full backlog drops the first packet of further connections. */
static int silent(int family, uint16_t *port, int filling[4])
{
    int fd = listening(family, port, 0);
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);

    if (fd < 0)
        return fd;
    getsockname(fd, (struct sockaddr *)&at, &len);
    for (size_t i = 0; i < 4; i++) {
        filling[i] = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(filling[i], (struct sockaddr *)&at, len);
    }
    return fd;
}

static void close_all(int fd, int filling[4])
{
    close(fd);
    for (size_t i = 0; i < 4; i++)
        close(filling[i]);
}

static void silence_ends_at_the_deadline(void **state)
{
    (void)state;
    uint16_t port = 0;
    int filling[4], fd = silent(AF_INET, &port, filling);
    uint64_t began = loop_sched(dialer.loop)->now;

    dial_to("127.0.0.1", port, 300);
    assert_true(dial.result == ERR_TIMEOUT || dial.result == ERR_CONNECT);
    assert_in_range(loop_sched(dialer.loop)->now - began, 290, 1500);
    close_all(fd, filling);
}

static void cancelling_leaves_nothing_behind(void **state)
{
    (void)state;
    outside_dial_start(&dial, &dialer, "localhost", 9, 1000, &wake);
    outside_dial_finish(&dial);
    loop_run_once(dialer.loop, 30);
    assert_int_equal(wakes, 0);
}

static void lookups_are_limited(void **state)
{
    (void)state;
    struct name_lookups *none = name_lookups_create(0);
    struct name_lookups *some = dialer.lookups;

    dialer.lookups = none;
    dial_to("localhost", 80, 1000);
    assert_int_equal(dial.result, ERR_LIMIT);
    assert_int_equal(wakes, 0);
    dialer.lookups = some;
    name_lookups_destroy(none);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_connected_to_without_a_lookup),
        TEST(a_name_is_resolved_and_each_address_is_checked),
        TEST(addresses_that_are_not_allowed_are_not_connected_to),
        TEST(refused_connections_are_reported_with_the_address),
        TEST(a_name_without_an_address_is_not_resolved),
        TEST(silence_ends_at_the_deadline),
        TEST(cancelling_leaves_nothing_behind),
        TEST(lookups_are_limited),
    };
    return cmocka_run_group_tests_name("net/outside_dial", tests, NULL, NULL);
}
