#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "playground/api/path.h"

static const struct {
    const char *path;
    const char *group, *version, *ns, *plural, *name, *subresource;
} paths[] = {
    /* clang-format off */
    { "/api/v1/pods", "", "v1", "", "pods", "", "" },
    { "/api/v1/namespaces", "", "v1", "", "namespaces", "", "" },
    { "/api/v1/namespaces/shop", "", "v1", "", "namespaces", "shop", "" },
    { "/api/v1/namespaces/shop/services", "", "v1", "shop", "services", "", "" },
    { "/api/v1/namespaces/shop/services/web", "", "v1", "shop", "services", "web", "" },
    { "/api/v1/namespaces/shop/pods/p/portforward", "", "v1", "shop", "pods", "p", "portforward" },
    { "/apis/discovery.k8s.io/v1/endpointslices", "discovery.k8s.io", "v1", "", "endpointslices",
      "", "" },
    { "/apis/discovery.k8s.io/v1/namespaces/a/endpointslices/x", "discovery.k8s.io", "v1", "a",
      "endpointslices", "x", "" },
}; /* clang-format on */

static void check(struct str got, const char *expected)
{
    AUTO_FREE char *text = str_dup(got);
    assert_string_equal(text, expected);
}

static void finds_the_parts_of_a_path(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct api_path p;
        assert_int_equal(api_path_parse(str_of(paths[i].path), &p), OK);
        check(p.group, paths[i].group);
        check(p.version, paths[i].version);
        check(p.ns, paths[i].ns);
        check(p.plural, paths[i].plural);
        check(p.name, paths[i].name);
        check(p.subresource, paths[i].subresource);
    }
}

static void paths_that_are_no_resource_are_refused(void **state)
{
    (void)state;
    static const char *const cases[] = { "",
                                         "/",
                                         "/api",
                                         "/api/v1",
                                         "/openapi/v2",
                                         "/apis",
                                         "/apis/apps/v1",
                                         "/api/v1/pods/a/b/c" };
    struct api_path p;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (api_path_parse(str_of(cases[i]), &p) != ERR_NOT_FOUND)
            fail_msg("accepted \"%s\"", cases[i]);
}

static void check_query(const char *target, const char *expected)
{
    AUTO_FREE char *value = query_value(str_of(target), "key");
    assert_string_equal(value, expected);
}

static void decodes_query_values(void **state)
{
    (void)state;
    check_query("/p?key=a%3Db%2Cc", "a=b,c");
    check_query("/p?other=1&key=a+b&key=2", "a b");
    check_query("/p?key", "");
    check_query("/p?key=", "");
    check_query("/p?key=100%", "100%");
    check_query("/p?key=%zz%4", "%zz%4");
    assert_null(query_value(STR("/p"), "key"));
    assert_null(query_value(STR("/p?keys=1"), "key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_parts_of_a_path),
        cmocka_unit_test(paths_that_are_no_resource_are_refused),
        cmocka_unit_test(decodes_query_values),
    };
    return cmocka_run_group_tests_name("playground/path", tests, NULL, NULL);
}
