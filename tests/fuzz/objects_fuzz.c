/* tests/fuzz/objects_fuzz.c - any JSON as a service, a slice, a pod and a Deployment, and made an entry
 *
 * Whatever the API server sends either is refused or becomes an entry within its limits.
 * One input is read as all kinds, so that one seed covers what they have in common.
 */
#include <assert.h>

#include "catalog/deployment.h"
#include "catalog/entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(struct service *s)
{
    assert(s->refs == 1 && s->ns && s->name);
    assert(s->port_count <= PORTS_MAX);
    assert(s->endpoint_count <= SLICE_ENDPOINTS_MAX);
    assert(entry_equal(s, s));
    for (size_t i = 0; i < s->endpoint_count; i++) {
        assert(s->endpoints[i]->pod && s->endpoints[i]->uid);
        assert(!(s->endpoints[i]->ready && s->endpoints[i]->terminating));
        assert(endpoint_port(s, s->endpoints[i], s->port_count) == 0);
    }
    service_unref(s);
}

static void build(const struct service_spec *spec, const struct slice_list *slices,
                  const struct pod_list *pods)
{
    check(entry_from_slices(spec, slices, NULL, NULL));
    check(entry_from_slices(spec, slices, pods, NULL));
    check(entry_from_pods(spec, pods, NULL));
    for (size_t i = 0; i < pods->count; i++)
        check(entry_for_pod(pods->at[i]));
}

static void build_and_destroy(struct service_spec *spec, const struct slice_list *slices,
                              const struct pod_list *pods)
{
    assert(spec->selector && *spec->selector);
    build(spec, slices, pods);
    spec_unref(spec);
}

/* As slices, which serve a service that has no selector and one that has. */
static void read_endpoints(const json_t *object)
{
    const struct service_port port = { .name = "", .number = 80, .tcp = true };
    const struct service_spec loose = {
        .ns = "shop", .name = "web", .selector = "a=b", .ports = &port, .port_count = 1
    };
    struct slice_list slices = { 0 };
    struct pod_list none = { 0 };
    struct diag why;
    char *ns, *name;

    if (endpoints_parse(object, &slices, &ns, &name, &why) != OK)
        return;
    assert(*name);
    for (size_t i = 0; i < slices.count; i++)
        assert(strcmp(slice_list_at(&slices, i)->service, name) == 0);
    build_and_destroy(spec_pack(&loose), &slices, &none);
    slice_list_finish(&slices);
    free(ns);
    free(name);
}

static void read_object(const json_t *object)
{
    struct service_spec *spec = NULL;
    struct slice_list slices = { 0 };
    struct pod_list pods = { 0 };
    struct slice *slice;
    struct pod *pod;
    struct diag why;

    if (slice_parse(object, &slice, &why) == OK)
        slice_list_put(&slices, slice);
    read_endpoints(object);
    if (pod_parse(object, &pod, &why) == OK)
        pod_list_add(&pods, pod);
    if (spec_parse(object, &spec, &why) == OK)
        build(spec, &slices, &pods);
    spec_unref(spec);
    if (deployment_parse(object, &spec, &why) == OK)
        build_and_destroy(spec, &slices, &pods);
    build_and_destroy(deployment_from_pod("shop", "web", object), &slices, &pods);
    (void)deployment_made("web", object);
    slice_list_finish(&slices);
    pod_list_finish(&pods);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    json_error_t error;
    json_t *object = json_loadb((const char *)bytes, len, 0, &error);

    if (object)
        read_object(object);
    json_decref(object);
    return 0;
}
