/* tests/unit/ca/leaves_test.c - certificates on demand: kept, limited, for permitted hosts */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/sched.h"
#include "ca/leaves.h"
#include "net/tls.h"
#include "net/tls_ssl.h"
#include "captured_log.h"

static struct sched sched;
static struct leaves *leaves;
static char *folder;

static int begin(void **state)
{
    (void)state;
    char template[] = "/tmp/ca-leaves-XXXXXX";

    captured_log_begin();
    sched_init(&sched, 1000);
    folder = xasprintf("%s/ca", mkdtemp(template));
    leaves = leaves_create(&sched, folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    *strrchr(folder, '/') = '\0';
    AUTO_FREE char *command = xasprintf("rm -rf %s", folder);
    leaves_destroy(TAKE(leaves));
    captured_log_end();
    assert_int_equal(system(command), 0);
    free(TAKE(folder));
    return 0;
}

static enum err get_from(const char *domain, const char *host, struct tls_context **ret,
                         struct diag *why)
{
    *why = (struct diag){ "" };
    *ret = NULL;
    return leaves_get(leaves, domain, str_of(host), ret, why);
}

static enum err get(const char *host, struct tls_context **ret, struct diag *why)
{
    return get_from("cluster.local", host, ret, why);
}

static void a_host_keeps_its_certificate(void **state)
{
    (void)state;
    struct tls_context *first, *again, *other;
    struct diag why;

    assert_int_equal(get("web.shop.localhost", &first, &why), OK);
    assert_non_null(strstr(captured_log(), "kube-tunnel ca install"));
    assert_int_equal(get("web.shop.localhost", &again, &why), OK);
    assert_ptr_equal(again, first);
    assert_int_equal(get("WEB.shop.LOCALHOST.", &again, &why), OK);
    assert_ptr_equal(again, first);
    assert_int_equal(get("api.shop.localhost", &other, &why), OK);
    assert_ptr_not_equal(other, first);
}

static void a_host_out_of_bounds_gets_none(void **state)
{
    (void)state;
    struct tls_context *none;
    struct diag why;

    assert_int_equal(get("example.com", &none, &why), ERR_UNSUPPORTED);
    assert_int_equal(get("web.shop", &none, &why), ERR_UNSUPPORTED);
    assert_int_equal(get("", &none, &why), ERR_UNSUPPORTED);
    assert_null(none);
    assert_non_null(strstr(why.text, "three labels"));
}

static void certificates_are_limited_in_number(void **state)
{
    (void)state;
    struct tls_context *context;
    struct diag why;
    char host[64];

    for (int i = 0; i < LEAVES_BURST; i++) {
        snprintf(host, sizeof(host), "web-%d.shop.localhost", i);
        assert_int_equal(get(host, &context, &why), OK);
    }
    assert_int_equal(get("one.more.localhost", &context, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "too many certificates"));
    assert_int_equal(get("web-0.shop.localhost", &context, &why), OK); /* it is kept */
    sched.now += 1000 / LEAVES_A_SECOND;
    assert_int_equal(get("one.more.localhost", &context, &why), OK);
    assert_int_equal(get("another.more.localhost", &context, &why), ERR_LIMIT);
}

static void the_host_that_was_used_last_is_kept(void **state)
{
    (void)state;
    struct tls_context *first, *context;
    struct diag why;
    char host[64];

    assert_int_equal(get("web.shop.localhost", &first, &why), OK);
    first = tls_context_ref(first);
    for (int i = 0; i < LEAVES_MAX; i++) {
        sched.now += 1000;
        snprintf(host, sizeof(host), "web-%d.shop.localhost", i);
        assert_int_equal(get(host, &context, &why), OK);
        if (i == LEAVES_MAX / 2)
            assert_int_equal(get("web.shop.localhost", &context, &why), OK);
    }
    assert_int_equal(get("web.shop.localhost", &context, &why), OK);
    assert_ptr_equal(context, first);
    tls_context_unref(first);
}

static void another_domain_has_another_authority(void **state)
{
    (void)state;
    struct tls_context *context;
    struct diag why;

    assert_int_equal(get("web.shop.svc.cluster.local", &context, &why), OK);
    captured_log();
    assert_int_equal(
        get_from("corp.internal", "web.shop.svc.corp.internal", &context, &why), OK);
    assert_non_null(strstr(captured_log(), "a local CA was made"));
    assert_int_equal(
        get_from("corp.internal", "web.shop.svc.cluster.local", &context, &why),
        ERR_UNSUPPORTED);
    assert_int_equal(get("web.shop.svc.corp.internal", &context, &why), ERR_UNSUPPORTED);
}

static void a_failure_is_repeated_for_a_second(void **state)
{
    (void)state;
    AUTO_FREE char *key_file = xasprintf("%s/cluster.local.pem", folder);
    struct tls_context *context;
    struct diag why;

    assert_int_equal(get("web.shop.localhost", &context, &why), OK);
    leaves_destroy(leaves);
    leaves = leaves_create(&sched, folder);
    chmod(key_file, 0644);
    assert_int_equal(get("web.shop.localhost", &context, &why), ERR_ACCESS);
    assert_non_null(strstr(why.text, key_file));
    chmod(key_file, 0600);
    assert_int_equal(get("web.shop.localhost", &context, &why), ERR_ACCESS);
    assert_non_null(strstr(why.text, key_file));
    sched.now += 1000;
    assert_int_equal(get("web.shop.localhost", &context, &why), OK);
}

static void without_a_home_there_is_none(void **state)
{
    (void)state;
    struct tls_context *none;
    struct diag why;

    leaves_destroy(leaves);
    leaves = leaves_create(&sched, NULL);
    assert_int_equal(get("web.shop.localhost", &none, &why), ERR_NOT_CONFIGURED);
    assert_non_null(strstr(why.text, "XDG_DATA_HOME"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(a_host_keeps_its_certificate),
        TEST(a_host_out_of_bounds_gets_none),
        TEST(certificates_are_limited_in_number),
        TEST(the_host_that_was_used_last_is_kept),
        TEST(another_domain_has_another_authority),
        TEST(a_failure_is_repeated_for_a_second),
        TEST(without_a_home_there_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
