/* tests/session/clusters_test.c - clusters that are replaced, or that a person has to log in to */
#include "stage.h"

#include "base/own.h"

#define GET "GET / HTTP/1.1\r\nHost: web.shop.localhost\r\n"
#define BROWSER "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static const struct outcome again = { .result = ERR_AGAIN };
static const struct outcome cancelled = { .result = ERR_CANCELLED, .why = "changed" };
static const struct outcome good = { .result = OK };

static void assert_received_part(struct stage *st, struct stream *client,
                                 const char *part)
{
    const char *output = stage_received(st, client);
    if (!strstr(output, part))
        fail_msg("\"%s\" is not in:\n%s", part, output);
}

/* A waiting lease is requested again from the new cluster; the client does not notice. */
static void a_request_that_waits_moves_to_the_new_cluster(void **state)
{
    struct stage *st = *state;
    st->script[0] = again;
    struct stream *client = stage_client(st);

    stage_write(st, client, GET "\r\n");
    assert_int_equal(st->lease_count, 1);
    st->cluster.retired = true;
    st->script[1] = again;
    stage_deliver(st, 0, &cancelled);
    assert_int_equal(st->lease_count, 2);
    assert_true(st->leases[0].returned);
    assert_int_equal(st->leases[1].attempt, st->leases[0].attempt);
    st->cluster.retired = false;
    stage_deliver(st, 1, &good);
    stage_write(st, st->leases[1].pod, ANSWER);
    assert_received_part(st, client, "\r\n\r\nok");
    assert_int_equal(st->cluster.refs, 0);
}

static void a_raw_connection_that_waits_moves_to_the_new_cluster(void **state)
{
    struct stage *st = *state;
    st->script[0] = again;
    struct stream *client = stage_raw_client(st);

    st->cluster.retired = true;
    st->script[1] = good;
    stage_deliver(st, 0, &cancelled);
    assert_int_equal(st->lease_count, 2);
    st->cluster.retired = false;
    stage_write(st, st->leases[1].pod, "welcome");
    assert_received_part(st, client, "welcome");
}

/* The same result of a cluster that is not replaced is a failure like any other. */
static void a_cancelled_lease_of_a_cluster_that_stays_is_an_error(void **state)
{
    struct stage *st = *state;
    st->script[0] = cancelled;
    struct stream *client = stage_client(st);

    stage_write(st, client, GET "\r\n");
    assert_received_part(st, client, "HTTP/1.1 502 ");
    assert_int_equal(st->lease_count, 1);
}

static void a_browser_gets_a_page_with_a_button_instead_of_a_login(void **state)
{
    struct stage *st = *state;
    static const char *const marks[] = {
        BROWSER,
        "Origin: http://web.shop.localhost\r\nAccept: text/html\r\n",
        "Sec-Fetch-Site: none\r\nAccept: text/html\r\n",
    };

    st->login = true;
    for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
        struct stream *client = stage_client(st);
        AUTO_FREE char *request = xasprintf(GET "%s\r\n", marks[i]);
        stage_write(st, client, request);
        const char *page = stage_received(st, client);
        assert_non_null(strstr(page, "HTTP/1.1 503 "));
        assert_non_null(
            strstr(page, "<a href=\"http://localhost:8080/login/\">Log in</a>"));
        assert_non_null(strstr(page, "exec plugin &quot;login&quot; is still running"));
    }
    assert_int_equal(st->lease_count, 0);
}

static void the_login_page_names_the_context_of_the_request(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->login = true;
    stage_write(st, client,
                "GET / HTTP/1.1\r\nHost: web.shop.prod.localhost\r\n" BROWSER "\r\n");
    assert_received_part(st, client, "http://localhost:8080/login/prod\"");
}

/* A browser sends TLS after its CONNECT, so a login page cannot be returned. */
static void a_connect_that_needs_a_login_ends_the_connection(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->login = true;
    stage_write(st, client,
                "CONNECT web.shop.localhost:80 HTTP/1.1\r\nHost: "
                "web.shop.localhost:80\r\n" BROWSER "\r\n");
    const char *page = stage_received(st, client);
    assert_non_null(strstr(page, "HTTP/1.1 503 "));
    assert_non_null(strstr(page, "Connection: close\r\n"));
    assert_int_equal(st->lease_count, 0);
}

static void a_program_may_start_a_login(void **state)
{
    struct stage *st = *state;
    struct stream *client = stage_client(st);

    st->login = true;
    stage_write(st, client, GET "User-Agent: curl/8\r\n\r\n");
    assert_int_equal(st->lease_count, 1);
}

/* A browser may connect without sending anything, and the first bytes of TLS do not show
 * that it is a browser. */
static void a_raw_connection_never_starts_a_login(void **state)
{
    struct stage *st = *state;
    static const char *const texts[] = { "", "\x16\x03\x01\x02", "hello\n" };

    st->login = true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct stream *client = stage_raw_client(st);
        stage_write(st, client, texts[i]);
        stage_pass(st, 2000);
        assert_true(client->broken || client->end.verdict != V_OPEN || client->in_eof);
    }
    assert_int_equal(st->lease_count, 0);
}

static void http_on_an_exposed_port_is_judged_by_its_fields(void **state)
{
    struct stage *st = *state;
    st->any_host = true;
    st->login = true;

    struct stream *browser = stage_raw_client(st);
    stage_write(st, browser, GET BROWSER "\r\n");
    assert_received_part(st, browser, "HTTP/1.1 503 ");
    assert_int_equal(st->lease_count, 0);
    struct stream *program = stage_raw_client(st);
    stage_write(st, program, GET "\r\n");
    assert_int_equal(st->lease_count, 1);
    stage_write(st, st->leases[0].pod, ANSWER);
    assert_received_part(st, program, "\r\n\r\nok");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_that_waits_moves_to_the_new_cluster),
        TEST(a_raw_connection_that_waits_moves_to_the_new_cluster),
        TEST(a_cancelled_lease_of_a_cluster_that_stays_is_an_error),
        TEST(a_browser_gets_a_page_with_a_button_instead_of_a_login),
        TEST(the_login_page_names_the_context_of_the_request),
        TEST(a_connect_that_needs_a_login_ends_the_connection),
        TEST(a_program_may_start_a_login),
        TEST(a_raw_connection_never_starts_a_login),
        TEST(http_on_an_exposed_port_is_judged_by_its_fields),
    };
    return cmocka_run_group_tests_name("session/clusters", tests, NULL, NULL);
}
