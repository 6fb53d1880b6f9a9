/* tests/unit/dns/sources_test.c - how many responses an address outside this machine gets */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/address.h"
#include "base/own.h"
#include "dns/sources.h"

#define RATE 10

static struct sched sched;

struct count {
    size_t answers, truncated, dropped;
};

static enum source_verdict take(struct sources *s, const char *address)
{
    struct sockaddr_storage sa;

    assert_true(address_parse(str_of(address), &sa));
    return sources_take(s, (struct sockaddr *)&sa);
}

static struct count take_many(struct sources *s, const char *address, size_t n)
{
    struct count c = { 0 };

    for (size_t i = 0; i < n; i++) {
        enum source_verdict v = take(s, address);
        c.answers += v == SOURCE_ANSWER;
        c.truncated += v == SOURCE_TRUNCATE;
        c.dropped += v == SOURCE_DROP;
    }
    return c;
}

static void an_address_gets_its_rate_and_is_led_to_tcp_beyond_it(void **state)
{
    (void)state;
    struct sources *s = sources_create(&sched, RATE);

    struct count c = take_many(s, "192.0.2.1", RATE + 20);
    assert_int_equal(c.answers, RATE);
    assert_int_equal(c.truncated, 10);
    assert_int_equal(c.dropped, 10);
    sched_run(&sched, sched.now + 500);
    assert_int_equal(take_many(s, "192.0.2.1", RATE).answers, RATE / 2);
    sched_run(&sched, sched.now + 3600000);
    assert_int_equal(take_many(s, "192.0.2.1", 3 * RATE).answers, RATE);
    sources_destroy(s);
}

static void each_address_has_a_rate_of_its_own(void **state)
{
    (void)state;
    struct sources *s = sources_create(&sched, RATE);

    assert_int_equal(take_many(s, "192.0.2.1", 2 * RATE).answers, RATE);
    assert_int_equal(take_many(s, "192.0.2.2", 2 * RATE).answers, RATE);
    assert_int_equal(take_many(s, "::ffff:192.0.2.2", RATE).answers, 0);
    sources_destroy(s);
}

static void a_network_of_ipv6_is_one_source(void **state)
{
    (void)state;
    struct sources *s = sources_create(&sched, RATE);

    assert_int_equal(take_many(s, "2001:db8:0:1::1", RATE).answers, RATE);
    assert_int_equal(take_many(s, "2001:db8:0:1:ffff::2", RATE).answers, 0);
    assert_int_equal(take_many(s, "2001:db8:0:2::1", RATE).answers, RATE);
    sources_destroy(s);
}

static void this_machine_is_not_limited(void **state)
{
    (void)state;
    struct sources *s = sources_create(&sched, 1);

    assert_int_equal(take_many(s, "127.0.0.1", 1000).answers, 1000);
    assert_int_equal(take_many(s, "127.9.8.7", 1000).answers, 1000);
    assert_int_equal(take_many(s, "::1", 1000).answers, 1000);
    sources_destroy(s);
}

/* Forged sources fill the table: an address that goes on asking keeps its place. */
static void many_addresses_do_not_reset_the_one_that_asks_most(void **state)
{
    (void)state;
    struct sources *s = sources_create(&sched, RATE);
    size_t answers = take_many(s, "192.0.2.1", RATE).answers;

    for (unsigned i = 0; i < 5000; i++) {
        AUTO_FREE char *other = xasprintf("10.0.%u.%u", i / 250, i % 250 + 1);
        sched_run(&sched, sched.now + 1);
        assert_int_equal(take(s, other), SOURCE_ANSWER);
        answers += take(s, "192.0.2.1") == SOURCE_ANSWER;
    }
    assert_in_range(answers, RATE, RATE + 51); /* 5 s at that rate */
    sources_destroy(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_gets_its_rate_and_is_led_to_tcp_beyond_it),
        cmocka_unit_test(each_address_has_a_rate_of_its_own),
        cmocka_unit_test(a_network_of_ipv6_is_one_source),
        cmocka_unit_test(this_machine_is_not_limited),
        cmocka_unit_test(many_addresses_do_not_reset_the_one_that_asks_most),
    };
    sched_init(&sched, 1);
    sched.now = 1;
    int failed = cmocka_run_group_tests_name("dns/sources", tests, NULL, NULL);
    sched_finish(&sched);
    return failed;
}
