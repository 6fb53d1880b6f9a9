/* tests/unit/addresses/open_test.c - listeners at the addresses of services, on real sockets, with
 * a serve/ that only records
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addresses/addresses.h"
#include "base/own.h"
#include "captured_log.h"
#include "catalog/service.h"
#include "config/config.h"
#include "listen/change.h"
#include "listen/listen.h"
#include "net/loop.h"
#include "serve/exposed.h"
#include "serve/serve.h"

#define TURN_MS 1000
#define AHEAD_MS 3600000 /* of real time, which no test reaches */
#define IDLE "300ms"
#define IDLE_MS 300
#define PROMISED_MS 100

/* The last client that serve/ got. */
static struct {
    unsigned clients;
    char route[NAME_ROOM];
    uint16_t port;
    char address[INET_ADDRSTRLEN];
    struct exposed *held; /* of a connection that stays open; a reference */
    bool hold;
} told;

void serve_accept_raw(struct serve *s, struct stream *client, const struct arrival *from,
                      struct exposed *exposed)
{
    (void)s;
    (void)from;
    stream_close(client);
    told.clients++;
    told.port = exposed->route.port;
    snprintf(told.route, sizeof(told.route), "%s", exposed->route.name.text);
    snprintf(told.address, sizeof(told.address), "%s", exposed->address);
    if (told.hold && !told.held)
        told.held = exposed_ref(exposed);
}

void serve_accept(struct serve *s, struct stream *client, const struct arrival *from)
{
    (void)s;
    (void)from;
    stream_close(client);
}

void serve_refuse_user(struct serve *s, struct stream *client, const struct arrival *from,
                       const char *flag)
{
    (void)s;
    (void)from;
    (void)flag;
    stream_close(client);
}

/* ---- the parts ---- */

static struct loop *loop;
static struct listeners *listeners;
static struct addresses *addresses;
static uint16_t first_port;

static struct config *settings_of(const char *name, const char *value)
{
    const struct config_flag flags[] = { { "listen", "127.0.0.1:0" },
                                         { "address-idle", IDLE },
                                         { name, value } };
    struct config *config = NULL;
    struct diag why = { "" };

    assert_int_equal(
        config_load(&(struct config_input){ .flags = flags, .flag_count = name ? 3 : 2 },
                    &config, &why),
        OK);
    return config;
}

static void start(const char *name, const char *value)
{
    struct config *config = settings_of(name, value);
    struct diag why = { "" };

    assert_int_equal(listeners_open(loop, NULL, config, false, &listeners, &why), OK);
    addresses = addresses_create(&(struct addresses_parts){
        .loop = loop, .config = config, .promised_ms = PROMISED_MS });
    addresses_listen(addresses, listeners);
    config_unref(config);
}

static void stop(void)
{
    addresses_destroy(TAKE(addresses));
    listeners_close(TAKE(listeners));
}

static void restart(const char *name, const char *value)
{
    stop();
    start(name, value);
}

/* Time that passes for the loop's timers only, however slow this machine is.  Its clock does not go
 * back, so real time has no effect until it has caught up. */
static void pass(uint64_t ms)
{
    struct sched *s = loop_sched(loop);
    uint64_t until = s->now + ms;

    while (s->now < until) {
        uint64_t wait = sched_wait(s);
        sched_run(s, wait < until - s->now ? s->now + wait : until);
    }
}

/* Ports below those that the kernel chooses; each process of a parallel run has its own. */
static int begin(void **state)
{
    (void)state;
    first_port = (uint16_t)(10000 + getpid() % 1000 * 20);
    loop = loop_create();
    pass(AHEAD_MS);
    captured_log_begin();
    memset(&told, 0, sizeof(told));
    start(NULL, NULL);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    exposed_unref(TAKE(told.held));
    stop();
    loop_destroy(loop);
    captured_log_end();
    return 0;
}

/* A service of these ports; as many as are not 0. */
struct ports {
    struct service_port at[4];
    struct service service;
};

