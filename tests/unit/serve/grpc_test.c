/* tests/unit/serve/grpc_test.c - calls of gRPC, their time, and errors as their status */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "serve/grpc.h"

static struct http1_field fields[8];

/* A request with this field. */
static struct http1_head head_with(const char *field)
{
    static char text[200];
    struct http1_head head = { .fields = fields, .room = 8 };

    int len = snprintf(text, sizeof(text), "POST /a/B HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n",
                       field);
    assert_int_equal(http1_request_parse(text, (size_t)len, &head), OK);
    return head;
}

static void grpc_is_known_by_its_content_type(void **state)
{
    static const struct {
        const char *field;
        bool grpc;
    } rows[] = {
        { "Content-Type: application/grpc", true },
        { "Content-Type: Application/gRPC", true },
        { "Content-Type: application/grpc+proto", true },
        { "Content-Type: application/grpc;charset=x", true },
        { "Content-Type: application/grpc-web", false },
        { "Content-Type: application/grp", false },
        { "Content-Type: application/json", false },
        { "Accept: application/grpc", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http1_head head = head_with(rows[i].field);
        if (grpc_is_request(&head) != rows[i].grpc)
            fail_msg("%s", rows[i].field);
    }
}

static void a_timeout_is_read_in_each_of_its_units(void **state)
{
    static const struct {
        const char *field;
        uint64_t ms;
    } rows[] = {
        { "grpc-timeout: 2H", 7200000 },
        { "grpc-timeout: 3M", 180000 },
        { "grpc-timeout: 4S", 4000 },
        { "grpc-timeout: 5m", 5 },
        { "grpc-timeout: 6000u", 6 },
        { "grpc-timeout: 7000000n", 7 },
        { "grpc-timeout: 99999999H", 359999996400000 },
        { "grpc-timeout: 100000000H", UINT64_MAX }, /* nine digits */
        { "grpc-timeout: 5", UINT64_MAX },
        { "grpc-timeout: S", UINT64_MAX },
        { "grpc-timeout: 5x", UINT64_MAX },
        { "grpc-timeout: -5S", UINT64_MAX },
        { "x-timeout: 5S", UINT64_MAX },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct http1_head head = head_with(rows[i].field);
        if (grpc_timeout_ms(&head) != rows[i].ms)
            fail_msg("%s: %llu ms", rows[i].field,
                     (unsigned long long)grpc_timeout_ms(&head));
    }
}

static void each_status_has_its_grpc_code(void **state)
{
    static const int codes[][2] = { { 400, 13 }, { 401, 16 }, { 403, 7 },  { 404, 12 },
                                    { 429, 14 }, { 502, 14 }, { 503, 14 }, { 504, 14 },
                                    { 500, 2 },  { 302, 2 } };

    (void)state;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        char room[GRPC_MESSAGE_ROOM];
        struct page page = { .status = codes[i][0],
                             .type = "text/html",
                             .body = STR("x") };
        grpc_page(&page, STR("why"), room);
        assert_int_equal(page.grpc_status, codes[i][1]);
        assert_string_equal(page.type, "application/grpc");
        assert_int_equal(page.body.len, 0);
    }
}

static void the_message_is_percent_encoded(void **state)
{
    char room[GRPC_MESSAGE_ROOM];
    struct page page = { .status = 503 };
    const char *wanted = "50%25 of \"caf%C3%A9\"%0A%7F~";

    (void)state;
    grpc_page(&page, STR("50% of \"caf\xc3\xa9\"\n\x7f~"), room);
    assert_int_equal(page.grpc_message.len, strlen(wanted));
    assert_memory_equal(page.grpc_message.at, wanted, strlen(wanted));
}

static void a_long_message_is_cut_within_its_room(void **state)
{
    struct {
        char room[GRPC_MESSAGE_ROOM];
        char after[16];
    } memory = { .after = "untouched" };
    char text[2 * GRPC_MESSAGE_ROOM];
    struct page page = { .status = 503 };

    (void)state;
    memset(text, '\t', sizeof(text));
    grpc_page(&page, (struct str){ text, sizeof(text) }, memory.room);
    assert_int_equal(page.grpc_message.len, (GRPC_MESSAGE_ROOM - 1) / 3 * 3);
    assert_memory_equal(page.grpc_message.at + page.grpc_message.len - 3, "%09", 3);
    assert_string_equal(memory.after, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grpc_is_known_by_its_content_type),
        cmocka_unit_test(a_timeout_is_read_in_each_of_its_units),
        cmocka_unit_test(each_status_has_its_grpc_code),
        cmocka_unit_test(the_message_is_percent_encoded),
        cmocka_unit_test(a_long_message_is_cut_within_its_room),
    };
    return cmocka_run_group_tests_name("serve/grpc", tests, NULL, NULL);
}
