/* tests/session/zone_test.c - requests that come while the cluster's domain is looked for */
#include "stage.h"

#include "base/own.h"

#define HELD "GET / HTTP/1.1\r\nHost: web.shop.svc.corp.example\r\n\r\n"
#define OK_ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

static struct stream *send_request(struct stage *st, const char *request)
{
    struct stream *client = stage_client(st);

    stage_write(st, client, request);
    return client;
}

static void find(struct stage *st, const char *zone)
{
    if (zone)
        naming_set_found_zone(&st->naming, zone);
    naming_end_look(&st->naming);
    stage_run(st);
}

static void a_name_that_may_be_of_the_cluster_waits_for_its_domain(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    struct stream *client = send_request(st, HELD);
    assert_int_equal(st->lease_count, 0);
    assert_received(st, client, "");
    find(st, "corp.example");
    assert_int_equal(st->lease_count, 1);
    stage_write(st, pod(st, 0), OK_ANSWER);
    assert_received(st, client, OK_ANSWER);
}

static void other_names_do_not_wait(void **state)
{
    struct stage *st = *state;
    static const char *const hosts[] = { "web.shop.svc.cluster.local", "web.shop.svc",
                                         "web.shop.localhost", "web.shop.svc.localhost",
                                         "db-0.shop.pod" };

    st->naming.looking = true;
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        AUTO_FREE char *request =
            xasprintf("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", hosts[i]);
        send_request(st, request);
        assert_int_equal(st->lease_count, i + 1);
    }
    static const char *const wrong[] = { "www.example.org", "web.svc.example.org",
                                         "a.b.c.d.e.svc.example.org", "svc.example.org" };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        AUTO_FREE char *request =
            xasprintf("GET / HTTP/1.1\r\nHost: %s\r\n\r\n", wrong[i]);
        assert_non_null(strstr(stage_received(st, send_request(st, request)), " 400 "));
    }
}

static void another_domain_is_refused_once_it_is_known(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    struct stream *client = send_request(st, HELD);
    find(st, "other.example");
    const char *answer = stage_received(st, client);
    assert_non_null(strstr(answer, " 400 "));
    assert_non_null(strstr(answer, "svc.other.example"));
}

static void a_name_is_refused_where_no_domain_is_found(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    struct stream *client = send_request(st, HELD);
    find(st, NULL);
    assert_non_null(strstr(stage_received(st, client), " 400 "));
}

static void the_wait_is_two_seconds_at_most(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    struct stream *client = send_request(st, HELD);
    stage_pass(st, 1999);
    assert_received(st, client, "");
    stage_pass(st, 2);
    assert_non_null(strstr(stage_received(st, client), " 400 "));
    find(st, "corp.example");
    assert_int_equal(st->lease_count, 0);
}

static void a_client_may_close_during_the_wait(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    struct stream *client = send_request(st, HELD);
    drop(st, &client);
    stage_run(st);
    assert_true(list_empty(&st->naming.waiting));
    find(st, "corp.example");
    assert_int_equal(st->lease_count, 0);
}

static void shutdown_does_not_wait_for_the_domain(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    send_request(st, HELD);
    stage_drain(st);
    assert_true(list_empty(&st->naming.waiting));
}

static void a_body_received_during_the_wait_is_sent(void **state)
{
    struct stage *st = *state;

    st->naming.looking = true;
    send_request(st,
                 "POST / HTTP/1.1\r\nHost: web.shop.svc.corp.example\r\nContent-Length: "
                 "5\r\n\r\nhello");
    find(st, "corp.example");
    assert_non_null(strstr(stage_received(st, pod(st, 0)), "\r\n\r\nhello"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_name_that_may_be_of_the_cluster_waits_for_its_domain),
        TEST(other_names_do_not_wait),
        TEST(another_domain_is_refused_once_it_is_known),
        TEST(a_name_is_refused_where_no_domain_is_found),
        TEST(the_wait_is_two_seconds_at_most),
        TEST(a_client_may_close_during_the_wait),
        TEST(shutdown_does_not_wait_for_the_domain),
        TEST(a_body_received_during_the_wait_is_sent),
    };
    return cmocka_run_group_tests_name("session/zone", tests, NULL, NULL);
}
