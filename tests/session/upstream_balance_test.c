/* tests/session/upstream_balance_test.c - which endpoint gets the next request */
#include "upstream_rig.h"

#include <string.h>

#include "base/map.h"
#include "base/own.h"

/* A lease that is returned at once; returns the endpoint's letter. */
static char lease_one(const char *host, const char *client)
{
    struct borrower a;

    borrower_init(&a, host);
    a.want.client = str_of(client);
    a.want.wait_until = rig.sched->now;
    borrower_lease(&a);
    char chosen = a.lease.result == OK ? a.lease.endpoint->uid[0] : '-';
    borrower_return(&a, RELEASE_CLOSE);
    return chosen;
}

static void two_endpoints_take_turns(void **state)
{
    (void)state;
    char before = lease_one("web.shop", "1");

    for (int i = 0; i < 50; i++) {
        char next = lease_one("web.shop", "1");
        assert_int_not_equal(next, before);
        before = next;
    }
}

static void every_endpoint_gets_its_share(void **state)
{
    (void)state;
    unsigned counts[256] = { 0 };

    rig_service("abcdef");
    for (int i = 0; i < 240; i++)
        counts[(uint8_t)lease_one("web.shop", "1")]++;
    for (char c = 'a'; c <= 'f'; c++)
        assert_in_range(counts[(uint8_t)c], 25, 55);
}

static void the_less_loaded_endpoint_is_chosen(void **state)
{
    (void)state;
    struct borrower held[3];

    borrower_get(&held[0]);
    borrower_get(&held[1]);
    borrower_get(&held[2]); /* one endpoint has two leases now */
    char busy = held[2].lease.endpoint->uid[0];
    for (int i = 0; i < 20; i++)
        assert_int_not_equal(lease_one("web.shop", "1"), busy);
    for (int i = 0; i < 3; i++)
        borrower_return(&held[i], RELEASE_CLOSE);
}

static void a_sticky_client_keeps_its_endpoint(void **state)
{
    (void)state;
    static const char *const clients[] = { "192.0.2.1", "192.0.2.2",   "192.0.2.3",
                                           "192.0.2.4", "2001:db8::1", "2001:db8::2",
                                           "10.0.0.1",  "10.0.0.2" };
    char home[ARRAY_LEN(clients)];
    unsigned seen = 0;

    rig_service("abcd");
    rig.service->sticky = true;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
        home[i] = lease_one("web.shop", clients[i]);
        seen |= 1u << (home[i] - 'a');
        for (int k = 0; k < 5; k++)
            assert_int_equal(lease_one("web.shop", clients[i]), home[i]);
    }
    assert_true((seen & (seen - 1)) != 0); /* not all on one */
    rig_service("abc"); /* only requests of the removed endpoint move */
    rig.service->sticky = true;
    for (size_t i = 0; i < ARRAY_LEN(clients); i++)
        if (home[i] != 'd')
            assert_int_equal(lease_one("web.shop", clients[i]), home[i]);
}

static void the_avoided_endpoint_is_the_last_choice(void **state)
{
    (void)state;
    struct endpoint *avoid = endpoint_ref(rig.service->endpoints[0]);

    for (int i = 0; i < 10; i++) {
        struct borrower a;
        borrower_init(&a, "web.shop");
        a.want.avoid = avoid;
        borrower_lease(&a);
        assert_string_equal(a.lease.endpoint->uid, "b");
        borrower_return(&a, RELEASE_CLOSE);
    }
    struct borrower a;
    rig_service("a1");
    borrower_init(&a, "web.shop");
    a.want.avoid = avoid;
    borrower_lease(&a);
    /* it still precedes a terminating one */
    assert_string_equal(a.lease.endpoint->uid, "a");
    borrower_return(&a, RELEASE_CLOSE);
    endpoint_unref(avoid);
}

