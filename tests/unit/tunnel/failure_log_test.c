/* tests/unit/tunnel/failure_log_test.c - a series of equal dial failures causes two log
 * lines */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "captured_log.h"
#include "tunnel/failure_log.h"

static struct failure_log failures;

static int setup(void **state)
{
    (void)state;
    captured_log_begin();
    failures = (struct failure_log){ .pod = "web-1" };
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    captured_log_end();
    return 0;
}

/* The log line for a failure with this reason. */
static const char *dial_failed(const char *reason, uint64_t now)
{
    struct api_error error = { .code = ERR_CONNECT, .status = 502 };

    diag_set(&error.why, ERR_CONNECT, "%s", reason);
    failure_log_add(&failures, &error, now);
    return captured_log();
}

static const char *row_ended(bool success, uint64_t now)
{
    failure_log_end(&failures, success, now);
    return captured_log();
}

static void only_the_first_of_equal_failures_is_a_warning(void **state)
{
    (void)state;
    assert_non_null(strstr(dial_failed("refused", 1000),
                           "WARN  tunnel port-forward failed pod=web-1 status=502 "
                           "reason=refused"));
    assert_string_equal(dial_failed("refused", 2000), "");
    assert_string_equal(dial_failed("refused", 6999), "");
    assert_string_not_equal(dial_failed("no route", 7000), "");
    assert_string_equal(dial_failed("no route", 8000), "");
}

static void a_success_ends_a_row_with_its_count_and_seconds(void **state)
{
    (void)state;
    dial_failed("refused", 1000);
    dial_failed("refused", 3000);
    dial_failed("refused", 4000);
    assert_non_null(strstr(row_ended(true, 5500),
                           "INFO  tunnel port-forward works again pod=web-1 "
                           "failed_dials=3 seconds=4"));
    assert_string_not_equal(dial_failed("refused", 5600), "");
}

static void giving_up_ends_a_row_with_a_warning(void **state)
{
    (void)state;
    dial_failed("refused", 1000);
    dial_failed("refused", 2000);
    assert_non_null(strstr(row_ended(false, 3000),
                           "WARN  tunnel port-forward failed, no further dials pod=web-1 "
                           "failed_dials=2 seconds=2"));
}

static void one_failure_is_no_row(void **state)
{
    (void)state;
    dial_failed("refused", 1000);
    assert_string_equal(row_ended(true, 2000), "");
    assert_string_equal(row_ended(true, 2000), "");
}

static void failures_5_s_apart_are_logged_one_by_one(void **state)
{
    (void)state;
    assert_false(failure_log_goes_on(&failures, 0));
    assert_string_not_equal(dial_failed("refused", 1000), "");
    assert_true(failure_log_goes_on(&failures, 5999));
    assert_false(failure_log_goes_on(&failures, 6000));
    assert_string_not_equal(dial_failed("refused", 6000), "");
    assert_string_equal(dial_failed("refused", 10999), "");
}

static void a_failure_of_credentials_is_left_to_their_own_line(void **state)
{
    (void)state;
    struct api_error error = { .code = ERR_CREDENTIALS };

    failure_log_add(&failures, &error, 1000);
    assert_string_equal(captured_log(), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(only_the_first_of_equal_failures_is_a_warning),
        TEST(a_success_ends_a_row_with_its_count_and_seconds),
        TEST(giving_up_ends_a_row_with_a_warning),
        TEST(one_failure_is_no_row),
        TEST(failures_5_s_apart_are_logged_one_by_one),
        TEST(a_failure_of_credentials_is_left_to_their_own_line),
    };
    return cmocka_run_group_tests_name("tunnel/failure_log", tests, NULL, NULL);
}
