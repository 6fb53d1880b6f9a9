/* tests/unit/kube/refusal_test.c - a 401 names why no credentials were sent */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "kube/kubeconfig.h"
#include "kube/refusal.h"
#include "kube/target.h"

static struct kc_user user = {
    .entry = { .name = (char *)"jane", .file = (char *)"/home/jane/config", .line = 7 }
};
static char *no_fields[] = { NULL },
            *bearer[] = { (char *)"Authorization: Bearer x", NULL };

/* The explanation of an error of this code, when these fields were sent. */
static const char *explained(enum err code, char **fields, struct kc_user *of, bool tls)
{
    static struct api_error error;
    const struct kube_target target = { .user = of,
                                        .tls = tls,
                                        .context = (char *)"prod" };
    const struct credential shown = { .refs = 1, .fields = fields };

    error = (struct api_error){ .code = code, .status = 401 };
    diag_set(&error.why, code, "Unauthorized");
    refusal_explain(&target, &shown, &error);
    return error.why.text;
}

static void a_401_without_credentials_names_the_reason(void **state)
{
    (void)state;
    assert_non_null(strstr(explained(ERR_UNAUTHORIZED, no_fields, NULL, true),
                           "since context \"prod\" has no user"));
    assert_non_null(strstr(explained(ERR_UNAUTHORIZED, no_fields, &user, false),
                           "where the server is http://"));
    assert_non_null(strstr(explained(ERR_UNAUTHORIZED, no_fields, &user, true),
                           "/home/jane/config:7: user \"jane\" has no credentials"));
}

static void other_refusals_are_left_as_they_are(void **state)
{
    (void)state;
    assert_string_equal(explained(ERR_UNAUTHORIZED, bearer, &user, true), "Unauthorized");
    assert_string_equal(explained(ERR_FORBIDDEN, no_fields, &user, true), "Unauthorized");
    assert_string_equal(explained(ERR_FORBIDDEN, no_fields, NULL, true), "Unauthorized");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_401_without_credentials_names_the_reason),
        cmocka_unit_test(other_refusals_are_left_as_they_are),
    };
    return cmocka_run_group_tests_name("kube/refusal", tests, NULL, NULL);
}
