/* tests/fuzz/container_fuzz.c - any JSON as a pod, its ConfigMaps and its Secrets
 *
 * {"pod": ..., "configMaps": ..., "secrets": ..., "withSecrets": bool}.  Each variable that is
 * taken has a valid name and a value that execve accepts; without withSecrets none has a value
 * of a Secret.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "exec/container.h"
#include "exec/refused.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check(const struct variables *v)
{
    size_t total = 0;

    for (size_t i = 0; i < v->count; i++) {
        const struct variable *one = v->at[i];
        assert(!one->value == (one->omitted != OMITTED_NOT));
        assert(variables_get(v, str_of(one->name)) == one);
        (void)refused_because(str_of(one->name));
        if (!one->value)
            continue;
        assert(variable_is_name(str_of(one->name)) && !strchr(one->name, '='));
        assert(strlen(one->value) <= VALUE_MAX);
        total += strlen(one->value);
    }
    assert(total == v->bytes && v->count <= VARIABLES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    json_t *all = json_loadb((const char *)bytes, len, JSON_ALLOW_NUL, NULL);
    struct container_parts c = {
        .pod = container_pod(json_object_get(all, "pod")),
        .is_running = json_is_true(json_object_get(all, "running")),
        .ns = "shop",
        .config_maps = json_object_get(all, "configMaps"),
        .secrets = json_object_get(all, "secrets"),
        .with_secrets = json_is_true(json_object_get(all, "withSecrets")),
    };
    struct texts maps = { 0 }, secrets = { 0 };
    struct variables v;

    variables_init(&v);
    if (c.pod && !container_find(c.pod, NULL, &c.container, NULL)) {
        container_references(c.container, &maps, &secrets);
        enum err e = container_variables(&c, &v, NULL);
        assert(e == OK || e == ERR_NOT_FOUND || e == ERR_LIMIT);
        if (e != ERR_LIMIT)
            check(&v);
    }
    variables_finish(&v);
    texts_finish(&maps);
    texts_finish(&secrets);
    json_decref(all);
    return 0;
}
