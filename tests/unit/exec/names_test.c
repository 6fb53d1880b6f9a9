/* tests/unit/exec/names_test.c - lines of the control socket become lines of a hosts file */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"
#include "exec/names.h"

static const char *const namespaces[] = { "shop", "ops" };

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines that service_names_store makes, sorted, with "|" between them. */
static char *written(const struct service_names *n)
{
    int fd = memfd_create("hosts", 0);
    struct hosts *h = NULL;
    char *lines[64], *text = xcalloc(1, 65536);
    size_t count = 0;

    assert_int_equal(hosts_create(dup(fd), STR(""), &h, NULL), OK);
    assert_int_equal(service_names_store(n, h, NULL), OK);
    AUTO_FREE char *all = xcalloc(1, 65536);
    assert_true(pread(fd, all, 65535, 0) >= 0);
    for (char *line = strtok(all, "\n"); line; line = strtok(NULL, "\n"))
        lines[count++] = line;
    qsort(lines, count, sizeof(*lines), compare);
    for (size_t i = 0; i < count; i++) {
        strcat(text, i ? "|" : "");
        strcat(text, lines[i]);
    }
    hosts_destroy(h);
    close(fd);
    return text;
}

static void expect(const struct service_names *n, const char *expected)
{
    AUTO_FREE char *text = written(n);
    assert_string_equal(text, expected);
}

static bool take(struct service_names *n, const char *line)
{
    return service_names_take(n, str_of(line));
}

static bool add(struct service_names *n, const char *name, const char *address)
{
    AUTO_FREE char *line = xasprintf(
        "{\"type\":\"name\",\"names\":[\"%s\"],\"address\":\"%s\"}", name, address);
    return take(n, line);
}

static void names_change_as_the_stream_reports_them(void **state)
{
    struct service_names n;

    (void)state;
    service_names_init(&n, NULL, 0);
    assert_true(add(&n, "web.shop.svc.cluster.local", "127.1.0.1"));
    assert_false(add(&n, "web.shop.svc.cluster.local", "127.1.0.1"));
    assert_true(add(&n, "db-0.db.shop.svc.cluster.local", "127.1.0.2"));
    assert_false(n.ready);
    assert_true(take(&n, "{\"type\":\"ready\"}"));
    assert_true(n.ready);
    expect(
        &n,
        "127.1.0.1 web.shop.svc.cluster.local|127.1.0.2 db-0.db.shop.svc.cluster.local");
    assert_true(add(&n, "web.shop.svc.cluster.local", "127.1.0.3"));
    assert_true(
        take(&n, "{\"type\":\"gone\",\"names\":[\"db-0.db.shop.svc.cluster.local\"]}"));
    assert_false(
        take(&n, "{\"type\":\"gone\",\"names\":[\"db-0.db.shop.svc.cluster.local\"]}"));
    expect(&n, "127.1.0.3 web.shop.svc.cluster.local");
    service_names_finish(&n);
}

static void names_that_are_left_out_are_counted(void **state)
{
    (void)state;
    struct service_names n;

    service_names_init(&n, namespaces, 2);
    assert_false(take(&n, "{\"type\":\"left-out\",\"count\":17,\"setting\":\"x\"}"));
    assert_int_equal(n.left_out, 17);
    assert_false(take(&n, "{\"type\":\"left-out\",\"count\":\"many\"}"));
    assert_int_equal(n.left_out, 0);
    service_names_finish(&n);
}

static void new_stream_replaces_all_names_once_it_is_ready(void **state)
{
    struct service_names n;

    (void)state;
    service_names_init(&n, NULL, 0);
    add(&n, "web.shop.svc.c", "127.1.0.1");
    add(&n, "old.shop.svc.c", "127.1.0.2");
    take(&n, "{\"type\":\"ready\"}");
    service_names_begin(&n);
    assert_false(n.ready);
    assert_false(add(&n, "web.shop.svc.c", "127.1.0.1"));
    expect(&n, "127.1.0.1 web.shop.svc.c|127.1.0.2 old.shop.svc.c");
    assert_true(take(&n, "{\"type\":\"ready\"}"));
    expect(&n, "127.1.0.1 web.shop.svc.c");
    service_names_finish(&n);
}

