/* tests/unit/net/address_test.c - addresses as text, and which are loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/own.h"
#include "net/address.h"

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage at = { 0 };
    struct sockaddr_in *v4 = (void *)&at;
    struct sockaddr_in6 *v6 = (void *)&at;

    at.ss_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    v4->sin_port = htons(80);
    assert_int_equal(inet_pton(at.ss_family, text,
                               at.ss_family == AF_INET ? (void *)&v4->sin_addr
                                                       : (void *)&v6->sin6_addr),
                     1);
    return at;
}

static void loopback_is_127_and_1_also_in_ipv6s_clothes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool loopback;
    } cases[] = {
        { "127.0.0.1", true },
        { "127.255.0.9", true },
        { "128.0.0.1", false },
        { "0.0.0.0", false },
        { "::1", true },
        { "::", false },
        { "::ffff:127.0.0.1", true },
        { "::ffff:192.0.2.1", false },
        { "::127.0.0.1", false },
        { "fe80::1", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage at = address(cases[i].text);
        if (address_is_loopback((struct sockaddr *)&at) != cases[i].loopback ||
            host_is_loopback(str_of(cases[i].text)) != cases[i].loopback)
            fail_msg("%s", cases[i].text);
    }
}

static void hosts_of_loopback_may_have_brackets(void **state)
{
    (void)state;
    assert_true(host_is_loopback(STR("localhost")));
    assert_true(host_is_loopback(STR("LocalHost")));
    assert_true(host_is_loopback(STR("[::1]")));
    assert_true(host_is_loopback(STR("[::ffff:127.0.0.1]")));
    assert_false(host_is_loopback(STR("[]")));
    assert_false(host_is_loopback(STR("")));
    assert_false(host_is_loopback(STR("127.0.0.1.evil.example")));
    assert_false(host_is_loopback(STR("0000:0000:0000:0000:0000:0000:0000:0000:1:1:1")));
}

static void a_unix_socket_is_not_loopback(void **state)
{
    (void)state;
    struct sockaddr at = { .sa_family = AF_UNIX };
    assert_false(address_is_loopback(&at));
}

static void a_mapped_address_is_printed_as_ipv4(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "192.0.2.1", "192.0.2.1:80" },
        { "::1", "[::1]:80" },
        { "::ffff:192.0.2.1", "192.0.2.1:80" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage at = address(cases[i][0]);
        char text[ADDRESS_TEXT];
        address_text((struct sockaddr *)&at, text);
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_is_127_and_1_also_in_ipv6s_clothes),
        cmocka_unit_test(hosts_of_loopback_may_have_brackets),
        cmocka_unit_test(a_unix_socket_is_not_loopback),
        cmocka_unit_test(a_mapped_address_is_printed_as_ipv4),
    };
    return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
