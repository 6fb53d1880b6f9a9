/* tests/unit/catalog/own_pod_test.c - which endpoint is the pod that kube-tunnel runs in */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/catalog.h"
#include "catalog/own_pod.h"
#include "catalog/service.h"

static void uid_alone_or_namespace_and_name_identify_our_pod(void **state)
{
    (void)state;
    static const struct {
        const char *case_name;
        struct own_pod own;
        bool is_own;
    } cases[] = {
        /* clang-format off */
        { "outside a pod",           { 0 },                          false },
        { "the same UID",            { "u1", NULL, NULL },           true  },
        { "another UID",             { "u2", NULL, NULL },           false },
        { "namespace and name",      { NULL, "shop", "web-1" },      true  },
        { "another namespace",       { NULL, "home", "web-1" },      false },
        { "another name",            { NULL, "shop", "web-2" },      false },
        { "no name",                 { NULL, "shop", NULL },         false },
        { "no namespace",            { NULL, NULL, "web-1" },        false },
        { "UID and another name",    { "u1", "shop", "web-2" },      true  },
        { "another UID, same name",  { "u2", "shop", "web-1" },      true  },
    }; /* clang-format on */
    static const struct endpoint e = { .ns = "shop", .pod = "web-1", .uid = "u1" };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (own_pod_is(&cases[i].own, &e) != cases[i].is_own)
            fail_msg("%s", cases[i].case_name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uid_alone_or_namespace_and_name_identify_our_pod),
    };
    return cmocka_run_group_tests_name("catalog/own_pod", tests, NULL, NULL);
}