static const struct service *service_of(struct ports *p, uint16_t first, uint16_t second)
{
    *p = (struct ports){ .at = { { .name = "", .number = first, .tcp = true },
                                 { .name = "dns", .number = first_port, .tcp = false },
                                 { .name = "more", .number = second, .tcp = true } },
                         .service = { .refs = 1000,
                                      .ns = "shop",
                                      .name = "web",
                                      .has_selector = true,
                                      .port_count = second ? 3 : 2 } };
    p->service.ports = p->at;
    return &p->service;
}

static enum err open_name(const char *service, const char *pod, const struct service *s,
                          struct in_addr *ret, struct diag *why)
{
    const struct address_key key = { STR(""), STR("shop"), str_of(service), str_of(pod) };

    *why = (struct diag){ "" };
    return addresses_open(addresses, &key, s, ret, why);
}

static struct in_addr opened(const char *service, const struct service *s)
{
    struct in_addr ret = { 0 };
    struct diag why;

    assert_int_equal(open_name(service, "", s, &ret, &why), OK);
    return ret;
}

/* 0, or the error. */
static int connect_to(struct in_addr at, uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr = at };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    int error = connect(fd, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
    if (!error)
        loop_run_once(loop, TURN_MS);
    close(fd);
    return error;
}

/* Connects, and does not wait until it is accepted. */
static int begin_connecting(struct in_addr at, uint16_t port)
{
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(port),
                                    .sin_addr = at };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof(to)), 0);
    return fd;
}

/* A server of another program; -1: the port is taken. */
static int serve_at(const char *host, uint16_t port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port) };
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(inet_pton(AF_INET, host, &at.sin_addr), 1);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(fd, 5) == 0)
        return fd;
    close(fd);
    return -1;
}

static size_t open_listeners(void)
{
    return addresses_summary(addresses).listeners;
}

/* ---- tests ---- */

static void a_look_up_opens_the_tcp_ports_at_the_address(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at = opened("web", service_of(&p, first_port, first_port + 1));
    struct in_addr other = { htonl(ntohl(at.s_addr) ^ 0x100) };

    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    assert_int_equal(told.clients, 1);
    assert_string_equal(told.route, "web.shop.svc");
    assert_int_equal(told.port, first_port + 1);
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &at, text, sizeof(text));
    assert_string_equal(told.address, text);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(connect_to(other, first_port), ECONNREFUSED);
    assert_int_equal(connect_to(at, first_port + 2), ECONNREFUSED);
    assert_int_equal(told.clients, 2);
}

static void an_address_closes_after_its_last_look_up(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr at = opened("web", s);

    pass(IDLE_MS * 2 / 3);
    opened("web", s);
    pass(IDLE_MS * 2 / 3);
    assert_int_equal(open_listeners(), 1);
    pass(IDLE_MS);
    assert_int_equal(open_listeners(), 0);
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_int_equal(opened("web", s).s_addr, at.s_addr);
    assert_int_equal(connect_to(at, first_port), 0);
}

static void a_connection_keeps_the_address_open(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at = opened("web", service_of(&p, first_port, 0));

    pass(IDLE_MS * 2 / 3);
    assert_int_equal(connect_to(at, first_port), 0);
    pass(IDLE_MS * 2 / 3);
    assert_int_equal(open_listeners(), 1);
    told.hold = true;
    assert_int_equal(connect_to(at, first_port), 0);
    pass(IDLE_MS * 3);
    assert_int_equal(open_listeners(), 1);
    exposed_unref(TAKE(told.held));
    pass(IDLE_MS * 2);
    assert_int_equal(open_listeners(), 0);
}

static void with_0_an_address_stays_open(void **state)
{
    (void)state;
    static struct ports p;

    restart("address-idle", "0");
    opened("web", service_of(&p, first_port, 0));
    pass(IDLE_MS * 2);
    assert_int_equal(open_listeners(), 1);
}