static void terminating_endpoints_are_the_last_choice(void **state)
{
    (void)state;

    rig_service("a1");
    for (int i = 0; i < 10; i++)
        assert_int_equal(lease_one("web.shop", "1"), 'a');
    rig_service("A1");
    assert_int_equal(lease_one("web.shop", "1"), '1');
    rig_service("AB");
    assert_int_equal(lease_one("web.shop", "1"), '-');
}

static void an_endpoint_is_reached_by_its_own_name_when_not_ready(void **state)
{
    (void)state;

    rig_service("aB1");
    for (int i = 0; i < 5; i++) {
        assert_int_equal(lease_one("b.web.shop.svc", "1"), 'b');
        assert_int_equal(lease_one("1.web.shop.svc", "1"), '1');
        assert_int_equal(lease_one("a.web.shop.svc", "1"), 'a');
    }
    assert_int_equal(lease_one("c.web.shop.svc", "1"), '-');
}

static enum err result_with_target_port(const char *host, uint16_t target_port)
{
    struct borrower a;

    borrower_init(&a, host);
    a.route.target_port = target_port;
    borrower_lease(&a);
    enum err e = a.lease.result;
    borrower_return(&a, RELEASE_CLOSE);
    return e;
}

static enum err result_for(const char *host)
{
    return result_with_target_port(host, 0);
}

/* The own pod is recognised by uid (m) and by name (n), whether ready or not. */
static void service_that_includes_our_pod_is_never_forwarded(void **state)
{
    (void)state;
    static const char *const services[] = { "m",  "n",  "am", "abn", "aM",
                                            "aN", "Am", "1m", "am1" };

    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        rig_service(services[i]);
        assert_int_equal(result_for("web.shop"), ERR_SELF);
        assert_int_equal(result_for("_http._tcp.web.shop.svc"), ERR_SELF);
    }
    assert_int_equal(rig.dial_count, 0);
}

static void name_of_a_replica_leads_to_that_replica_only(void **state)
{
    (void)state;

    rig_service("am");
    assert_int_equal(result_for("m.web.shop.svc"), ERR_SELF);
    assert_int_equal(result_for("tunnel-0.web.shop.svc"), ERR_UNAVAILABLE);
    assert_int_equal(lease_one("a.web.shop.svc", "1"), 'a');
    rig_service("an");
    assert_int_equal(result_for("tunnel-0.web.shop.svc"), ERR_SELF);
}

static void target_port_does_not_lead_past_our_pod(void **state)
{
    (void)state;

    rig_service("am");
    rig_drop_ports(1);
    assert_int_equal(result_with_target_port("web.shop", 8080), ERR_SELF);
}

/* The route cannot use it: the own pod does not have this port. */
static void our_own_pod_without_the_port_is_ignored(void **state)
{
    (void)state;

    rig_service("am");
    rig_drop_ports(1);
    assert_int_equal(lease_one("web.shop", "1"), 'a');
}

/* A pod in kube-tunnel's network namespace, or any slice with that address. */
static void endpoint_at_our_listener_is_refused_as_a_loop(void **state)
{
    (void)state;

    rig_service("aB");
    rig.service->endpoints[1]->ip = "192.0.2.1";
    assert_int_equal(result_for("web.shop"), ERR_LOOP);
    assert_int_equal(result_for("b.web.shop.svc"), ERR_LOOP);
    assert_int_equal(lease_one("a.web.shop.svc", "1"), 'a');
    assert_int_equal(result_with_target_port("web.shop", 8081), OK);
    rig_service("am");
    rig.service->endpoints[0]->ip = "192.0.2.1";
    assert_int_equal(result_for("web.shop"), ERR_SELF);
}

