/* tests/unit/net/peer_user_test.c - which user is at the other end, by the kernel's answers */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "net/loop_uv.h"
#include "net/peer.h"
#include "net/sock_diag.h"

/* A connection over loopback, and a fake of the kernel's answers. */
struct scene {
    struct loop *loop;
    int client, server, kernel;
    struct sockaddr_in client_address, server_address;
};

static int listen_on_loopback(struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = (struct sockaddr_in){ .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)at, &len);
    return fd;
}

static void accept_client(struct scene *s, int listening)
{
    socklen_t len = sizeof(s->client_address);
    s->server = accept(listening, (struct sockaddr *)&s->client_address, &len);
    assert_true(s->server >= 0);
    close(listening);
}

static int setup(void **state)
{
    struct scene *s = xcalloc(1, sizeof(*s));
    int listening = listen_on_loopback(&s->server_address);

    s->loop = loop_create();
    s->kernel = -1;
    s->client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(s->client, (struct sockaddr *)&s->server_address,
                             sizeof(s->server_address)),
                     0);
    accept_client(s, listening);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    struct scene *s = *state;

    close(s->client);
    close(s->server);
    if (s->kernel >= 0)
        close(s->kernel);
    loop_destroy(s->loop);
    free(s);
    return 0;
}

/* Queries go to a socket of the test, which writes the answers beforehand. */
static void replace_kernel(struct scene *s)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, ends), 0);
    loop_sock_diag(s->loop)->fd = ends[0];
    s->kernel = ends[1];
}

struct found {
    struct nlmsghdr head;
    struct inet_diag_msg body;
};

static struct found found_socket(const struct scene *s, uint32_t sequence)
{
    return (struct found){
        .head = { .nlmsg_len = sizeof(struct found),
                  .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                  .nlmsg_seq = sequence },
        .body = { .idiag_family = AF_INET,
                  .idiag_state = TCP_ESTABLISHED,
                  .id = { .idiag_sport = s->client_address.sin_port,
                          .idiag_dport = s->server_address.sin_port },
                  .idiag_uid = 1001,
                  .idiag_inode = 77 },
    };
}

static void answer(const struct scene *s, const void *bytes, size_t len)
{
    assert_int_equal(send(s->kernel, bytes, len, 0), len);
}

static void answer_error(const struct scene *s, uint32_t sequence, int error)
{
    struct {
        struct nlmsghdr head;
        struct nlmsgerr body;
    } message = {
        .head = { .nlmsg_len = sizeof(message),
                  .nlmsg_type = NLMSG_ERROR,
                  .nlmsg_seq = sequence },
        .body = { .error = error },
    };
    answer(s, &message, sizeof(message));
}

static struct peer identify(const struct scene *s)
{
    return peer_identify(s->loop, s->server, (const struct sockaddr *)&s->client_address);
}

static void the_kernel_names_the_user_of_a_loopback_peer(void **state)
{
    struct peer peer = identify(*state);

    assert_int_equal(peer.kind, PEER_LOCAL);
    assert_int_equal(peer.uid, getuid());
}

static void one_netlink_socket_serves_all_queries(void **state)
{
    const struct scene *s = *state;

    identify(s);
    int fd = loop_sock_diag(s->loop)->fd;
    identify(s);
    assert_true(fd >= 0);
    assert_int_equal(loop_sock_diag(s->loop)->fd, fd);
}

static void the_user_of_a_found_socket_is_returned(void **state)
{
    struct scene *s = *state;
    struct found found = found_socket(s, 1);

    replace_kernel(s);
    answer(s, &found, sizeof(found));
    struct peer peer = identify(s);
    assert_int_equal(peer.kind, PEER_LOCAL);
    assert_int_equal(peer.uid, 1001);
}

/* Older kernels return uid 0, root's, for a socket that no process has open. */
static void a_socket_with_inode_0_has_no_user(void **state)
{
    struct scene *s = *state;
    struct found found = found_socket(s, 1);

    replace_kernel(s);
    found.body.idiag_uid = found.body.idiag_inode = 0;
    answer(s, &found, sizeof(found));
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
}

static void a_user_of_another_namespace_is_unknown(void **state)
{
    struct scene *s = *state;
    struct found found = found_socket(s, 1);

    replace_kernel(s);
    found.body.idiag_uid = 65534;
    answer(s, &found, sizeof(found));
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
}

static void a_peer_that_is_not_found_is_unknown(void **state)
{
    struct scene *s = *state;

    replace_kernel(s);
    answer_error(s, 1, -ENOENT);
    answer_error(s, 2, -ENOENT);
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
}

static void a_peer_that_may_not_be_looked_up_is_unknown(void **state)
{
    struct scene *s = *state;

    replace_kernel(s);
    answer_error(s, 1, -EPERM);
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
}

static void without_an_answer_of_the_kernel_the_peer_is_unknown(void **state)
{
    struct scene *s = *state;

    replace_kernel(s);
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
}

/* A server of another user on the client's former port, and a socket that is still
 * connecting. */
static void a_socket_that_is_not_connected_is_not_the_peer(void **state)
{
    struct scene *s = *state;
    static const uint8_t states[] = { TCP_LISTEN, TCP_SYN_SENT };

    replace_kernel(s);
    for (size_t i = 0; i < ARRAY_LEN(states); i++) {
        struct found found = found_socket(s, (uint32_t)(2 * i + 1));
        found.body.idiag_state = states[i];
        answer(s, &found, sizeof(found));
        answer_error(s, (uint32_t)(2 * i + 2), -ENOENT);
        assert_int_equal(identify(s).kind, PEER_UNKNOWN);
    }
}

