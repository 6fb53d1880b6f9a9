/* tests/session/direct_test.c - connections to pods' addresses: real sockets on loopback
 *
 * The API server is a fake (fake_api.h) with pods on loopback addresses.  A real
 * kube-tunnel refuses those, as the first tests show.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/pod_addresses.h"
#include "direct/direct.h"
#include "fake_api.h"

#define PATH "/api/v1/namespaces/shop/pods/web-0"

static struct loop *loop;
static struct api *api;
static struct pod_addresses *addresses;
static struct direct *direct;
static struct opening opening;
static struct task wake;
static unsigned wakes;
static int listening; /* or -1 */
static uint16_t port;
static struct endpoint web = {
    .refs = 1000, .ns = "shop", .pod = "web-0", .uid = "uid-0", .key = "shop/web-0/uid-0"
};

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

static void start_direct(bool any_address, const char *api_server)
{
    const struct direct_settings settings = { .connect_ms = 200,
                                              .any_address = any_address,
                                              .api_server = api_server };

    direct_destroy(direct);
    direct = direct_create(loop, addresses, &settings);
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    api = fake_create();
    addresses = pod_addresses_create(loop_sched(loop), api, 10000);
    start_direct(true, "10.0.0.1");
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    opening = (struct opening){ 0 };
    wakes = 0;
    listening = -1;
    return 0;
}

static int end(void **state)
{
    (void)state;
    opening_finish(&opening);
    direct_destroy(TAKE(direct));
    pod_addresses_destroy(addresses);
    fake_destroy(api);
    task_cancel(&wake);
    if (listening >= 0)
        close(listening);
    loop_destroy(loop);
    return 0;
}

static void listen_with(int backlog)
{
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sa);

    listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(listening, backlog), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&sa, &len), 0);
    port = ntohs(sa.sin_port);
}

static void turns(int n)
{
    while (n--)
        loop_run_once(loop, 20);
}

static void run_until_known(void)
{
    for (int i = 0; i < 100 && opening.result == ERR_AGAIN; i++)
        loop_run_once(loop, 20);
}

static void answer_with_address(const char *ip)
{
    AUTO_FREE char *pod =
        xasprintf("{'metadata': {'namespace': 'shop', 'name': 'web-0', 'uid': 'uid-0'}, "
                  "'spec': {}, 'status': {'phase': 'Running', 'podIPs': [{'ip': '%s'}]}}",
                  ip);
    fake_answer(api, PATH, (const char *const[]){ pod, NULL });
}

static void open_to(const char *ip)
{
    web.ip = ip;
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    if (fake_waiting(api, PATH))
        answer_with_address(ip);
    run_until_known();
}

static int open_connected(void)
{
    listen_with(8);
    open_to("127.0.0.1");
    assert_int_equal(opening.result, OK);
    return accept(listening, NULL, NULL);
}

static void send_text(const char *text)
{
    assert_true(bufq_put(&opening.stream->out, text, strlen(text)));
    stream_update(opening.stream);
    turns(1);
}

static void assert_reads(int fd, const char *text)
{
    char received[100] = "";

    assert_int_equal(read(fd, received, sizeof(received) - 1), strlen(text));
    assert_string_equal(received, text);
}

static void connects_to_the_pods_address(void **state)
{
    (void)state;
    int fd = open_connected();

    assert_int_equal(opening.via.kind, 'd');
    assert_int_equal(opening.via.number, 1);
    assert_true(opening.dialled);
    assert_int_equal(wakes, 1);
    send_text("hello");
    assert_reads(fd, "hello");
    close(fd);
}

/* A pod may have one of these by mistake or in a forged object. */
static void addresses_of_this_machine_and_link_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "127.0.0.1",
        "127.1.2.3",
        "::1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "fe80::1",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:224.0.0.1",
        "64:ff9b::127.0.0.1",
        "::127.0.0.1",
        "localhost",
        "10.1.2.3.4",
        "10.1.2.3 ",
    };

    start_direct(false, NULL);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        pod_addresses_forget(addresses, web.key);
        open_to(cases[i]);
        if (opening.result != ERR_ACCESS)
            fail_msg("%s: %s", cases[i], err_text(opening.result));
        opening_finish(&opening);
    }
}

static void api_servers_address_is_refused(void **state)
{
    (void)state;
    start_direct(true, "127.0.0.1");
    listen_with(8);
    open_to("127.0.0.1");
    assert_int_equal(opening.result, ERR_ACCESS);
    assert_non_null(strstr(opening.error.why.text, "API server"));
}

static void api_servers_address_is_refused_in_any_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *server, *pod;
    } cases[] = {
        { "10.0.0.1", "::ffff:10.0.0.1" },
        { "::ffff:10.0.0.1", "10.0.0.1" },
        { "FD00:0::1", "fd00::1" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        start_direct(true, cases[i].server);
        pod_addresses_forget(addresses, web.key);
        open_to(cases[i].pod);
        assert_int_equal(opening.result, ERR_ACCESS);
        assert_non_null(strstr(opening.error.why.text, "API server"));
        opening_finish(&opening);
    }
}

