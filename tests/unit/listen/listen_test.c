/* tests/unit/listen/listen_test.c - listeners on real sockets, with a serve/ that only
 * records
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "listen/change.h"
#include "listen/listen_sockets.h"
#include "listen/inherited.h"
#include "listen/listen.h"
#include "net/tcp.h"
#include "serve/exposed.h"
#include "serve/serve.h"

#define TURN_MS 1000

/* The last call of serve/. */
static struct {
    unsigned clients, refused;
    struct peer peer;
    char flag[64];
    char address[ADDRESS_TEXT];
    bool loopback;
    uint16_t port;
    char route[NAME_ROOM]; /* of a listener that belongs to one service port */
    uint16_t route_port;
    char port_name[PORT_NAME_ROOM];
} told;

void serve_accept(struct serve *s, struct stream *client, const struct arrival *from)
{
    (void)s;
    stream_close(client);
    told.clients++;
    snprintf(told.address, sizeof(told.address), "%s", from->address);
    told.loopback = from->loopback;
    told.port = from->port;
    told.peer = from->peer;
}

void serve_refuse_user(struct serve *s, struct stream *client, const struct arrival *from,
                       const char *flag)
{
    (void)s;
    stream_close(client);
    told.refused++;
    told.peer = from->peer;
    snprintf(told.flag, sizeof(told.flag), "%s", flag);
}

void serve_accept_raw(struct serve *s, struct stream *client, const struct arrival *from,
                      struct exposed *exposed)
{
    (void)s;
    stream_close(client);
    told.clients++;
    snprintf(told.address, sizeof(told.address), "%s", from->address);
    snprintf(told.route, sizeof(told.route), "%s", exposed->route.name.text);
    snprintf(told.port_name, sizeof(told.port_name), "%.*s",
             STR_ARG(exposed->route.name.port_name));
    told.route_port = exposed->route.port;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_in6 at = { 0 };
    socklen_t len = sizeof(at);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    return ntohs(at.sin6_port); /* sin_port is in the same place */
}

static void close_sockets(const struct listen_sockets *d)
{
    for (size_t i = 0; i < d->count; i++)
        close(d->fds[i]);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0)
        return fd;
    close(fd);
    return -1;
}

static struct listen_address parse(const char *text)
{
    struct listen_address a;
    assert_int_equal(listen_address_parse(str_of(text), &a, NULL), OK);
    return a;
}

static void a_random_port_is_the_same_on_both_loopback_addresses(void **state)
{
    (void)state;
    struct listen_address a = parse("localhost:0");
    struct listen_sockets sockets;

    assert_int_equal(listen_sockets_bind(&a, false, &sockets, NULL), OK);

    assert_in_range(sockets.count, 1, 2); /* 1: no IPv6 here */
    assert_int_not_equal(port_of(sockets.fds[0]), 0);
    if (sockets.count == 2)
        assert_int_equal(port_of(sockets.fds[0]), port_of(sockets.fds[1]));
    close_sockets(&sockets);
}

static void the_default_address_is_loopback_and_in_a_pod_any(void **state)
{
    (void)state;
    struct listen_address a = { .port = 0 };

    for (int in_pod = 0; in_pod < 2; in_pod++) {
        struct sockaddr_in at = { 0 };
        socklen_t len = sizeof(at);
        struct listen_sockets sockets;

        assert_int_equal(listen_sockets_bind(&a, in_pod, &sockets, NULL), OK);
        getsockname(sockets.fds[0], (struct sockaddr *)&at, &len);
        assert_int_equal(ntohl(at.sin_addr.s_addr),
                         in_pod ? INADDR_ANY : INADDR_LOOPBACK);
        close_sockets(&sockets);
    }
}