static void changed_ports_are_followed_at_the_next_look_up(void **state)
{
    (void)state;
    static struct ports before, after;
    struct in_addr at = opened("web", service_of(&before, first_port, first_port + 1));

    assert_int_equal(
        opened("web", service_of(&after, first_port + 1, first_port + 2)).s_addr,
        at.s_addr);
    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    assert_int_equal(connect_to(at, first_port + 2), 0);
}

static void an_endpoint_has_its_containers_ports(void **state)
{
    (void)state;
    static uint16_t targets[3];
    static struct endpoint db;
    static struct endpoint *list[] = { &db };
    static struct ports p;
    struct in_addr at, by_ip;
    struct diag why;

    for (uint16_t i = 0; i < 3; i++)
        targets[i] = (uint16_t)(first_port + 3 + i);
    db = (struct endpoint){
        .refs = 1000, .ns = "shop", .pod = "db-0", .ip = "10.1.2.3", .ports = targets
    };
    service_of(&p, first_port, first_port + 1);
    p.service.endpoints = list;
    p.service.endpoint_count = 1;
    assert_int_equal(open_name("db", "db-0", &p.service, &at, &why), OK);
    assert_int_equal(connect_to(at, first_port + 3), 0);
    assert_string_equal(told.route, "db-0.db.shop.svc");
    assert_int_equal(told.port, first_port);
    assert_int_equal(connect_to(at, first_port + 5), 0);
    assert_int_equal(told.port, first_port + 1);
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_int_equal(open_name("db", "10-1-2-3", &p.service, &by_ip, &why), OK);
    assert_int_not_equal(at.s_addr, by_ip.s_addr);
    assert_int_equal(connect_to(by_ip, first_port + 3), 0);
    assert_int_equal(open_name("db", "db-9", &p.service, &by_ip, &why), OK);
    assert_int_equal(open_listeners(), 4);
}

static void a_name_that_leads_nowhere_is_not_answered(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at;
    struct diag why;

    assert_int_not_equal(open_name("we b", "", service_of(&p, first_port, 0), &at, &why),
                         OK);
    assert_int_equal(open_listeners(), 0);
    assert_non_null(strstr(captured_log(), "is not listened on"));
}

static void a_pod_has_its_containers_ports(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at;
    struct diag why;

    service_of(&p, first_port, 0);
    p.service.kind = SERVICE_POD;
    assert_int_equal(open_name("", "web-0", &p.service, &at, &why), OK);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_string_equal(told.route, "web-0.shop.pod");
}

static void an_address_in_use_does_not_close_for_others(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr none;
    struct diag why;

    restart("max-address-listeners", "5");
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr a = opened("a", s), b = opened("b", s);
    assert_int_equal(connect_to(a, first_port), 0);
    pass(PROMISED_MS);
    assert_int_equal(connect_to(b, first_port), 0);
    assert_int_equal(open_name("c", "", s, &none, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "4 listeners of addresses are open, and 2 more"));
    assert_int_equal(open_listeners(), 4);
    assert_int_equal(connect_to(a, first_port), 0);
    told.hold = true;
    assert_int_equal(connect_to(b, first_port), 0);
    assert_int_equal(addresses_summary(addresses).refused, 1);
    pass(IDLE_MS * 2);
    struct in_addr c = opened("c", s);
    assert_int_equal(connect_to(c, first_port + 1), 0);
    assert_int_equal(connect_to(b, first_port), 0); /* it has a connection */
    assert_int_equal(connect_to(a, first_port), ECONNREFUSED);
    assert_int_equal(open_name("d", "", s, &none, &why), ERR_LIMIT);
}

static void an_address_without_clients_gives_way_after_the_promised_time(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr none;
    struct diag why;

    restart("max-address-listeners", "2");
    struct in_addr a = opened("a", s), b = opened("b", s);
    pass(PROMISED_MS / 2);
    opened("a", s);
    pass(PROMISED_MS / 2 - 1);
    assert_int_equal(open_name("c", "", s, &none, &why), ERR_LIMIT);
    pass(1);
    struct in_addr c = opened("c", s);
    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(b, first_port), ECONNREFUSED);
    assert_int_equal(connect_to(c, first_port), 0);
    assert_int_equal(connect_to(a, first_port), 0);
    pass(PROMISED_MS);
    assert_int_equal(open_name("b", "", s, &none, &why), ERR_LIMIT);
    assert_int_equal(open_listeners(), 2);
}

