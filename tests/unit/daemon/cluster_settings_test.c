/* tests/unit/daemon/cluster_settings_test.c - settings as the parts of a cluster take them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "cluster/settings.h"
#include "daemon/cluster_settings.h"

static struct config *config;

static int setup(void **state)
{
    (void)state;
    config = config_default();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    config_unref(config);
    return 0;
}

static void requests_share_tunnels_unless_a_number_of_own_ones_is_set(void **state)
{
    (void)state;
    struct cluster_settings s = cluster_settings_of(config);

    assert_true(s.tunnels.coalesce);
    assert_int_equal(s.tunnels.own_brief_max, 1);
    config->http_tunnels_per_pod = 4;
    s = cluster_settings_of(config);
    assert_false(s.tunnels.coalesce);
    assert_int_equal(s.tunnels.own_brief_max, 4);
}

static void a_direct_dial_is_given_up_early_only_where_a_tunnel_may_follow(void **state)
{
    (void)state;
    config->dial_timeout_ms = 7000;
    config->upstream = UPSTREAM_AUTO;
    assert_int_equal(cluster_settings_of(config).direct.connect_ms, 300);
    assert_int_equal(cluster_settings_of(config).way, CLUSTER_WAY_AUTO);
    config->upstream = UPSTREAM_DIRECT;
    assert_int_equal(cluster_settings_of(config).direct.connect_ms, 7000);
    assert_int_equal(cluster_settings_of(config).way, CLUSTER_WAY_DIRECT);
}

static void a_second_pod_is_prepared_where_tunnels_are_prewarmed(void **state)
{
    (void)state;
    config->prewarmed_tunnels = 1;
    assert_true(cluster_settings_of(config).upstream.prepare_second);
    config->prewarmed_tunnels = 0;
    assert_false(cluster_settings_of(config).upstream.prepare_second);
    assert_int_equal(cluster_settings_of(config).tunnels.prewarmed, 0);
}

static void a_prompt_of_a_plugin_has_5_minutes_or_the_longer_timeout(void **state)
{
    (void)state;
    config->plugin_timeout_ms = 1000;
    assert_int_equal(exec_settings_of(config).run_ms, 1000);
    assert_int_equal(exec_settings_of(config).terminal_ms, 300000);
    config->plugin_timeout_ms = 300001;
    assert_int_equal(exec_settings_of(config).run_ms, 300001);
    assert_int_equal(exec_settings_of(config).terminal_ms, 300001);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(requests_share_tunnels_unless_a_number_of_own_ones_is_set),
        TEST(a_direct_dial_is_given_up_early_only_where_a_tunnel_may_follow),
        TEST(a_second_pod_is_prepared_where_tunnels_are_prewarmed),
        TEST(a_prompt_of_a_plugin_has_5_minutes_or_the_longer_timeout),
    };
    return cmocka_run_group_tests_name("daemon/cluster_settings", tests, NULL, NULL);
}