static void an_endpoint_without_the_port_is_not_chosen(void **state)
{
    (void)state;

    rig_drop_ports(0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(lease_one("web.shop", "1"), 'b');
}

/* A pod is removed while it has a request, and a pod with the same uid is added. */
static void forgetting_a_pod_forgets_its_load(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    borrower_get(&a);
    rig_gone("a");
    borrower_return(&a, RELEASE_CLOSE);
    rig_gone("a");
    assert_int_equal(lease_one("web.shop", "1"), 'a');
    rig_gone("a");
}

/* One request to this endpoint, refused by its container. */
static void refuse(char uid)
{
    for (;;) {
        struct borrower a;
        borrower_get(&a);
        bool found = a.lease.endpoint->uid[0] == uid;
        if (found)
            stream_end(a.lease.stream, V_REFUSED, "connection refused");
        borrower_return(&a, found ? RELEASE_ABORT : RELEASE_CLOSE);
        if (found)
            return;
    }
}

static void an_outlier_is_the_last_choice_for_half_a_minute(void **state)
{
    (void)state;

    refuse('a');
    unsigned once = 0, later = 0;
    for (int i = 0; i < 10; i++)
        once += lease_one("web.shop", "1") == 'a'; /* and a response ends that */
    assert_true(once > 0);

    refuse('a');
    refuse('a');
    for (int i = 0; i < 10; i++)
        assert_int_equal(lease_one("web.shop", "1"), 'b');
    rig_advance(30001);
    for (int i = 0; i < 10; i++)
        later += lease_one("web.shop", "1") == 'a';
    assert_true(later > 0);
}

static void an_outlier_without_alternative_is_chosen(void **state)
{
    (void)state;

    rig_service("a");
    refuse('a');
    refuse('a');
    assert_int_equal(lease_one("web.shop", "1"), 'a');
}

/* How many endpoints are used by this many requests, one after the other. */
static size_t spread(int requests)
{
    struct map seen;
    map_init(&seen);
    for (int i = 0; i < requests; i++) {
        struct borrower a;
        borrower_init(&a, "web.shop");
        borrower_lease(&a);
        assert_int_equal(a.lease.result, OK);
        map_set(&seen, str_of(a.lease.endpoint->key), rig.service);
        borrower_return(&a, RELEASE_CLOSE);
        rig.dial_count = 0; /* the rig has room for a limited number */
    }
    size_t count = seen.count;
    map_finish(&seen);
    return count;
}

/* With 5,000 endpoints in use, each would get a tunnel for a single request. */
static void of_many_endpoints_64_are_used(void **state)
{
    (void)state;

    rig_large_service(64);
    assert_int_equal(spread(1000), 64);
    rig_large_service(1000);
    assert_int_equal(spread(1000), 64);
}

static void where_the_first_64_lack_the_port_others_are_used(void **state)
{
    (void)state;

    rig_large_service(100);
    for (size_t i = 0; i < 64; i++)
        rig_drop_ports(i);
    assert_int_equal(spread(500), 36);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        TEST(two_endpoints_take_turns),
        TEST(every_endpoint_gets_its_share),
        TEST(the_less_loaded_endpoint_is_chosen),
        TEST(a_sticky_client_keeps_its_endpoint),
        TEST(the_avoided_endpoint_is_the_last_choice),
        TEST(terminating_endpoints_are_the_last_choice),
        TEST(an_endpoint_is_reached_by_its_own_name_when_not_ready),
        TEST(service_that_includes_our_pod_is_never_forwarded),
        TEST(name_of_a_replica_leads_to_that_replica_only),
        TEST(target_port_does_not_lead_past_our_pod),
        TEST(our_own_pod_without_the_port_is_ignored),
        TEST(endpoint_at_our_listener_is_refused_as_a_loop),
        TEST(an_endpoint_without_the_port_is_not_chosen),
        TEST(forgetting_a_pod_forgets_its_load),
        TEST(an_outlier_is_the_last_choice_for_half_a_minute),
        TEST(an_outlier_without_alternative_is_chosen),
        TEST(of_many_endpoints_64_are_used),
        TEST(where_the_first_64_lack_the_port_others_are_used),
    };
    return cmocka_run_group_tests_name("upstream/balance", tests, NULL, NULL);
}
