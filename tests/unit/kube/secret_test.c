/* tests/unit/kube/secret_test.c - secrets are overwritten before their memory is freed
 *
 * Linked with --wrap=free, so that the test sees the bytes at that moment.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "kube/secret.h"

void __real_free(void *p); // NOLINT(bugprone-reserved-identifier)
void __wrap_free(void *p); // NOLINT(bugprone-reserved-identifier)

static struct {
    char *at;
    size_t len;
    unsigned frees, wiped;
} watched[3];

void __wrap_free(void *p) // NOLINT(bugprone-reserved-identifier)
{
    static const char zeros[64];

    for (size_t i = 0; p && i < ARRAY_LEN(watched); i++)
        if (watched[i].at == p) {
            watched[i].frees++;
            watched[i].wiped += memcmp(p, zeros, watched[i].len) == 0;
            watched[i].at = NULL;
        }
    __real_free(p);
}

static char *watch(size_t i, const char *text)
{
    char *copy = xstrdup(text);

    memset(&watched[i], 0, sizeof(watched[i]));
    watched[i].at = copy;
    watched[i].len = strlen(text);
    return copy;
}

static void assert_wiped(size_t i)
{
    assert_int_equal(watched[i].frees, 1);
    assert_int_equal(watched[i].wiped, 1);
}

static void a_text_is_overwritten_before_it_is_freed(void **state)
{
    (void)state;
    secret_free(watch(0, "eyJhbGciOiJSUzI1NiJ9"));
    assert_wiped(0);
    secret_free(NULL);
}

static void every_text_of_a_secret_is_overwritten_and_the_secret_is_zeroed(void **state)
{
    (void)state;
    const struct secret zeroed = { 0 };
    struct secret s = { .token = watch(0, "token"),
                        .certificate = watch(1, "certificate"),
                        .key = watch(2, "key"),
                        .expires_at = 1 };

    secret_finish(&s);
    for (size_t i = 0; i < ARRAY_LEN(watched); i++)
        assert_wiped(i);
    assert_memory_equal(&s, &zeroed, sizeof(s));
    secret_finish(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_is_overwritten_before_it_is_freed),
        cmocka_unit_test(every_text_of_a_secret_is_overwritten_and_the_secret_is_zeroed),
    };
    return cmocka_run_group_tests_name("kube/secret", tests, NULL, NULL);
}