static void an_address_does_not_close_for_another_that_still_has_no_room(void **state)
{
    (void)state;
    static struct ports p, two;
    struct in_addr none;
    struct diag why;

    restart("max-address-listeners", "2");
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr a = opened("a", s), b = opened("b", s);
    assert_int_equal(connect_to(b, first_port), 0);
    pass(PROMISED_MS);
    assert_int_equal(
        open_name("c", "", service_of(&two, first_port, first_port + 1), &none, &why),
        ERR_LIMIT);
    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(a, first_port), 0);
}

static void no_more_addresses_close_than_are_needed(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);

    addresses_limit(addresses, 2);
    struct in_addr a = opened("a", s), b = opened("b", s);
    pass(PROMISED_MS);
    opened("c", s);
    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(a, first_port), ECONNREFUSED);
    assert_int_equal(connect_to(b, first_port), 0);
}

static void a_client_that_waits_keeps_the_address(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr none;
    struct diag why;

    addresses_limit(addresses, 1);
    struct in_addr a = opened("a", s);
    pass(PROMISED_MS);
    int client = begin_connecting(a, first_port);
    assert_int_equal(open_name("b", "", s, &none, &why), ERR_LIMIT);
    assert_int_equal(told.clients, 1);
    pass(IDLE_MS - 1);
    int later = begin_connecting(a, first_port);
    pass(IDLE_MS - 1);
    assert_int_equal(told.clients, 2);
    assert_int_equal(open_listeners(), 1);
    assert_int_equal(connect_to(a, first_port), 0);
    close(client);
    close(later);
}

static void with_0_no_address_gives_way(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr none;
    struct diag why;

    restart("address-idle", "0");
    addresses_limit(addresses, 1);
    opened("a", s);
    pass(PROMISED_MS * 2);
    assert_int_equal(open_name("b", "", s, &none, &why), ERR_LIMIT);
}

/* Unused ones are looked for each 250 ms, for the sixth time at 1500 ms and then at 1750 ms. */
static void an_address_whose_time_is_over_closes_at_once_for_another(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr none;
    struct diag why;

    restart("address-idle", "1500ms");
    addresses_limit(addresses, 1);
    struct in_addr a = opened("a", s);
    pass(60);
    assert_int_equal(connect_to(a, first_port), 0);
    pass(PROMISED_MS);
    assert_int_equal(open_name("b", "", s, &none, &why), ERR_LIMIT);
    pass(1450);
    opened("b", s);
    assert_int_equal(open_listeners(), 1);
}

static void a_service_of_more_ports_than_the_limit_is_not_answered(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at;
    struct diag why;

    restart("max-address-listeners", "1");
    const struct service *s = service_of(&p, first_port, first_port + 1);
    assert_int_equal(open_name("a", "", s, &at, &why), ERR_LIMIT);
    assert_int_equal(open_listeners(), 0);
    assert_int_equal(p.service.refs, 1000); /* no name is remembered */
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_non_null(strstr(captured_log(), "see max-address-listeners"));
}

static void the_limit_of_descriptors_counts_too(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr at;
    struct diag why;

    addresses_limit(addresses, 1);
    opened("a", s);
    assert_int_equal(open_name("b", "", s, &at, &why), ERR_LIMIT);
}

static void note_problem(void *owner, const struct address_problem *p)
{
    struct address_problem *ret = owner;

    *ret = *p;
}

/* Its texts are gone; port 0: there is none. */
static const struct address_problem *problem_of(struct address_problem *room)
{
    *room = (struct address_problem){ 0 };
    addresses_each_problem(addresses, note_problem, room);
    return room;
}

