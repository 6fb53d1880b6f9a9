/* tests/unit/config/config_test.c - which source wins, and what is named as its origin */
#include "config/config.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"
#include "config/setting.h"

struct files {
    char folder[32];
    char user[64], system[64];
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    struct files *files = xcalloc(1, sizeof(*files));

    strcpy(files->folder, "/tmp/kube-tunnel-XXXXXX");
    if (!mkdtemp(files->folder))
        return -1;
    snprintf(files->user, sizeof(files->user), "%s/user", files->folder);
    snprintf(files->system, sizeof(files->system), "%s/system", files->folder);
    *state = files;
    return 0;
}

static int tear_down(void **state)
{
    struct files *files = *state;

    unlink(files->user);
    unlink(files->system);
    rmdir(files->folder);
    free(files);
    return 0;
}

static void assert_origin(const struct config *c, enum setting_id id,
                          const char *expected)
{
    AUTO_FREE char *origin = setting_origin(&settings[id], c);
    assert_string_equal(origin, expected);
}

static void has_the_defaults_of_the_manual(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = NULL;
    struct diag why = { 0 };

    assert_int_equal(config_load(&(struct config_input){ 0 }, &c, &why), OK);
    assert_int_equal(c->listen.count, 0);
    assert_int_equal(c->port, 0);
    assert_null(c->kubeconfig);
    assert_null(c->namespace);
    assert_string_equal(c->cluster_domain, "cluster.local");
    assert_int_equal(c->idle_timeout_ms, 600000);
    assert_int_equal(c->idle_check_ms, 60000);
    assert_int_equal(c->response_timeout_ms, 0);
    assert_int_equal(c->max_head_size, 65536);
    assert_int_equal(c->transport, TRANSPORT_AUTO);
    assert_int_equal(c->upstream, UPSTREAM_AUTO);
    assert_int_equal(c->log_format, LOG_TEXT);
    assert_false(c->forwarded);
    assert_false(config_is_set(c, SETTING_idle_timeout_ms));
    assert_origin(c, SETTING_idle_timeout_ms, "default");
}

/* Each source sets one setting that those with higher precedence do not, and one that all
 * set. */
static void a_flag_wins_over_the_environment_and_that_over_the_file(void **state)
{
    struct files *files = *state;
    AUTO(config_unrefp) struct config *c = NULL;
    struct diag why = { 0 };
    char *environment[] = { "HOME=/", "KTUN_WAIT=3s", "KTUN_IDLE_CHECK=3s", NULL };
    struct config_flag flags[] = { { "wait", "5s" }, { "wait", "4s" } };
    struct config_input input = {
        .user_file = files->user,
        .system_file = files->system,
        .environment = environment,
        .flags = flags,
        .flag_count = ARRAY_LEN(flags),
    };

    write_file(files->system, "wait: 1s\nidle-check: 1s\nping-interval: 1s\n"
                              "dial-timeout: 1s\n");
    write_file(files->user, "wait: 2s\nidle-check: 2s\nping-interval: 2s\n");
    assert_int_equal(config_load(&input, &c, &why), OK);
    assert_int_equal(c->wait_ms, 4000);
    assert_origin(c, SETTING_wait_ms, "--wait");
    assert_int_equal(c->idle_check_ms, 3000);
    assert_origin(c, SETTING_idle_check_ms, "KTUN_IDLE_CHECK");
    assert_int_equal(c->ping_interval_ms, 2000);
    assert_int_equal(c->dial_timeout_ms, 1000);
    assert_int_equal(c->files.count, 2);

    AUTO_FREE char *user = xasprintf("%s:3", files->user);
    AUTO_FREE char *system = xasprintf("%s:4", files->system);
    assert_origin(c, SETTING_ping_interval_ms, user);
    assert_origin(c, SETTING_dial_timeout_ms, system);
}

static void replaces_lists_and_never_mixes_them(void **state)
{
    struct files *files = *state;
    AUTO(config_unrefp) struct config *c = NULL;
    struct config_flag flags[] = { { "listen", "81" }, { "listen", "82" } };
    struct config_input input = {
        .user_file = files->user,
        .flags = flags,
        .flag_count = ARRAY_LEN(flags),
    };

    write_file(files->user, "listen: [1, 2, 3]\n");
    assert_int_equal(config_load(&input, &c, NULL), OK);
    assert_int_equal(c->listen.count, 2);
    assert_int_equal(c->listen.at[0].port, 81);
    assert_int_equal(c->listen.at[1].port, 82);
}

static void reads_only_the_given_file(void **state)
{
    struct files *files = *state;
    AUTO(config_unrefp) struct config *c = NULL;
    struct diag why = { 0 };
    struct config_input input = {
        .file = files->user,
        .user_file = files->system,
        .system_file = files->system,
    };

    assert_int_equal(config_load(&input, &c, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, files->user));
    assert_null(c);

    write_file(files->system, "port: nonsense\n");
    write_file(files->user, "port: 81\n");
    assert_int_equal(config_load(&input, &c, &why), OK);
    assert_int_equal(c->port, 81);
}

