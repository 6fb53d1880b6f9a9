/* tests/unit/serve/forwarded_test.c - the value of a Forwarded field (RFC 7239) */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "serve/forwarded.h"

static char room[FORWARDED_ROOM + 1];

static const char *value_of(const char *host, const char *authority, const char *client)
{
    struct http1_field field = { .value = str_of(host ? host : "") };
    struct http1_head head = { .host = host ? &field : NULL };
    struct target target = { 0 };

    if (authority)
        target.authority = str_of(authority);
    struct str value =
        forwarded_value(&head, &target, &(struct forwarding){ client, false }, room);
    assert_true(value.len < FORWARDED_ROOM);
    room[value.len] = '\0';
    return room;
}

static void the_host_is_that_of_the_request(void **state)
{
    (void)state;
    assert_string_equal(value_of("web.shop", NULL, "127.0.0.1"),
                        "for=\"127.0.0.1\";host=\"web.shop\";proto=http");
    assert_string_equal(value_of(NULL, NULL, "127.0.0.1"),
                        "for=\"127.0.0.1\";proto=http");
}

static void the_host_of_an_absolute_target_comes_first(void **state)
{
    (void)state;
    assert_string_equal(value_of("web.shop", "api.shop:81", "127.0.0.1"),
                        "for=\"127.0.0.1\";host=\"api.shop:81\";proto=http");
}

static void an_ipv6_address_has_brackets_once(void **state)
{
    (void)state;
    assert_string_equal(value_of("a.b", NULL, "::1"),
                        "for=\"[::1]\";host=\"a.b\";proto=http");
    assert_string_equal(value_of("a.b", NULL, "[::1]:40000"),
                        "for=\"[::1]:40000\";host=\"a.b\";proto=http");
}

static void a_host_that_cannot_be_quoted_is_left_out(void **state)
{
    (void)state;
    assert_string_equal(value_of("a\".b", NULL, "127.0.0.1"),
                        "for=\"127.0.0.1\";proto=http");
}

static void a_host_of_400_bytes_is_the_longest(void **state)
{
    char host[402], wanted[FORWARDED_ROOM];

    (void)state;
    memset(host, 'h', sizeof(host));
    host[401] = '\0';
    assert_string_equal(value_of(host, NULL, "127.0.0.1"),
                        "for=\"127.0.0.1\";proto=http");
    host[400] = '\0';
    snprintf(wanted, sizeof(wanted), "for=\"127.0.0.1\";host=\"%s\";proto=http", host);
    assert_string_equal(value_of(host, NULL, "127.0.0.1"), wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_host_is_that_of_the_request),
        cmocka_unit_test(the_host_of_an_absolute_target_comes_first),
        cmocka_unit_test(an_ipv6_address_has_brackets_once),
        cmocka_unit_test(a_host_that_cannot_be_quoted_is_left_out),
        cmocka_unit_test(a_host_of_400_bytes_is_the_longest),
    };
    return cmocka_run_group_tests_name("serve/forwarded", tests, NULL, NULL);
}