static void a_taken_port_names_its_holder(void **state)
{
    (void)state;
    struct listen_address a = parse("127.0.0.1:0");
    struct listen_sockets first, second;
    struct diag why;
    int ready[2], over[2];
    char byte;

    assert_int_equal(pipe(ready) | pipe(over), 0);
    assert_int_equal(listen_sockets_bind(&a, false, &first, NULL), OK);
    a.port = port_of(first.fds[0]);
    pid_t child = fork();
    /* the only process with the socket, once the parent has closed it */
    if (child == 0) {
        close(over[1]);
        (void)!write(ready[1], "", 1);
        (void)!read(over[0], &byte, 1);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close_sockets(&first);

    assert_int_equal(listen_sockets_bind(&a, false, &second, &why), ERR_IN_USE);

    AUTO_FREE char *wanted = xasprintf(
        "port %u on 127.0.0.1 is already in use, by listen_test (pid %d)", a.port, child);
    assert_string_equal(why.text, wanted);
    close(over[1]);
    waitpid(child, NULL, 0);
    close(over[0]);
    close(ready[0]);
    close(ready[1]);
}

static void a_port_given_twice_is_named(void **state)
{
    (void)state;
    struct listen_address a = parse("127.0.0.1:0");
    struct listen_sockets first, second;
    struct diag why;

    assert_int_equal(listen_sockets_bind(&a, false, &first, NULL), OK);
    a.port = port_of(first.fds[0]);
    assert_int_equal(listen_sockets_bind(&a, false, &second, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "configured twice"));
    close_sockets(&first);
}

static void an_address_of_another_machine_is_an_error(void **state)
{
    (void)state;
    struct listen_address a = parse("192.0.2.1:0"); /* RFC 5737 */
    struct listen_sockets sockets;
    struct diag why;

    assert_int_equal(listen_sockets_bind(&a, false, &sockets, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "192.0.2.1"));
}

/* Runs as an ordinary user, also if the test runs as root. */
static void an_error_for_a_privileged_port_names_the_remedy(void **state)
{
    (void)state;
    struct listen_address a = parse("127.0.0.1:1");
    struct listen_sockets sockets;
    struct diag why;
    uid_t self = geteuid();

    if (self == 0)
        assert_int_equal(seteuid(65534), 0);
    enum err e = listen_sockets_bind(&a, false, &sockets, &why);
    if (self == 0)
        assert_int_equal(seteuid(self), 0);

    if (e == OK) { /* net.ipv4.ip_unprivileged_port_start allows it to all users */
        close_sockets(&sockets);
        skip();
    }
    assert_int_equal(e, ERR_ACCESS);
    assert_non_null(strstr(why.text, "setcap cap_net_bind_service"));
    assert_non_null(strstr(why.text, "net.ipv4.ip_unprivileged_port_start=1"));
    assert_non_null(strstr(why.text, "systemd"));
}

struct listening {
    struct loop *loop;
    struct config *config;
    struct listeners *listeners;
};

static void listening_open(struct listening *d, const char *listen)
{
    static struct listen_address one;

    told.clients = 0;
    d->loop = loop_create();
    d->config = config_default();
    if (listen) {
        one = parse(listen);
        d->config->listen = (struct listen_list){ .at = &one, .count = 1 };
    }
    assert_int_equal(listeners_open(d->loop, NULL, d->config, false, &d->listeners, NULL),
                     OK);
}

static void listening_close(struct listening *d)
{
    listeners_close(d->listeners);
    d->config->listen = (struct listen_list){ 0 };
    config_unref(d->config);
    loop_destroy(d->loop);
}

static uint16_t free_port(void)
{
    struct listen_address a = parse("127.0.0.1:0");
    struct listen_sockets sockets;

    assert_int_equal(listen_sockets_bind(&a, false, &sockets, NULL), OK);
    uint16_t port = port_of(sockets.fds[0]);
    close_sockets(&sockets);
    return port;
}

static void a_client_is_handed_over_with_its_address_and_the_listener(void **state)
{
    (void)state;
    struct listening d = { 0 };
    uint16_t port = free_port();
    AUTO_FREE char *listen = xasprintf("127.0.0.1:%u", port);
    char client_address[ADDRESS_TEXT];

    listening_open(&d, listen);
    int client = connect_to(port);
    assert_true(client >= 0);
    for (int i = 0; i < 10 && !told.clients; i++)
        loop_run_once(d.loop, TURN_MS);

    snprintf(client_address, sizeof(client_address), "127.0.0.1:%u", port_of(client));
    assert_int_equal(told.clients, 1);
    assert_string_equal(told.address, client_address);
    assert_true(told.loopback);
    assert_int_equal(told.port, port);
    close(client);
    listening_close(&d);
}

static void a_listener_on_any_address_is_not_a_loopback_listener(void **state)
{
    (void)state;
    struct listening d = { 0 };
    uint16_t port = free_port();
    AUTO_FREE char *listen = xasprintf("0.0.0.0:%u", port);

    listening_open(&d, listen);
    int client = connect_to(port);
    for (int i = 0; i < 10 && !told.clients; i++)
        loop_run_once(d.loop, TURN_MS);

    assert_int_equal(told.clients, 1);
    assert_false(told.loopback);
    close(client);
    listening_close(&d);
}

/* A port number is stored in the route, a port name in the route's name. */
static void an_exposed_port_is_handed_over_with_its_route(void **state)
{
    (void)state;
    static const struct {
        const char *port, *port_name;
        uint16_t route_port;
    } cases[] = {
        { "5432", "", 5432 },
        { "sql", "sql", 0 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct listening d = { 0 };
        uint16_t port = free_port();
        AUTO_FREE char *text = xasprintf("pg.shop:%s=127.0.0.1:%u", cases[i].port, port);
        struct expose exposed;

        assert_int_equal(expose_parse(str_of(text), &exposed, NULL), OK);
        listening_open(&d, "127.0.0.1:0");
        listeners_close(d.listeners);
        d.config->expose = (struct expose_list){ .at = &exposed, .count = 1 };
        assert_int_equal(
            listeners_open(d.loop, NULL, d.config, false, &d.listeners, NULL), OK);
        int client = connect_to(port);
        assert_true(client >= 0);
        for (int k = 0; k < 10 && !told.clients; k++)
            loop_run_once(d.loop, TURN_MS);

        assert_int_equal(told.clients, 1);
        assert_string_equal(told.route, "pg.shop");
        assert_string_equal(told.port_name, cases[i].port_name);
        assert_int_equal(told.route_port, cases[i].route_port);
        close(client);
        d.config->expose = (struct expose_list){ 0 };
        listening_close(&d);
        expose_finish(&exposed);
    }
}

static void a_closed_listener_refuses(void **state)
{
    (void)state;
    struct listening d = { 0 };
    uint16_t port = free_port();
    AUTO_FREE char *listen = xasprintf("127.0.0.1:%u", port);

    listening_open(&d, listen);
    listeners_close(TAKE(d.listeners));

    assert_int_equal(connect_to(port), -1);
    listening_close(&d);
}

static void offer(pid_t pid, const char *count)
{
    AUTO_FREE char *text = xasprintf("%d", pid);
    setenv("LISTEN_PID", text, 1);
    setenv("LISTEN_FDS", count, 1);
}

/* Runs in a child process, which may change its descriptors from 3 on.  The exit status
 * is 0, or the number of the first failed check. */
static int in_child(int (*body)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        closefrom(INHERITED_FIRST);
        _exit(body());
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int take_one_socket(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct diag why = { 0 };
    size_t count = 99;
    int fd;

    if (listen_socket((struct sockaddr *)&at, sizeof(at), &fd, &why) ||
        fd != INHERITED_FIRST)
        return 1;
    fcntl(fd, F_SETFD, 0);
    offer(getpid(), "1");
    if (inherited_take(&count, &why) != OK || count != 1)
        return 2;
    if (!(fcntl(fd, F_GETFD) & FD_CLOEXEC))
        return 3;
    return getenv("LISTEN_FDS") || getenv("LISTEN_PID") ? 4 : 0;
}

static int refuse_a_file(void)
{
    struct diag why = { 0 };
    size_t count = 99;

    if (open("/dev/null", O_RDONLY) != INHERITED_FIRST)
        return 1;
    offer(getpid(), "1");
    if (inherited_take(&count, &why) != ERR_CONFIG)
        return 2;
    return strstr(why.text, "descriptor 3") && count == 99 ? 0 : 3;
}

static int leave_what_is_for_others(void)
{
    size_t count = 99;

    offer(getppid(), "1");
    return inherited_take(&count, NULL) == OK && count == 0 ? 0 : 1;
}

static void takes_sockets_from_systemd(void **state)
{
    (void)state;
    assert_int_equal(in_child(take_one_socket), 0);
    assert_int_equal(in_child(refuse_a_file), 0);
    assert_int_equal(in_child(leave_what_is_for_others), 0);
}

/* The settings of another change: *:port, then 127.0.0.1:taken. */
static struct config *with_overlap(uint16_t port, uint16_t taken)
{
    static struct listen_address two[2];
    AUTO_FREE char *any = xasprintf("*:%u", port);
    AUTO_FREE char *other = xasprintf("127.0.0.1:%u", taken);
    struct config *config = config_default();

    two[0] = parse(any);
    two[1] = parse(other);
    config->listen = (struct listen_list){ .at = two, .count = 2 };
    return config;
}

/* The kernel resets clients that are not accepted when their listener is closed. */
static void an_overlapping_change_loses_no_client_that_waits(void **state)
{
    (void)state;
    struct listening d = { 0 };
    uint16_t port = free_port();
    AUTO_FREE char *listen = xasprintf("127.0.0.1:%u", port);
    struct diag why;
    struct listeners_change *change = NULL;

    listening_open(&d, listen);
    struct config *config = with_overlap(port, free_port());
    int first = connect_to(port), second = connect_to(port);
    assert_int_equal(told.clients, 0);
    assert_int_equal(listeners_prepare(d.listeners, config, &change, &why), OK);
    assert_int_equal(told.clients, 2);
    listeners_discard(change); /* refused for another reason: the old one is open again */
    int third = connect_to(port);
    assert_true(third >= 0);
    for (int i = 0; i < 10 && told.clients < 3; i++)
        loop_run_once(d.loop, TURN_MS);
    assert_int_equal(told.clients, 3);
    close(first);
    close(second);
    close(third);
    config->listen = (struct listen_list){ 0 };
    config_unref(config);
    listening_close(&d);
}

/* Whatever their order, an address that cannot be bound is found before the old listener is
 * closed. */
static void a_change_that_fails_elsewhere_closes_no_overlapping_listener(void **state)
{
    (void)state;
    struct listening d = { 0 };
    uint16_t port = free_port();
    struct listen_address a = parse("127.0.0.1:0");
    struct listen_sockets taken;
    AUTO_FREE char *listen = xasprintf("127.0.0.1:%u", port);
    struct diag why;
    struct listeners_change *change = NULL;

    assert_int_equal(listen_sockets_bind(&a, false, &taken, NULL), OK);
    listening_open(&d, listen);
    struct config *config = with_overlap(port, port_of(taken.fds[0]));
    int client = connect_to(port);
    assert_int_equal(listeners_prepare(d.listeners, config, &change, &why), ERR_IN_USE);
    assert_int_equal(told.clients, 0); /* still in the old listener's queue */
    for (int i = 0; i < 10 && !told.clients; i++)
        loop_run_once(d.loop, TURN_MS);
    assert_int_equal(told.clients, 1);
    close(client);
    close_sockets(&taken);
    config->listen = (struct listen_list){ 0 };
    config_unref(config);
    listening_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_port_is_the_same_on_both_loopback_addresses),
        cmocka_unit_test(the_default_address_is_loopback_and_in_a_pod_any),
        cmocka_unit_test(a_taken_port_names_its_holder),
        cmocka_unit_test(a_port_given_twice_is_named),
        cmocka_unit_test(an_address_of_another_machine_is_an_error),
        cmocka_unit_test(an_error_for_a_privileged_port_names_the_remedy),
        cmocka_unit_test(a_client_is_handed_over_with_its_address_and_the_listener),
        cmocka_unit_test(a_listener_on_any_address_is_not_a_loopback_listener),
        cmocka_unit_test(an_exposed_port_is_handed_over_with_its_route),
        cmocka_unit_test(a_closed_listener_refuses),
        cmocka_unit_test(an_overlapping_change_loses_no_client_that_waits),
        cmocka_unit_test(a_change_that_fails_elsewhere_closes_no_overlapping_listener),
        cmocka_unit_test(takes_sockets_from_systemd),
    };
    return cmocka_run_group_tests_name("listen/listen", tests, NULL, NULL);
}
