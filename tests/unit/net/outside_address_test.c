/* tests/unit/net/outside_address_test.c - which addresses a proxy refuses to reach */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

#include "base/own.h"
#include "net/outside_address.h"

static enum err check(const char *text, struct diag *why)
{
    struct sched sched;
    struct sockaddr_storage at = { 0 };
    struct sockaddr_in *v4 = (void *)&at;
    struct sockaddr_in6 *v6 = (void *)&at;

    sched_init(&sched, 1);
    at.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    void *binary = at.ss_family == AF_INET ? (void *)&v4->sin_addr : &v6->sin6_addr;
    assert_int_equal(inet_pton(at.ss_family, text, binary), 1);
    struct own_addresses *own = own_addresses_create(&sched);
    enum err e = outside_address_check((struct sockaddr *)&at, own, why);
    own_addresses_destroy(own);
    sched_finish(&sched);
    return e;
}

static void refuses_what_only_this_machine_or_link_reaches(void **state)
{
    (void)state;
    static const struct {
        const char *address, *kind;
    } cases[] = {
        { "0.0.0.0", "this machine" },
        { "0.1.2.3", "this machine" },
        { "127.0.0.1", "loopback" },
        { "127.255.255.255", "loopback" },
        { "169.254.169.254", "link-local" },
        { "169.254.0.1", "link-local" },
        { "100.100.100.200", "metadata" },
        { "168.63.129.16", "metadata" },
        { "192.0.0.192", "protocol assignment" },
        { "224.0.0.1", "multicast" },
        { "239.255.255.255", "multicast" },
        { "240.0.0.1", "reserved" },
        { "255.255.255.255", "broadcast" },
        { "::", "this machine" },
        { "::1", "loopback" },
        { "fe80::1", "link-local" },
        { "febf::1", "link-local" },
        { "fec0::1", "site-local" },
        { "ff02::1", "multicast" },
        { "fd00:ec2::254", "metadata" },
        { "fd20:ce::254", "metadata" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { "" };
        if (check(cases[i].address, &why) != ERR_CLOSED ||
            !strstr(why.text, cases[i].kind))
            fail_msg("%s: \"%s\"", cases[i].address, why.text);
    }
}

static void refuses_them_inside_ipv6_addresses(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::7f00:1",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
        "::ffff:0.0.0.0",
        "64:ff9b:1:2:3:4:a9fe:a9fe",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (check(cases[i], NULL) != ERR_CLOSED)
            fail_msg("%s is accepted", cases[i]);
}

static void accepts_others_and_the_neighbours_of_the_blocks(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "1.0.0.0",           "126.255.255.255",
        "128.0.0.0",         "169.253.255.255",
        "169.255.0.0",       "223.255.255.255",
        "192.0.2.1",         "198.51.100.7",
        "2001:db8::1",       "64:ff9b::198.51.100.7",
        "2002:c633:6407::1", "::ffff:198.51.100.7",
        "fd00:ec2::253",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { "" };
        if (check(cases[i], &why))
            fail_msg("%s: \"%s\"", cases[i], why.text);
    }
}

/* Of whatever interfaces there are where the test runs. */
static void refuses_every_address_of_an_interface(void **state)
{
    (void)state;
    struct ifaddrs *all = NULL;
    struct sched sched;

    sched_init(&sched, 1);
    struct own_addresses *own = own_addresses_create(&sched);
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *a = all; a; a = a->ifa_next)
        if (a->ifa_addr &&
            (a->ifa_addr->sa_family == AF_INET || a->ifa_addr->sa_family == AF_INET6))
            assert_int_equal(outside_address_check(a->ifa_addr, own, NULL), ERR_CLOSED);
    freeifaddrs(all);
    own_addresses_destroy(own);
    sched_finish(&sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_only_this_machine_or_link_reaches),
        cmocka_unit_test(refuses_them_inside_ipv6_addresses),
        cmocka_unit_test(accepts_others_and_the_neighbours_of_the_blocks),
        cmocka_unit_test(refuses_every_address_of_an_interface),
    };
    return cmocka_run_group_tests_name("net/outside_address", tests, NULL, NULL);
}