static void the_answer_to_another_query_is_skipped(void **state)
{
    struct scene *s = *state;
    struct found stale = found_socket(s, 0), found = found_socket(s, 1);

    replace_kernel(s);
    stale.body.idiag_uid = 4;
    answer(s, &stale, sizeof(stale));
    answer(s, &found, sizeof(found));
    assert_int_equal(identify(s).uid, 1001);
}

static void answers_that_are_cut_leave_the_peer_unknown(void **state)
{
    struct scene *s = *state;
    struct found found = found_socket(s, 0);

    replace_kernel(s);
    for (size_t len = 1; len < sizeof(found); len++) {
        found.head.nlmsg_seq = loop_sock_diag(s->loop)->sequence + 1;
        answer(s, &found, len);
        assert_int_equal(identify(s).kind, PEER_UNKNOWN);
    }
}

static enum err query_scene(struct scene *s)
{
    struct sock_facts facts;
    struct sock_ends ends = { 0 };

    memcpy(&ends.near, &s->server_address, sizeof(s->server_address));
    memcpy(&ends.far, &s->client_address, sizeof(s->client_address));
    return sock_diag_query(loop_sock_diag(s->loop), &ends, &facts);
}

/* Without tcp_diag the kernel returns ENOENT for every connection. */
static void not_found_counts_only_where_the_near_end_is_found(void **state)
{
    struct scene *s = *state;
    struct found near = found_socket(s, 2);

    replace_kernel(s);
    near.body.id.idiag_sport = s->server_address.sin_port;
    near.body.id.idiag_dport = s->client_address.sin_port;
    answer_error(s, 1, -ENOENT);
    answer(s, &near, sizeof(near));
    assert_int_equal(query_scene(s), ERR_NOT_FOUND);
    answer_error(s, 3, -ENOENT);
    answer_error(s, 4, -ENOENT);
    assert_int_equal(query_scene(s), ERR_IO);
}

static void a_peer_that_is_gone_is_unknown(void **state)
{
    struct scene *s = *state;

    close(s->client);
    assert_int_equal(identify(s).kind, PEER_UNKNOWN);
    s->client = dup(0);
}

static void a_mapped_address_is_loopback(void **state)
{
    struct scene *s = *state;
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = in6addr_any }, peer;
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(at), peer_len = sizeof(peer);
    int listening = socket(AF_INET6, SOCK_STREAM, 0), off = 0;

    setsockopt(listening, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(listening, (struct sockaddr *)&at, sizeof(at)))
        skip(); /* no IPv6 */
    listen(listening, 1);
    getsockname(listening, (struct sockaddr *)&at, &len);
    to.sin_port = at.sin6_port;
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
    int server = accept(listening, (struct sockaddr *)&peer, &peer_len);

    struct peer found = peer_identify(s->loop, server, (struct sockaddr *)&peer);
    assert_int_equal(found.kind, PEER_LOCAL);
    assert_int_equal(found.uid, getuid());
    close(client);
    close(server);
    close(listening);
}

static void the_peer_of_a_unix_socket_has_a_user(void **state)
{
    const struct scene *s = *state;
    struct sockaddr none = { .sa_family = AF_UNIX };
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct peer peer = peer_identify(s->loop, ends[0], &none);
    assert_int_equal(peer.kind, PEER_LOCAL);
    assert_int_equal(peer.uid, getuid());
    close(ends[0]);
    close(ends[1]);
}

/* Connects, reports that, and lives until its input ends. */
static void be_another_user(const struct sockaddr_in *to, int hold)
{
    char c;
    int fd = -1;

    if (setuid(12345) == 0)
        fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (const struct sockaddr *)to, sizeof(*to)) == 0)
        while (read(hold, &c, 1) > 0)
            ;
    _exit(0);
}

static void another_user_is_distinguished_from_ours(void **state)
{
    struct scene *s = *state;
    int hold[2], listening;

    if (getuid() != 0)
        skip();
    close(s->server);
    listening = listen_on_loopback(&s->server_address);
    assert_int_equal(pipe2(hold, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(hold[1]);
        be_another_user(&s->server_address, hold[0]);
    }
    close(hold[0]);
    accept_client(s, listening);
    struct peer peer = identify(s);
    close(hold[1]);
    waitpid(pid, NULL, 0);
    assert_int_equal(peer.kind, PEER_LOCAL);
    assert_int_equal(peer.uid, 12345);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_kernel_names_the_user_of_a_loopback_peer),
        TEST(one_netlink_socket_serves_all_queries),
        TEST(the_user_of_a_found_socket_is_returned),
        TEST(a_socket_with_inode_0_has_no_user),
        TEST(a_user_of_another_namespace_is_unknown),
        TEST(a_peer_that_is_not_found_is_unknown),
        TEST(a_peer_that_may_not_be_looked_up_is_unknown),
        TEST(without_an_answer_of_the_kernel_the_peer_is_unknown),
        TEST(a_socket_that_is_not_connected_is_not_the_peer),
        TEST(the_answer_to_another_query_is_skipped),
        TEST(answers_that_are_cut_leave_the_peer_unknown),
        TEST(not_found_counts_only_where_the_near_end_is_found),
        TEST(a_peer_that_is_gone_is_unknown),
        TEST(a_mapped_address_is_loopback),
        TEST(the_peer_of_a_unix_socket_has_a_user),
        TEST(another_user_is_distinguished_from_ours),
    };
    return cmocka_run_group_tests_name("net/peer_user", tests, NULL, NULL);
}