static void a_server_on_127_0_0_1_may_come_before_and_after(void **state)
{
    (void)state;
    static struct ports p;
    int before = serve_at("127.0.0.1", first_port);
    struct in_addr at = opened("web", service_of(&p, first_port, first_port + 1));
    int after = serve_at("127.0.0.1", first_port + 1);

    assert_true(before >= 0 && after >= 0);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    assert_int_equal(told.clients, 2);
    close(before);
    close(after);
}

static void a_server_on_every_address_that_comes_first_is_named(void **state)
{
    (void)state;
    static struct ports p;
    struct address_problem problem;
    int other = serve_at("0.0.0.0", first_port);
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr at = opened("web", s);

    assert_int_equal(open_listeners(), 1);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    problem_of(&problem);
    assert_int_equal(problem.port, first_port);
    assert_int_equal(problem.error, ERR_IN_USE);
    close(other);
    opened("web", s);
    assert_int_equal(open_listeners(), 1); /* too soon */
    pass(1100);
    opened("web", s);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(problem_of(&problem)->port, 0);
}

static void count_problem(void *owner, const struct address_problem *p)
{
    size_t *count = owner;

    (void)p;
    (*count)++;
}

static void each_port_in_use_is_logged_once(void **state)
{
    (void)state;
    static struct ports p;
    const char *text = "is not listened on";
    size_t count = 0;
    int one = serve_at("0.0.0.0", first_port), two = serve_at("0.0.0.0", first_port + 1);
    const struct service *s = service_of(&p, first_port, first_port + 1);

    opened("a", s);
    opened("b", s);
    addresses_each_problem(addresses, count_problem, &count);
    assert_int_equal(count, 2);
    const char *log = strstr(captured_log(), text);
    assert_non_null(log);
    log = strstr(log + 1, text);
    assert_non_null(log);
    assert_null(strstr(log + 1, text));
    close(one);
    close(two);
}

static void a_server_on_every_address_that_comes_later_needs_a_release(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr at = opened("web", s);

    assert_int_equal(serve_at("0.0.0.0", first_port), -1);
    assert_int_equal(addresses_release(addresses, first_port), 1);
    int other = serve_at("0.0.0.0", first_port);
    assert_true(other >= 0);
    close(other);
    pass(1100);
    opened("web", s);
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    assert_int_equal(addresses_release(addresses, first_port), 0);
}

/* Runs `other` as another user in a child, while the test goes on.  Needs root. */
static pid_t other_user_serves(uint16_t port, struct in_addr at)
{
    int ready[2];
    char byte, host[INET_ADDRSTRLEN];

    inet_ntop(AF_INET, &at, host, sizeof(host));
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        if (setuid(4242) || serve_at(host, port) < 0)
            _exit(1);
        close(ready[1]);
        pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    return child;
}

