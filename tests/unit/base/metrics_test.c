/* tests/unit/base/metrics_test.c - the Prometheus text of each type */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/metrics.h"
#include "base/own.h"
#include "base/partition.h"

/* Metrics cannot be unregistered, so each test has metrics of its own. */
static void assert_text_has(const char *expected)
{
    AUTO_FREE char *text = metrics_text();
    if (!strstr(text, expected))
        fail_msg("\"%s\" is not in:\n%s", expected, text);
}

static size_t occurrences(const char *what)
{
    AUTO_FREE char *text = metrics_text();
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void an_empty_registry_is_empty_text(void **state)
{
    (void)state;
    AUTO_FREE char *text = metrics_text();
    assert_string_equal(text, "");
}

static void a_counter_has_help_type_and_value(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_requests_total", .help = "Requests." };

    metrics_register(&m);
    metric_add(&m, 0, 2);
    metric_add(&m, 0, 40);
    assert_text_has("# HELP t_requests_total Requests.\n"
                    "# TYPE t_requests_total counter\n"
                    "t_requests_total 42\n");
}

static void registering_twice_counts_once(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_once", .help = "x", .type = METRIC_GAUGE };

    metrics_register(&m);
    metrics_register(&m);
    assert_int_equal(occurrences("# TYPE t_once gauge\n"), 1);
}

static void a_label_gives_one_series_per_value(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_open",
                               .help = "x",
                               .type = METRIC_GAUGE,
                               .label = "transport",
                               .values = { "spdy", "websocket" } };

    metrics_register(&m);
    metric_set(&m, 0, 3);
    metric_set(&m, 1, -1);
    assert_text_has("# TYPE t_open gauge\n"
                    "t_open{transport=\"spdy\"} 3\n"
                    "t_open{transport=\"websocket\"} -1\n");
    assert_int_equal(occurrences("t_open{"), 2);
}

static void a_label_may_have_the_maximum_of_values(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_full", .help = "x", .label = "l" };

    for (size_t i = 0; i < METRIC_SERIES_MAX; i++)
        m.values[i] = "v";
    metrics_register(&m);
    assert_int_equal(occurrences("t_full{"), METRIC_SERIES_MAX);
}

static void help_and_label_values_are_escaped(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_escaped",
                               .help = "back\\slash, \"quotes\"\nand more",
                               .label = "l",
                               .values = { "a\\b\"c\nd" } };

    metrics_register(&m);
    assert_text_has("# HELP t_escaped back\\\\slash, \"quotes\"\\nand more\n");
    assert_text_has("t_escaped{l=\"a\\\\b\\\"c\\nd\"} 0\n");
}

static void a_histogram_is_cumulative_and_in_seconds(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_seconds",
                               .help = "x",
                               .type = METRIC_HISTOGRAM };
    static const uint64_t observed[] = { 0, 1, 2, 3, 5, 10, 1000, 1001, 100000, 100001 };

    metrics_register(&m);
    for (size_t i = 0; i < ARRAY_LEN(observed); i++)
        metric_observe_ms(&m, observed[i]);
    assert_text_has("# TYPE t_seconds histogram\n"
                    "t_seconds_bucket{le=\"0.001\"} 2\n"
                    "t_seconds_bucket{le=\"0.0025\"} 3\n"
                    "t_seconds_bucket{le=\"0.005\"} 5\n"
                    "t_seconds_bucket{le=\"0.01\"} 6\n"
                    "t_seconds_bucket{le=\"0.025\"} 6\n"
                    "t_seconds_bucket{le=\"0.05\"} 6\n"
                    "t_seconds_bucket{le=\"0.1\"} 6\n"
                    "t_seconds_bucket{le=\"0.25\"} 6\n"
                    "t_seconds_bucket{le=\"0.5\"} 6\n"
                    "t_seconds_bucket{le=\"1\"} 7\n"
                    "t_seconds_bucket{le=\"2.5\"} 8\n"
                    "t_seconds_bucket{le=\"5\"} 8\n"
                    "t_seconds_bucket{le=\"10\"} 8\n"
                    "t_seconds_bucket{le=\"100\"} 9\n"
                    "t_seconds_bucket{le=\"+Inf\"} 10\n"
                    "t_seconds_sum 202.023\n"
                    "t_seconds_count 10\n");
}

static void metrics_come_in_the_order_of_registration(void **state)
{
    (void)state;
    static struct metric a = { .name = "t_zz", .help = "x" },
                         b = { .name = "t_aa", .help = "x" };
    metrics_register(&a);
    metrics_register(&b);
    assert_text_has("t_zz 0\n# HELP t_aa x\n");
}

/* The counts of each cluster are separate once clusters have names, from the start on. */
static void named_clusters_have_samples_of_their_own(void **state)
{
    (void)state;
    static struct metric m = { .name = "t_dials_total",
                               .help = "x",
                               .label = "result",
                               .values = { "ok", "failed" } };
    static struct metric h = { .name = "t_dial_seconds",
                               .help = "x",
                               .type = METRIC_HISTOGRAM };

    metrics_register(&m);
    metrics_register(&h);
    metric_add_for(&m, 1, 0, 3);
    metric_add_for(&m, 3, 1, 4);
    metric_add_for(&m, 0, 0, 5);
    metric_observe_ms_for(&h, 3, 1500);
    assert_text_has("t_dials_total{result=\"ok\"} 8\n"
                    "t_dials_total{result=\"failed\"} 4\n");
    assert_text_has("t_dial_seconds_count 1\n");

    partition_set_name(1, "prod");
    partition_set_name(3, "staging");
    assert_text_has("t_dials_total{cluster=\"\",result=\"ok\"} 5\n"
                    "t_dials_total{cluster=\"\",result=\"failed\"} 0\n"
                    "t_dials_total{cluster=\"prod\",result=\"ok\"} 3\n"
                    "t_dials_total{cluster=\"prod\",result=\"failed\"} 0\n"
                    "t_dials_total{cluster=\"staging\",result=\"ok\"} 0\n"
                    "t_dials_total{cluster=\"staging\",result=\"failed\"} 4\n");
    assert_text_has("t_dial_seconds_bucket{cluster=\"staging\",le=\"2.5\"} 1\n");
    assert_text_has("t_dial_seconds_sum{cluster=\"staging\"} 1.500\n"
                    "t_dial_seconds_count{cluster=\"staging\"} 1\n");

    partition_set_name(1, NULL);
    partition_set_name(3, NULL);
    assert_text_has("t_dials_total{result=\"ok\"} 8\n");
    assert_int_equal(partition_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_registry_is_empty_text),
        cmocka_unit_test(a_counter_has_help_type_and_value),
        cmocka_unit_test(registering_twice_counts_once),
        cmocka_unit_test(a_label_gives_one_series_per_value),
        cmocka_unit_test(a_label_may_have_the_maximum_of_values),
        cmocka_unit_test(help_and_label_values_are_escaped),
        cmocka_unit_test(a_histogram_is_cumulative_and_in_seconds),
        cmocka_unit_test(metrics_come_in_the_order_of_registration),
        cmocka_unit_test(named_clusters_have_samples_of_their_own),
    };
    return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
