/* tests/unit/net/udp_test.c - datagrams in batches, from and to sockets of the kernel */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "net/udp.h"

#define LIMIT 64

struct echo {
    struct loop *loop;
    struct udp *udp;
    struct sockaddr_in address;
    size_t received, cut;
    bool closes; /* at the next datagram */
};

static void on_datagram(void *owner, const struct datagram *d)
{
    struct echo *e = owner;

    e->received++;
    e->cut += d->cut;
    if (e->closes) {
        udp_close(TAKE(e->udp));
        return;
    }
    udp_send(e->udp, d->from, d->from_len, d->at, d->len);
}

static struct echo echo_open(void)
{
    struct echo e = { .loop = loop_create(), .address = { .sin_family = AF_INET } };
    e.address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return e;
}

static void echo_start(struct echo *e)
{
    socklen_t len = sizeof(e->address);
    struct diag why;
    int fd;

    assert_int_equal(udp_socket((struct sockaddr *)&e->address, len, &fd, &why), OK);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&e->address, &len), 0);
    e->udp = udp_open(e->loop, fd, LIMIT, UDP_BATCH, on_datagram, e);
}

static int client_of(const struct echo *e)
{
    struct diag why;
    int fd;

    assert_int_equal(udp_socket_to((const struct sockaddr *)&e->address,
                                   sizeof(e->address), &fd, &why),
                     OK);
    return fd;
}

static void each_datagram_is_answered_across_batches(void **state)
{
    (void)state;
    enum { COUNT = 3 * UDP_BATCH * UDP_BATCHES };
    struct echo e = echo_open();
    char bytes[LIMIT];
    size_t answered = 0;

    echo_start(&e);
    int fd = client_of(&e);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(send(fd, &i, sizeof(i), 0), sizeof(i));
    for (int turns = 0; answered < COUNT && turns < 1000; turns++) {
        loop_run_once(e.loop, 10);
        for (unsigned got; recv(fd, bytes, sizeof(bytes), 0) > 0; answered++) {
            memcpy(&got, bytes, sizeof(got));
            assert_int_equal(got, answered);
        }
    }
    assert_int_equal(answered, COUNT);
    close(fd);
    udp_close(e.udp);
    loop_destroy(e.loop);
}

static void other_tasks_run_between_batches(void **state)
{
    (void)state;
    struct echo e = echo_open();

    echo_start(&e);
    int fd = client_of(&e);
    for (unsigned i = 0; i < 3 * UDP_BATCH * UDP_BATCHES; i++)
        assert_int_equal(send(fd, &i, sizeof(i), 0), sizeof(i));
    loop_run_once(e.loop, 1000);
    assert_in_range(e.received, 1, 2 * UDP_BATCH * UDP_BATCHES);
    close(fd);
    udp_close(e.udp);
    loop_destroy(e.loop);
}

static void a_long_datagram_is_marked_as_cut(void **state)
{
    (void)state;
    struct echo e = echo_open();
    char bytes[LIMIT + 1] = "";

    echo_start(&e);
    int fd = client_of(&e);
    assert_int_equal(send(fd, bytes, LIMIT, 0), LIMIT);
    assert_int_equal(send(fd, bytes, LIMIT + 1, 0), LIMIT + 1);
    for (int turns = 0; e.received < 2 && turns < 100; turns++)
        loop_run_once(e.loop, 10);
    assert_int_equal(e.cut, 1);
    close(fd);
    udp_close(e.udp);
    loop_destroy(e.loop);
}

static void may_be_closed_by_its_callback(void **state)
{
    (void)state;
    struct echo e = echo_open();

    echo_start(&e);
    e.closes = true;
    int fd = client_of(&e);
    for (int i = 0; i < 3; i++)
        assert_int_equal(send(fd, "a", 1, 0), 1);
    for (int turns = 0; !e.received && turns < 100; turns++)
        loop_run_once(e.loop, 10);
    assert_int_equal(e.received, 1);
    close(fd);
    loop_destroy(e.loop);
}

/* The kernel reports it with the next call on the socket. */
static void an_answer_to_a_closed_port_stops_nothing(void **state)
{
    (void)state;
    struct echo e = echo_open(), dead = echo_open();

    echo_start(&dead);
    udp_close(dead.udp);
    loop_destroy(dead.loop);
    echo_start(&e);
    struct diag why;
    int fd;
    assert_int_equal(
        udp_socket_to((struct sockaddr *)&dead.address, sizeof(dead.address), &fd, &why),
        OK);
    struct udp *u = udp_open(e.loop, fd, LIMIT, 1, on_datagram, &e);
    for (int i = 0; i < 3; i++) {
        udp_send(u, NULL, 0, (const uint8_t *)"a", 1);
        loop_run_once(e.loop, 1);
    }
    assert_int_equal(e.received, 0);
    udp_close(u);
    udp_close(e.udp);
    loop_destroy(e.loop);
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct echo e = echo_open();
    struct diag why;
    int fd;

    echo_start(&e);
    assert_int_equal(
        udp_socket((struct sockaddr *)&e.address, sizeof(e.address), &fd, &why),
        ERR_IN_USE);
    udp_close(e.udp);
    loop_destroy(e.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_datagram_is_answered_across_batches),
        cmocka_unit_test(other_tasks_run_between_batches),
        cmocka_unit_test(a_long_datagram_is_marked_as_cut),
        cmocka_unit_test(may_be_closed_by_its_callback),
        cmocka_unit_test(an_answer_to_a_closed_port_stops_nothing),
        cmocka_unit_test(a_port_in_use_is_an_error),
    };
    return cmocka_run_group_tests_name("net/udp", tests, NULL, NULL);
}
