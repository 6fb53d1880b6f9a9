#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"
#include "playground/demo.h"
#include "playground/endpoints.h"

static int setup(void **state)
{
    *state = store_create();
    return 0;
}

static int teardown(void **state)
{
    store_destroy(*state);
    return 0;
}

static void put_service(struct store *s, const char *spec)
{
    store_put(s, KIND_SERVICE, demo_service(s, "shop", "web", spec));
}

static void put_pod(struct store *s, const char *name, const char *app)
{
    store_put(s, KIND_POD, demo_pod(s, "shop", name, app, NULL));
}

static const json_t *only_slice(const struct store *s)
{
    assert_int_equal(store_count(s, KIND_ENDPOINTSLICE), 1);
    return store_at(s, KIND_ENDPOINTSLICE, 0);
}

static json_int_t port_of(const json_t *slice, size_t i)
{
    const json_t *port = json_array_get(json_object_get(slice, "ports"), i);
    return json_integer_value(json_object_get(port, "port"));
}

static void named_and_numbered_ports_are_resolved(void **state)
{
    struct store *s = *state;
    put_service(s, "{\"selector\":{\"app\":\"web\"},\"ports\":["
                   "{\"name\":\"a\",\"port\":80,\"targetPort\":\"http\"},"
                   "{\"name\":\"b\",\"port\":81,\"targetPort\":9000},"
                   "{\"name\":\"c\",\"port\":82}]}");
    put_pod(s, "p", "web");
    put_pod(s, "q", "other");
    endpoints_sync(s);
    const json_t *slice = only_slice(s);
    assert_int_equal(port_of(slice, 0), 8080);
    assert_int_equal(port_of(slice, 1), 9000);
    assert_int_equal(port_of(slice, 2), 82);
    assert_int_equal(json_array_size(json_object_get(slice, "endpoints")), 1);
}

static void a_slice_that_is_right_is_not_changed(void **state)
{
    struct store *s = *state;
    put_service(s, "{\"selector\":{\"app\":\"web\"},\"ports\":[{\"port\":80}]}");
    put_pod(s, "p", "web");
    endpoints_sync(s);
    uint64_t revision = store_revision(s);
    endpoints_sync(s);
    assert_int_equal(store_revision(s), revision);
}

static void a_service_without_pods_has_an_empty_slice(void **state)
{
    struct store *s = *state;
    put_service(s, "{\"selector\":{\"app\":\"web\"},\"ports\":[{\"port\":80}]}");
    endpoints_sync(s);
    assert_true(json_is_null(json_object_get(only_slice(s), "endpoints")));
}

static void many_pods_make_many_slices(void **state)
{
    struct store *s = *state;
    char name[16];
    put_service(s, "{\"selector\":{\"app\":\"web\"},\"ports\":[{\"port\":80}]}");
    for (size_t i = 0; i <= SLICE_ENDPOINTS; i++) {
        snprintf(name, sizeof(name), "p%zu", i);
        put_pod(s, name, "web");
    }
    endpoints_sync(s);
    assert_int_equal(store_count(s, KIND_ENDPOINTSLICE), 2);
    store_delete(s, KIND_POD, "shop", "p0");
    endpoints_sync(s);
    assert_int_equal(store_count(s, KIND_ENDPOINTSLICE), 1);
}

static void slices_are_deleted_with_their_service(void **state)
{
    struct store *s = *state;
    put_service(s, "{\"selector\":{\"app\":\"web\"},\"ports\":[{\"port\":80}]}");
    put_pod(s, "p", "web");
    endpoints_sync(s);
    store_delete(s, KIND_SERVICE, "shop", "web");
    endpoints_sync(s);
    assert_int_equal(store_count(s, KIND_ENDPOINTSLICE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(named_and_numbered_ports_are_resolved, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_slice_that_is_right_is_not_changed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_service_without_pods_has_an_empty_slice, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(many_pods_make_many_slices, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_are_deleted_with_their_service, setup,
                                        teardown),
    };
    return cmocka_run_group_tests_name("playground/endpoints", tests, NULL, NULL);
}
