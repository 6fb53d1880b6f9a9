/* tests/unit/daemon/cgroup_test.c - the memory limit of cgroups, in a root of the test's own */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/own.h"
#include "daemon/cgroup.h"

static char root[] = "/tmp/cgroup-test-XXXXXX";

/* A file below the root, and the folders that it needs. */
static void put(const char *path, const char *text)
{
    AUTO_FREE char *command = xasprintf("mkdir -p \"$(dirname %s%s)\"", root, path);
    AUTO_FREE char *whole = xasprintf("%s%s", root, path);

    assert_int_equal(system(command), 0);
    FILE *f = fopen(whole, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int make_root(void **state)
{
    (void)state;
    snprintf(root, sizeof(root), "/tmp/cgroup-test-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
    AUTO_FREE char *command = xasprintf("rm -r %s", root);
    (void)state;
    return system(command);
}

static void reads_the_limit_of_a_container(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/sys/fs/cgroup/memory.max", "536870912\n");
    assert_int_equal(cgroup_memory_max(root), 536870912);
}

static void the_least_limit_of_a_group_and_its_ancestors_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/system.slice/kube-tunnel.service\n");
    put("/sys/fs/cgroup/system.slice/kube-tunnel.service/memory.max", "max\n");
    put("/sys/fs/cgroup/system.slice/memory.max", "1000000\n");
    put("/sys/fs/cgroup/memory.max", "2000000\n");
    assert_int_equal(cgroup_memory_max(root), 1000000);
    put("/sys/fs/cgroup/system.slice/kube-tunnel.service/memory.max", "900000\n");
    assert_int_equal(cgroup_memory_max(root), 900000);
}

static void reads_the_limit_of_version_1(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpu,cpuacct:/kubepods/x\n4:memory:/kubepods/x\n0::/x\n");
    put("/sys/fs/cgroup/memory/kubepods/x/memory.limit_in_bytes", "268435456\n");
    put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu,cpuacct/kubepods/x/memory.limit_in_bytes", "1\n");
    assert_int_equal(cgroup_memory_max(root), 268435456);
}

static void finds_no_limit_where_there_is_none(void **state)
{
    (void)state;
    assert_int_equal(cgroup_memory_max(root), 0);
    put("/proc/self/cgroup", "0::/gone\nnonsense\n7\n");
    assert_int_equal(cgroup_memory_max(root), 0);
    put("/sys/fs/cgroup/memory.max", "max\n");
    assert_int_equal(cgroup_memory_max(root), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_root, remove_root)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(reads_the_limit_of_a_container),
        TEST(the_least_limit_of_a_group_and_its_ancestors_counts),
        TEST(reads_the_limit_of_version_1),
        TEST(finds_no_limit_where_there_is_none),
    };
    return cmocka_run_group_tests_name("daemon/cgroup", tests, NULL, NULL);
}