static void a_name_whose_port_another_user_has_is_not_answered(void **state)
{
    (void)state;
    static struct ports p;
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr at = opened("web", s);
    struct diag why;

    if (geteuid() != 0)
        skip();
    pass(IDLE_MS * 2);
    assert_int_equal(open_listeners(), 0);
    pid_t child = other_user_serves(first_port, at);
    assert_int_equal(open_name("web", "", s, &at, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "by a program of user 4242"));
    assert_int_equal(open_name("web", "", s, &at, &why), ERR_IN_USE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    pass(1100);
    assert_int_equal(open_name("web", "", s, &at, &why), OK);
    assert_int_equal(connect_to(at, first_port), 0);
}

static void a_released_port_that_another_user_takes_is_not_answered(void **state)
{
    (void)state;
    static struct ports p;
    const struct in_addr everywhere = { htonl(INADDR_ANY) };
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr at = opened("web", s);
    struct diag why;

    if (geteuid() != 0)
        skip();
    assert_int_equal(addresses_release(addresses, first_port), 1);
    pid_t child = other_user_serves(first_port, everywhere);
    assert_int_equal(open_name("web", "", s, &at, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "every address is in use, by a program of user"));
    assert_int_equal(open_name("new", "", s, &at, &why), ERR_IN_USE);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    pass(1100);
    int ours = serve_at("0.0.0.0", first_port);
    assert_true(ours >= 0);
    opened("web", s);
    assert_int_equal(open_listeners(), 0);
    close(ours);
}

/* The problem of one address does not end with that of another, and the program is looked for once. */
static void problems_are_those_of_an_address_or_of_all(void **state)
{
    (void)state;
    static struct ports p;
    struct address_problem problem;
    const struct service *s = service_of(&p, first_port, 0);
    char host[INET_ADDRSTRLEN];
    struct in_addr at = opened("a", s);

    pass(IDLE_MS * 2);
    inet_ntop(AF_INET, &at, host, sizeof(host));
    int taken = serve_at(host, first_port);
    opened("a", s);
    opened("b", s);
    assert_int_equal(open_listeners(), 1);
    problem_of(&problem);
    assert_int_equal(problem.port, first_port);
    assert_int_equal(problem.error, ERR_IN_USE);
    assert_non_null(strstr(captured_log(), "kube-tunnel itself listens"));
    close(taken);
    pass(1100);
    opened("a", s);
    assert_int_equal(problem_of(&problem)->port, 0);
}

static void one_listener_per_port_finds_the_service_by_the_address(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr none = { htonl(0x7f636363) }, local = { htonl(INADDR_LOOPBACK) };

    restart("address-per-port", "true");
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr a = opened("a", s), b = opened("b", s);
    assert_int_equal(open_listeners(), 2);
    assert_int_equal(connect_to(a, first_port), 0);
    assert_string_equal(told.route, "a.shop.svc");
    assert_int_equal(connect_to(b, first_port + 1), 0);
    assert_string_equal(told.route, "b.shop.svc");
    assert_int_equal(told.port, first_port + 1);
    assert_int_equal(told.clients, 2);
    connect_to(none, first_port);
    connect_to(local, first_port);
    assert_int_equal(told.clients, 2);
    assert_int_equal(serve_at("127.0.0.1", first_port), -1);
    told.hold = true;
    assert_int_equal(connect_to(a, first_port), 0);
    pass(IDLE_MS * 2);
    assert_int_equal(open_listeners(), 2); /* those of a */
    exposed_unref(TAKE(told.held));
    pass(IDLE_MS * 2);
    assert_int_equal(open_listeners(), 0);
}

static void clients_that_wait_are_accepted_before_an_address_closes(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at = opened("web", service_of(&p, first_port, 0));
    int client = begin_connecting(at, first_port);

    assert_int_equal(addresses_release(addresses, first_port), 1);
    assert_int_equal(told.clients, 1);
    close(client);
    restart("address-per-port", "true");
    at = opened("a", &p.service);
    client = begin_connecting(at, first_port);
    int other = begin_connecting(opened("b", &p.service), first_port);
    addresses_listen(addresses, NULL);
    assert_int_equal(told.clients, 3);
    close(client);
    close(other);
}

static void a_shared_listener_needs_room_once(void **state)
{
    (void)state;
    static struct ports p, q;
    struct in_addr at;
    struct diag why;

    restart("address-per-port", "true");
    addresses_limit(addresses, 1);
    struct in_addr a = opened("a", service_of(&p, first_port, 0));
    opened("b", &p.service);
    assert_int_equal(open_name("c", "", service_of(&q, first_port + 1, 0), &at, &why),
                     ERR_LIMIT);
    assert_int_equal(connect_to(a, first_port), 0);
    assert_string_equal(told.route, "a.shop.svc");
}

static void an_address_of_shared_listeners_frees_none(void **state)
{
    (void)state;
    static struct ports p, q, r;
    struct in_addr at;
    struct diag why;

    restart("address-per-port", "true");
    addresses_limit(addresses, 1);
    struct in_addr a = opened("a", service_of(&p, first_port, 0));
    struct in_addr b = opened("b", &p.service);
    assert_int_equal(connect_to(b, first_port), 0);
    pass(PROMISED_MS);
    assert_int_equal(open_name("c", "", service_of(&q, first_port + 1, 0), &at, &why),
                     ERR_LIMIT);
    assert_int_equal(connect_to(a, first_port), 0);
    assert_string_equal(told.route, "a.shop.svc");
    addresses_limit(addresses, 2);
    struct in_addr d = opened("d", &p.service);
    int other = serve_at("127.0.0.1", first_port + 2);
    struct in_addr own = opened("own", service_of(&r, first_port + 2, 0));
    pass(PROMISED_MS);
    opened("c", &q.service);
    assert_int_equal(connect_to(own, first_port + 2), ECONNREFUSED);
    assert_int_equal(connect_to(d, first_port), 0);
    assert_string_equal(told.route, "d.shop.svc");
    close(other);
}

static void short_connections_keep_the_address_that_they_use(void **state)
{
    (void)state;
    static struct ports p;

    restart("address-per-port", "true");
    const struct service *s = service_of(&p, first_port, 0);
    struct in_addr a = opened("a", s), b = opened("b", s);
    for (unsigned i = 0; i < 4; i++) {
        pass(IDLE_MS / 2);
        assert_int_equal(connect_to(a, first_port), 0);
        assert_int_equal(told.clients, i + 1);
    }
    connect_to(b, first_port);
    assert_int_equal(told.clients, 4); /* only b has closed */
}

static void per_port_gives_way_to_a_server_on_127_0_0_1(void **state)
{
    (void)state;
    static struct ports p;

    restart("address-per-port", "true");
    int other = serve_at("127.0.0.1", first_port);
    struct in_addr at = opened("a", service_of(&p, first_port, 0));
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(told.clients, 1);
    close(other);
}

static void listening_everywhere_takes_the_port_from_addresses(const char *mode)
{
    static struct ports p;
    struct listeners_change *change;
    struct diag why = { "" };
    AUTO_FREE char *everywhere = xasprintf("*:%u", first_port);

    restart("address-per-port", mode);
    memset(&told, 0, sizeof(told));
    const struct service *s = service_of(&p, first_port, first_port + 1);
    struct in_addr at = opened("web", s);
    struct config *config = settings_of("listen", everywhere);
    assert_int_equal(listeners_prepare(listeners, config, &change, &why), OK);
    listeners_commit(change);
    config_unref(config);
    assert_int_equal(open_listeners(), 1);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(told.clients, 0);
    assert_int_equal(connect_to(at, first_port + 1), 0);
    assert_int_equal(told.clients, 1);
    assert_int_equal(opened("web", s).s_addr, at.s_addr);
    assert_non_null(strstr(captured_log(), "kube-tunnel itself listens"));
}

static void a_reload_may_listen_on_every_address(void **state)
{
    (void)state;
    listening_everywhere_takes_the_port_from_addresses("false");
    listening_everywhere_takes_the_port_from_addresses("true");
}

static void a_reload_that_listens_on_127_0_0_1_leaves_addresses(void **state)
{
    (void)state;
    static struct ports p;
    struct listeners_change *change;
    struct diag why = { "" };
    AUTO_FREE char *local = xasprintf("127.0.0.1:%u", first_port);
    struct in_addr at = opened("web", service_of(&p, first_port, 0));
    struct config *config = settings_of("listen", local);

    assert_int_equal(listeners_prepare(listeners, config, &change, &why), OK);
    listeners_commit(change);
    config_unref(config);
    assert_int_equal(open_listeners(), 1);
    assert_int_equal(connect_to(at, first_port), 0);
    assert_int_equal(told.clients, 1);
}

static void an_added_port_on_every_address_takes_it_from_addresses(void **state)
{
    (void)state;
    static struct ports p;
    struct diag why = { "" };
    uint16_t port = 0;
    struct expose x = { .name = xstrdup("web.shop"),
                        .port = xstrdup("80"),
                        .local = { .host = "*", .port = first_port } };

    opened("web", service_of(&p, first_port, first_port + 1));
    assert_int_equal(listeners_expose(listeners, &x, STR("cluster.local"), &port, &why),
                     OK);
    assert_int_equal(port, first_port);
    assert_int_equal(open_listeners(), 1);
    assert_int_equal(listeners_unexpose(listeners, first_port), 2);
    int other = serve_at("0.0.0.0", first_port);
    assert_int_equal(listeners_expose(listeners, &x, STR("cluster.local"), &port, &why),
                     ERR_IN_USE);
    close(other);
    expose_finish(&x);
}

static void nothing_is_opened_without_listeners(void **state)
{
    (void)state;
    static struct ports p;
    struct in_addr at;
    struct diag why;
    const struct service *s = service_of(&p, first_port, 0);

    at = opened("web", s);
    addresses_listen(addresses, NULL);
    assert_int_equal(open_listeners(), 0);
    assert_int_equal(connect_to(at, first_port), ECONNREFUSED);
    assert_int_equal(open_name("web", "", s, &at, &why), ERR_CANCELLED);
}

static void a_namespace_that_is_closed_later_is_closed_at_once(void **state)
{
    (void)state;
    static struct ports p;
    struct config *closed = settings_of("deny-namespace", "shop");

    opened("web", service_of(&p, first_port, 0));
    addresses_configure(addresses, closed);
    config_unref(closed);
    assert_int_equal(open_listeners(), 0);
}

static void count_status(void *owner, const struct address_status *s)
{
    size_t *open = owner;

    assert_string_equal(s->name, "web.shop.svc");
    assert_false(s->pinned);
    for (size_t i = 0; i < s->port_count; i++)
        *open += s->ports[i].open && s->ports[i].port >= first_port;
}

static void status_shows_names_and_ports(void **state)
{
    (void)state;
    static struct ports p;
    size_t open = 0;

    opened("web", service_of(&p, first_port, first_port + 1));
    addresses_each(addresses, count_status, &open);
    assert_int_equal(open, 2);
    assert_int_equal(addresses_summary(addresses).known, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_look_up_opens_the_tcp_ports_at_the_address),
        TEST(an_address_closes_after_its_last_look_up),
        TEST(a_connection_keeps_the_address_open),
        TEST(with_0_an_address_stays_open),
        TEST(changed_ports_are_followed_at_the_next_look_up),
        TEST(an_endpoint_has_its_containers_ports),
        TEST(a_name_that_leads_nowhere_is_not_answered),
        TEST(a_pod_has_its_containers_ports),
        TEST(an_address_in_use_does_not_close_for_others),
        TEST(an_address_without_clients_gives_way_after_the_promised_time),
        TEST(an_address_does_not_close_for_another_that_still_has_no_room),
        TEST(no_more_addresses_close_than_are_needed),
        TEST(a_client_that_waits_keeps_the_address),
        TEST(with_0_no_address_gives_way),
        TEST(an_address_whose_time_is_over_closes_at_once_for_another),
        TEST(a_service_of_more_ports_than_the_limit_is_not_answered),
        TEST(the_limit_of_descriptors_counts_too),
        TEST(a_server_on_127_0_0_1_may_come_before_and_after),
        TEST(a_server_on_every_address_that_comes_first_is_named),
        TEST(each_port_in_use_is_logged_once),
        TEST(a_server_on_every_address_that_comes_later_needs_a_release),
        TEST(a_name_whose_port_another_user_has_is_not_answered),
        TEST(a_released_port_that_another_user_takes_is_not_answered),
        TEST(problems_are_those_of_an_address_or_of_all),
        TEST(one_listener_per_port_finds_the_service_by_the_address),
        TEST(clients_that_wait_are_accepted_before_an_address_closes),
        TEST(a_shared_listener_needs_room_once),
        TEST(an_address_of_shared_listeners_frees_none),
        TEST(short_connections_keep_the_address_that_they_use),
        TEST(per_port_gives_way_to_a_server_on_127_0_0_1),
        TEST(a_reload_may_listen_on_every_address),
        TEST(a_reload_that_listens_on_127_0_0_1_leaves_addresses),
        TEST(an_added_port_on_every_address_takes_it_from_addresses),
        TEST(nothing_is_opened_without_listeners),
        TEST(a_namespace_that_is_closed_later_is_closed_at_once),
        TEST(status_shows_names_and_ports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
