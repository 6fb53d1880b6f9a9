/* tests/unit/upstream/reachability_test.c - what is remembered of failed direct connections */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "upstream/reachability.h"

static struct reachability r;
static struct endpoint first = { .key = "ns/a/1", .node = "n1" };
static struct endpoint neighbour = { .key = "ns/b/2", .node = "n1" };
static struct endpoint elsewhere = { .key = "ns/c/3", .node = "n2" };

static int begin(void **state)
{
    (void)state;
    reachability_init(&r);
    return 0;
}

static int end(void **state)
{
    (void)state;
    reachability_finish(&r);
    return 0;
}

static void allows_what_was_never_tried(void **state)
{
    (void)state;
    assert_true(reachability_allows(&r, &first));
    assert_false(reachability_trial_due(&r, &first, 1));
}

static void silence_counts_for_the_pod_and_its_node(void **state)
{
    (void)state;
    reachability_on_failure(&r, &first, true, 1000);
    assert_false(reachability_allows(&r, &first));
    assert_false(reachability_allows(&r, &neighbour));
    assert_true(reachability_allows(&r, &elsewhere));
}

/* A NetworkPolicy may block one pod, and not its node. */
static void silence_counts_for_the_pod_alone_where_its_node_was_reached(void **state)
{
    (void)state;
    reachability_on_success(&r, &neighbour, 1000);
    reachability_on_failure(&r, &first, true, 60999);
    assert_false(reachability_allows(&r, &first));
    assert_true(reachability_allows(&r, &neighbour));
}

static void success_counts_for_a_minute(void **state)
{
    (void)state;
    reachability_on_success(&r, &neighbour, 1000);
    reachability_on_failure(&r, &first, true, 61000);
    assert_false(reachability_allows(&r, &neighbour));
}

static void unreadable_pod_proves_nothing_about_its_node(void **state)
{
    (void)state;
    reachability_on_failure(&r, &first, false, 1000);
    assert_false(reachability_allows(&r, &first));
    assert_true(reachability_allows(&r, &neighbour));
}

static void one_probe_is_due_each_minute(void **state)
{
    (void)state;
    reachability_on_failure(&r, &first, true, 1000);
    assert_false(reachability_trial_due(&r, &first, 60999));
    assert_true(reachability_trial_due(&r, &first, 61000));
    assert_false(reachability_allows(&r, &first)); /* until the probe has succeeded */
    assert_false(reachability_trial_due(&r, &first, 61000));
    assert_false(reachability_trial_due(&r, &neighbour, 61000));
    assert_true(reachability_trial_due(&r, &neighbour, 121000));
}

static void success_of_a_probe_frees_the_node(void **state)
{
    (void)state;
    reachability_on_failure(&r, &first, true, 1000);
    reachability_on_success(&r, &neighbour, 61000);
    assert_true(reachability_allows(&r, &neighbour));
    assert_false(reachability_allows(&r, &first)); /* its own failure stands */
    reachability_on_success(&r, &first, 61000);
    assert_true(reachability_allows(&r, &first));
}

static void pod_that_is_gone_is_forgotten(void **state)
{
    (void)state;
    reachability_on_failure(&r, &first, false, 1000);
    reachability_forget(&r, first.key);
    assert_true(reachability_allows(&r, &first));
    assert_int_equal(r.pods.count, 0);
}

static void memory_is_bounded(void **state)
{
    (void)state;
    char key[32], node[32];
    struct endpoint e = { .key = key, .node = node };

    for (int i = 0; i < 10000; i++) {
        snprintf(key, sizeof(key), "ns/%d/uid", i);
        snprintf(node, sizeof(node), "n%d", i);
        reachability_on_failure(&r, &e, true, 1000);
    }
    assert_true(r.pods.count <= 4096);
    assert_true(r.nodes.count <= 4096);
    assert_false(reachability_allows(&r, &e));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(allows_what_was_never_tried),
        TEST(silence_counts_for_the_pod_and_its_node),
        TEST(silence_counts_for_the_pod_alone_where_its_node_was_reached),
        TEST(success_counts_for_a_minute),
        TEST(unreadable_pod_proves_nothing_about_its_node),
        TEST(one_probe_is_due_each_minute),
        TEST(success_of_a_probe_frees_the_node),
        TEST(pod_that_is_gone_is_forgotten),
        TEST(memory_is_bounded),
    };
    return cmocka_run_group_tests_name("upstream/reachability", tests, NULL, NULL);
}