/* The caller decides by the fields of the error whether and when to retry. */
static void answer_of_the_api_server_is_passed_on_whole(void **state)
{
    (void)state;
    listen_with(8);
    web.ip = "127.0.0.1";
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    fake_refuse(api, PATH, ERR_NOT_FOUND, "pods \"web-0\" not found");
    run_until_known();
    assert_int_equal(opening.result, ERR_NOT_FOUND);
    assert_int_equal(opening.error.code, ERR_NOT_FOUND);
    assert_true(opening.error.is_status);
}

static void address_that_the_pod_does_not_have_is_refused(void **state)
{
    (void)state;
    listen_with(8);
    web.ip = "127.0.0.1";
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    answer_with_address("10.1.0.7");
    run_until_known();
    assert_int_equal(opening.result, ERR_ACCESS);
    assert_int_equal(wakes, 1);
}

static void pod_that_may_not_be_read_is_not_connected_to(void **state)
{
    (void)state;
    listen_with(8);
    web.ip = "127.0.0.1";
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    fake_refuse(api, PATH, ERR_FORBIDDEN, "pods is forbidden");
    run_until_known();
    assert_int_equal(opening.result, ERR_FORBIDDEN);
}

static void refusal_is_passed_on(void **state)
{
    (void)state;
    listen_with(8);
    close(listening);
    listening = -1;
    open_to("127.0.0.1");
    assert_int_equal(opening.result, OK);
    assert_int_equal(opening.stream->end.verdict, V_REFUSED);
}

/* A listener with a full backlog drops SYNs, as a NetworkPolicy does. */
static void silence_is_found_within_the_deadline(void **state)
{
    (void)state;
    int filling[4];
    struct sockaddr_in sa = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    listen_with(0);
    sa.sin_port = htons(port);
    for (size_t i = 0; i < ARRAY_LEN(filling); i++) {
        filling[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        connect(filling[i], (struct sockaddr *)&sa, sizeof(sa));
    }
    uint64_t began = loop_sched(loop)->now;
    open_to("127.0.0.1");
    assert_int_equal(opening.result, ERR_CONNECT);
    assert_in_range(loop_sched(loop)->now - began, 150, 1000);
    for (size_t i = 0; i < ARRAY_LEN(filling); i++)
        close(filling[i]);
}

static void silence_of_the_api_server_is_found_in_the_same_time(void **state)
{
    (void)state;
    web.ip = "127.0.0.1";
    connector_open(direct_connector(direct), &web, 80, &opening, &wake);
    uint64_t began = loop_sched(loop)->now;
    run_until_known();
    assert_int_equal(opening.result, ERR_TIMEOUT);
    assert_in_range(loop_sched(loop)->now - began, 150, 1000);
    /* the call was cancelled, so no caller is left */
    fake_refuse(api, PATH, ERR_TIMEOUT, "late");
    turns(1);
}

static void reset_is_passed_on(void **state)
{
    (void)state;
    int fd = open_connected();
    struct linger linger = { .l_onoff = 1 };

    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(fd);
    turns(2);
    assert_int_equal(opening.stream->end.verdict, V_RESET);
    assert_true(opening.stream->broken);
}

static void our_reset_reaches_the_pod(void **state)
{
    (void)state;
    int fd = open_connected();
    char received[8];

    stream_abort(TAKE(opening.stream));
    assert_int_equal(read(fd, received, sizeof(received)), -1);
    assert_int_equal(errno, ECONNRESET);
    close(fd);
}

static void each_direction_ends_by_itself(void **state)
{
    (void)state;
    int fd = open_connected();

    stream_shutdown(opening.stream);
    turns(1);
    assert_reads(fd, "");
    assert_int_equal(send(fd, "more", 4, MSG_NOSIGNAL), 4);
    turns(2);
    assert_int_equal(opening.stream->in.len, 4);
    assert_int_equal(opening.stream->end.verdict, V_OPEN);
    close(fd);
    turns(2);
    assert_int_equal(opening.stream->end.verdict, V_CLEAN);
}

static void may_be_given_up_at_any_time(void **state)
{
    (void)state;
    listen_with(8);
    web.ip = "127.0.0.1";
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    opening_finish(&opening); /* while the pod object is requested */
    answer_with_address("127.0.0.1");
    turns(1);
    connector_open(direct_connector(direct), &web, port, &opening, &wake);
    opening_finish(&opening); /* while the connection is being made */
    turns(3);
    assert_int_equal(wakes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connects_to_the_pods_address),
        TEST(addresses_of_this_machine_and_link_are_refused),
        TEST(api_servers_address_is_refused),
        TEST(api_servers_address_is_refused_in_any_spelling),
        TEST(answer_of_the_api_server_is_passed_on_whole),
        TEST(address_that_the_pod_does_not_have_is_refused),
        TEST(pod_that_may_not_be_read_is_not_connected_to),
        TEST(refusal_is_passed_on),
        TEST(silence_is_found_within_the_deadline),
        TEST(silence_of_the_api_server_is_found_in_the_same_time),
        TEST(reset_is_passed_on),
        TEST(our_reset_reaches_the_pod),
        TEST(each_direction_ends_by_itself),
        TEST(may_be_given_up_at_any_time),
    };
    return cmocka_run_group_tests_name("session/direct", tests, NULL, NULL);
}
