/* tests/unit/base/address_test.c - addresses as text, and which are loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include "base/address.h"
#include "base/own.h"

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

static void loopback_is_127_and_1_also_mapped_into_ipv6(void **state)
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

static void a_unix_socket_has_no_address_and_no_port(void **state)
{
    (void)state;
    struct sockaddr at = { .sa_family = AF_UNIX };
    char text[INET6_ADDRSTRLEN] = "before";

    assert_false(address_is_loopback(&at));
    assert_int_equal(address_port(&at), 0);
    assert_int_equal(address_bytes(&at).len, 0);
    assert_false(address_ip_text(&at, text));
    assert_string_equal(text, "");
}

static void an_address_has_a_port_and_bytes(void **state)
{
    (void)state;
    struct sockaddr_storage v4 = address("192.0.2.1"), v6 = address("2001:db8::1");

    assert_int_equal(address_port((struct sockaddr *)&v4), 80);
    assert_int_equal(address_port((struct sockaddr *)&v6), 80);
    assert_true(str_eq(address_bytes((struct sockaddr *)&v4),
                       (struct str){ "\xc0\x00\x02\x01", 4 }));
    assert_int_equal(address_bytes((struct sockaddr *)&v6).len, 16);
}

/* Which texts address_parse accepts, and which only a resolver does. */
static void text_is_an_address_a_number_or_a_name(void **state)
{
    (void)state;
    const struct {
        struct str text;
        bool address, number, loopback;
    } cases[] = {
        { STR("127.0.0.1"), true, true, true },
        { STR("10.0.0.1"), true, true, false },
        { STR("2001:db8::1"), true, true, false },
        { STR("127.1"), false, true, true },
        { STR("0x7f.1"), false, true, true },
        { STR("2130706433"), false, true, true },
        { STR("10.1"), false, true, false },
        { STR("127.0.0.1 "), false, false, false },
        { STR("127.0.0.1\0"), false, false, false },
        { STR("127.0.0.1\0x"), false, false, false },
        { STR("127.0.0.256"), false, false, false },
        { STR("127."), false, false, false },
        { STR("127.0.0.1.example"), false, false, false },
        { STR("fe80::1%lo"), false, false, false },
        { STR("[::1]"), false, false, true },
        { STR(""), false, false, false },
        { STR("cafe"), false, false, false },
        { STR("localhost"), false, false, true },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (host_is_address(cases[i].text) != cases[i].address ||
            host_is_number(cases[i].text) != cases[i].number ||
            host_is_loopback(cases[i].text) != cases[i].loopback)
            fail_msg("%.*s", STR_ARG(cases[i].text));
}

static void an_address_is_printed_in_its_canonical_form(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "192.0.2.1", "192.0.2.1" },
        { "2001:0DB8:0:0::1", "2001:db8::1" },
        { "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sockaddr_storage at;
        char text[INET6_ADDRSTRLEN];
        assert_true(address_parse(str_of(cases[i][0]), &at));
        assert_true(address_ip_text((struct sockaddr *)&at, text));
        assert_string_equal(text, cases[i][1]);
        assert_int_equal(address_port((struct sockaddr *)&at), 0);
    }
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
        cmocka_unit_test(loopback_is_127_and_1_also_mapped_into_ipv6),
        cmocka_unit_test(hosts_of_loopback_may_have_brackets),
        cmocka_unit_test(a_unix_socket_has_no_address_and_no_port),
        cmocka_unit_test(an_address_has_a_port_and_bytes),
        cmocka_unit_test(text_is_an_address_a_number_or_a_name),
        cmocka_unit_test(an_address_is_printed_in_its_canonical_form),
        cmocka_unit_test(a_mapped_address_is_printed_as_ipv4),
    };
    return cmocka_run_group_tests_name("net/address", tests, NULL, NULL);
}
