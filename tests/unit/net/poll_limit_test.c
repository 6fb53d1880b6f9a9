/* tests/unit/net/poll_limit_test.c - sockets that epoll refuses
 *
 * epoll_ctl fails with ENOSPC at fs.epoll.max_user_watches, which is a limit of the user:
 * other programs may have reached it.  This program defines epoll_ctl, which libuv then
 * uses instead of libc's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "net/loop.h"
#include "net/tcp.h"

static int failure; /* errno of each EPOLL_CTL_ADD; 0: the kernel's own answer */

int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    if (op == EPOLL_CTL_ADD && failure) {
        errno = failure;
        return -1;
    }
    return (int)syscall(SYS_epoll_ctl, epfd, op, fd, event);
}

static struct loop *loop;
static struct task wake;
static unsigned wakes;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    failure = 0;
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}

static void turns(int n)
{
    while (n--)
        loop_run_once(loop, 0);
}

static void a_socket_that_cannot_be_polled_is_a_broken_stream(void **state)
{
    (void)state;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    failure = ENOSPC;
    struct stream *s = tcp_open(loop, ends[0], 0, 0);
    failure = 0;
    s->wake = &wake;
    turns(3);
    assert_true(s->broken);
    assert_true(wakes > 0);
    assert_string_equal(s->end.why.text, strerror(ENOSPC));
    stream_close(s);
    turns(3);
    assert_int_equal(read(ends[1], (char[1]){ 0 }, 1), 0);
    close(ends[1]);
}

static void an_accepted_socket_that_cannot_be_polled_is_not_read(void **state)
{
    (void)state;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(write(ends[1], "GET", 3), 3);
    failure = ENOMEM;
    struct stream *s = tcp_open_accepted(loop, ends[0]);
    failure = 0;
    s->wake = &wake;
    turns(3);
    assert_true(s->broken);
    assert_true(bufq_empty(&s->in));
    stream_abort(s);
    close(ends[1]);
}

struct guests {
    unsigned count;
};

static void on_guest(void *owner, int fd, const struct sockaddr *peer)
{
    struct guests *g = owner;
    (void)peer;
    g->count++;
    close(fd);
}

static void a_listener_that_cannot_be_polled_accepts_once_it_can(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at);
    struct guests guests = { 0 };
    int fd = -1;

    assert_int_equal(listen_socket((struct sockaddr *)&at, len, &fd, NULL), OK);
    getsockname(fd, (struct sockaddr *)&at, &len);
    failure = ENOSPC;
    struct listener *l = listener_open(loop, fd, on_guest, &guests);
    failure = 0; /* libuv itself aborts where it cannot add a watch during its poll */
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    turns(3);
    assert_int_equal(guests.count, 0);
    for (int i = 0; i < 500 && guests.count == 0; i++)
        loop_run_once(loop, 10);
    assert_int_equal(guests.count, 1);
    listener_close(l);
    close(client);
}

static void a_listener_that_was_never_polled_can_be_closed(void **state)
{
    (void)state;
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = -1;

    assert_int_equal(listen_socket((struct sockaddr *)&at, sizeof(at), &fd, NULL), OK);
    failure = ENOSPC;
    listener_close(listener_open(loop, fd, on_guest, NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_socket_that_cannot_be_polled_is_a_broken_stream),
        TEST(an_accepted_socket_that_cannot_be_polled_is_not_read),
        TEST(a_listener_that_cannot_be_polled_accepts_once_it_can),
        TEST(a_listener_that_was_never_polled_can_be_closed),
    };
    return cmocka_run_group_tests_name("net/poll_limit", tests, NULL, NULL);
}
