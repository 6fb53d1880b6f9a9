/* tests/unit/net/changes_test.c - a new address is noticed, in a network namespace of the
 * test */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"
#include "net/changes.h"

struct received {
    struct task task;
    bool any;
};

static void on_change(struct task *t)
{
    container_of(t, struct received, task)->any = true;
}

static void give_loopback_an_address(const char *address)
{
    struct ifreq request = { .ifr_name = "lo" };
    struct sockaddr_in *at = (struct sockaddr_in *)(void *)&request.ifr_addr;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    at->sin_family = AF_INET;
    inet_pton(AF_INET, address, &at->sin_addr);
    assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
    close(fd);
}

static void notices_a_new_address(void **state)
{
    (void)state;
    if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
        skip(); /* neither root nor user namespaces */
    struct loop *loop = loop_create();
    struct received received = { 0 };

    task_init(&received.task, loop_sched(loop), RANK_WORK, on_change);
    struct changes *changes = changes_open(loop, &received.task);
    loop_run_once(loop, 20);
    assert_false(received.any);

    give_loopback_an_address("127.0.0.2");
    for (int i = 0; i < 100 && !received.any; i++)
        loop_run_once(loop, 50);
    assert_true(received.any);
    changes_close(changes);
    task_cancel(&received.task);
    loop_destroy(loop);
}

static void an_unchanged_address_is_not_reported(void **state)
{
    (void)state;
    struct loop *loop = loop_create();
    struct received received = { 0 };

    task_init(&received.task, loop_sched(loop), RANK_WORK, on_change);
    struct changes *changes = changes_open(loop, &received.task);
    for (int i = 0; i < 5; i++)
        loop_run_once(loop, 10);
    assert_false(received.any);
    changes_close(changes);
    task_cancel(&received.task);
    loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unchanged_address_is_not_reported),
        cmocka_unit_test(notices_a_new_address),
    };
    return cmocka_run_group_tests_name("net/changes", tests, NULL, NULL);
}
