/* tests/unit/wire/trace_context_test.c - traceparent: what is valid, and round trips */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "wire/trace_context.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

static void reads_and_writes_the_example_of_the_standard(void **state)
{
    const char *text = "00-" TRACE "-" SPAN "-01";
    char again[TRACEPARENT_LENGTH];
    struct trace_context c;
    (void)state;

    assert_true(traceparent_read(str_of(text), &c));
    assert_true(c.sampled);
    assert_false(c.random);
    assert_int_equal(c.trace_id[0], 0x0a);
    assert_int_equal(c.span_id[7], 0x31);
    traceparent_write(&c, again);
    assert_memory_equal(again, text, TRACEPARENT_LENGTH);
}

static void keeps_the_flags_it_knows_and_no_others(void **state)
{
    struct trace_context c;
    char text[TRACEPARENT_LENGTH];
    (void)state;

    assert_true(traceparent_read(STR("00-" TRACE "-" SPAN "-fe"), &c));
    assert_false(c.sampled);
    assert_true(c.random);
    traceparent_write(&c, text);
    assert_memory_equal(text + 53, "02", 2);
}

static void reads_a_later_version_as_far_as_it_is_known(void **state)
{
    struct trace_context c;
    (void)state;

    assert_true(traceparent_read(STR("cc-" TRACE "-" SPAN "-01"), &c));
    assert_true(traceparent_read(STR("01-" TRACE "-" SPAN "-01-more"), &c));
    assert_false(traceparent_read(STR("01-" TRACE "-" SPAN "-01.more"), &c));
    assert_false(traceparent_read(STR("01-" TRACE "-" SPAN "-011"), &c));
}

static void refuses_what_the_standard_forbids(void **state)
{
    static const char *const wrong[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-more",
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00-" TRACE "-" SPAN "-0x",
        "00-" TRACE "-b7ad6b716920333 -01",
    };
    (void)state;

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct trace_context c = { .sampled = true, .random = true };
        if (traceparent_read(str_of(wrong[i]), &c))
            fail_msg("accepted: %s", wrong[i]);
        assert_int_equal(c.trace_id[0], 0); /* not written */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_and_writes_the_example_of_the_standard),
        cmocka_unit_test(keeps_the_flags_it_knows_and_no_others),
        cmocka_unit_test(reads_a_later_version_as_far_as_it_is_known),
        cmocka_unit_test(refuses_what_the_standard_forbids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