static void chosen_namespaces_have_short_names(void **state)
{
    struct service_names n;

    (void)state;
    service_names_init(&n, namespaces, 2);
    service_names_set_machine(&n, STR("10.0.0.1 nas  printer # web\n::1 ip6"));
    add(&n, "web.shop.svc.c", "127.1.0.1");
    add(&n, "web.ops.svc.c", "127.1.0.2");
    add(&n, "web.other.svc.c", "127.1.0.3");
    add(&n, "db-0.db.ops.svc.c", "127.1.0.4");
    add(&n, "localhost.shop.svc.c", "127.1.0.5");
    add(&n, "printer.shop.svc.c", "127.1.0.6");
    add(&n, "10-0-0-1.shop.pod.c", "127.1.0.7");
    expect(&n, "127.1.0.1 web.shop.svc.c web web.shop web.shop.svc|"
               "127.1.0.2 web.ops.svc.c web.ops web.ops.svc|"
               "127.1.0.3 web.other.svc.c|"
               "127.1.0.4 db-0.db.ops.svc.c db-0.db db-0.db.ops db-0.db.ops.svc|"
               "127.1.0.5 localhost.shop.svc.c localhost.shop localhost.shop.svc|"
               "127.1.0.6 printer.shop.svc.c printer.shop printer.shop.svc|"
               "127.1.0.7 10-0-0-1.shop.pod.c");
    service_names_finish(&n);
}

static void names_of_the_machine_are_kept_in_any_case(void **state)
{
    struct service_names n;

    (void)state;
    service_names_init(&n, namespaces, 1);
    service_names_set_machine(&n, STR("10.0.0.1 NAS Printer.Shop"));
    add(&n, "nas.shop.svc.c", "127.1.0.1");
    add(&n, "printer.shop.svc.c", "127.1.0.2");
    add(&n, "LocalHost.shop.svc.c", "127.1.0.3");
    expect(&n, "127.1.0.1 nas.shop.svc.c nas.shop nas.shop.svc|"
               "127.1.0.2 printer.shop.svc.c printer printer.shop.svc|"
               "127.1.0.3 LocalHost.shop.svc.c LocalHost.shop LocalHost.shop.svc");
    service_names_finish(&n);
}

/* In a child with a host name of its own. */
static void check_host_name(void)
{
    struct service_names n;

    if (unshare(CLONE_NEWUTS | (geteuid() ? CLONE_NEWUSER : 0)) ||
        sethostname("BUILD", strlen("BUILD")))
        _exit(2);
    service_names_init(&n, namespaces, 1);
    add(&n, "build.shop.svc.c", "127.1.0.1");
    AUTO_FREE char *text = written(&n);
    service_names_finish(&n);
    _exit(strcmp(text, "127.1.0.1 build.shop.svc.c build.shop build.shop.svc") != 0);
}

static void host_name_is_kept_in_any_case(void **state)
{
    int status = -1;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        check_host_name();
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void names_and_addresses_that_are_none_of_the_cluster_are_left_out(void **state)
{
    static const char *const bad[] = { "github.com",         "web",
                                       "localhost",          "svc.svc.svc",
                                       "a.svc.c.d",          "svc.c.d.e.f",
                                       "web.shop.svc",       "web.shop.svc.",
                                       "web.shop.svc.c\\nx", "web.shop.svc.c d",
                                       "a.b.c.d.svc.e" };
    static const char *const addresses[] = { "10.0.0.1", "127.0.0.1", "127.0.53.53",
                                             "::1",      "",          "127.1.0.1 x",
                                             "1.1.1.1" };
    struct service_names n;

    (void)state;
    service_names_init(&n, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (add(&n, bad[i], "127.1.0.1"))
            fail_msg("taken: %s", bad[i]);
    for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
        if (add(&n, "web.shop.svc.c", addresses[i]))
            fail_msg("taken: %s", addresses[i]);
    assert_false(take(&n, ""));
    assert_false(take(&n, "[]"));
    assert_false(take(&n, "{\"type\":1}"));
    assert_false(take(&n, "{\"type\":\"name\"}"));
    assert_false(take(&n, "{\"type\":\"name\",\"names\":[\"a.b.svc.c\"],\"address\":7}"));
    assert_false(take(&n, "{\"type\":\"gone\"}"));
    assert_false(take(&n, "{\"type\":\"later\",\"names\":[\"a.b.svc.c\"]}"));
    service_names_finish(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_change_as_the_stream_reports_them),
        cmocka_unit_test(names_that_are_left_out_are_counted),
        cmocka_unit_test(new_stream_replaces_all_names_once_it_is_ready),
        cmocka_unit_test(chosen_namespaces_have_short_names),
        cmocka_unit_test(names_of_the_machine_are_kept_in_any_case),
        cmocka_unit_test(host_name_is_kept_in_any_case),
        cmocka_unit_test(names_and_addresses_that_are_none_of_the_cluster_are_left_out),
    };
    return cmocka_run_group_tests_name("exec/names", tests, NULL, NULL);
}