static void names_the_flag_or_the_variable_that_is_wrong(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct diag why = { 0 };
    char *environment[] = { "KTUN_PORT=http", NULL };
    struct config_flag flag = { "wait", "5" };

    struct config_input input = { .environment = environment };
    assert_int_equal(config_load(&input, &c, &why), ERR_CONFIG);
    assert_string_equal(why.text, "KTUN_PORT: \"http\" is not a port number");

    input = (struct config_input){ .flags = &flag, .flag_count = 1 };
    assert_int_equal(config_load(&input, &c, &why), ERR_CONFIG);
    assert_memory_equal(why.text, "--wait: \"5\" is not", 18);

    flag.name = "wiat";
    assert_int_equal(config_load(&input, &c, &why), ERR_CONFIG);
    assert_string_equal(why.text, "--wiat: no such setting");
}

static void warns_of_variables_it_does_not_know(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = NULL;
    char *environment[] = { "KTUN_PROT=80", "KTUN_FROBNICATE=1", "KTUN_CONFIG=/x",
                            "KTUN_EMPTY=",  "KTUNPORT=1",        NULL };
    struct config_input input = { .environment = environment };

    assert_int_equal(config_load(&input, &c, NULL), OK);
    assert_int_equal(c->warnings.count, 2);
    assert_string_equal(c->warnings.at[0], "KTUN_PROT is no setting; is it KTUN_PORT?");
    assert_string_equal(c->warnings.at[1], "KTUN_FROBNICATE is no setting");
}

static void an_empty_variable_counts_as_unset(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = NULL;
    char *environment[] = { "KTUN_IDLE_TIMEOUT=", NULL };
    struct config_input input = { .environment = environment };

    assert_int_equal(config_load(&input, &c, NULL), OK);
    assert_false(config_is_set(c, SETTING_idle_timeout_ms));
}

static void lets_a_nearer_port_replace_listen_and_the_reverse(void **state)
{
    (void)state;
    AUTO(config_unrefp) struct config *c = NULL;
    AUTO(config_unrefp) struct config *d = NULL;
    char *environment[] = { "KTUN_LISTEN=127.0.0.1:1", NULL };
    char *other[] = { "KTUN_PORT=1", NULL };
    struct config_flag port = { "port", "81" }, listen = { "listen", "82" };

    struct config_input input = { .environment = environment,
                                  .flags = &port,
                                  .flag_count = 1 };
    assert_int_equal(config_load(&input, &c, NULL), OK);
    assert_int_equal(c->port, 81);
    assert_int_equal(c->listen.count, 0);
    assert_false(config_is_set(c, SETTING_listen));

    input =
        (struct config_input){ .environment = other, .flags = &listen, .flag_count = 1 };
    assert_int_equal(config_load(&input, &d, NULL), OK);
    assert_int_equal(d->port, 0);
    assert_int_equal(d->listen.at[0].port, 82);
}

static void refuses_settings_that_contradict_each_other(void **state)
{
    (void)state;
    struct config *c = NULL;
    struct diag why = { 0 };
    struct config_flag both[] = { { "port", "81" }, { "listen", "82" } };
    struct config_flag pings[] = { { "ping-interval", "5s" }, { "ping-timeout", "5s" } };

    struct config_input input = { .flags = both, .flag_count = 2 };
    assert_int_equal(config_load(&input, &c, &why), ERR_CONFIG);
    assert_string_equal(why.text, "--port: port and listen exclude one another; use "
                                  "listen alone");
    input.flags = pings;
    assert_int_equal(config_load(&input, &c, &why), ERR_CONFIG);
    assert_string_equal(why.text, "ping-timeout (--ping-timeout) must be longer than "
                                  "ping-interval (--ping-interval)");
}

static void a_config_lives_until_its_last_reference(void **state)
{
    (void)state;
    const struct config *c = config_default();
    const struct config *shared = config_ref(c);

    assert_ptr_equal(shared, c);
    config_unref(c);
    assert_string_equal(shared->cluster_domain, "cluster.local");
    config_unref(shared);
    config_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_the_defaults_of_the_manual),
        cmocka_unit_test_setup_teardown(
            a_flag_wins_over_the_environment_and_that_over_the_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(replaces_lists_and_never_mixes_them, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reads_only_the_given_file, set_up, tear_down),
        cmocka_unit_test(names_the_flag_or_the_variable_that_is_wrong),
        cmocka_unit_test(warns_of_variables_it_does_not_know),
        cmocka_unit_test(an_empty_variable_counts_as_unset),
        cmocka_unit_test(lets_a_nearer_port_replace_listen_and_the_reverse),
        cmocka_unit_test(refuses_settings_that_contradict_each_other),
        cmocka_unit_test(a_config_lives_until_its_last_reference),
    };
    return cmocka_run_group_tests_name("config/config", tests, NULL, NULL);
}
