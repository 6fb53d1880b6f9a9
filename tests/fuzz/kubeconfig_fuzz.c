/* tests/fuzz/kubeconfig_fuzz.c - any bytes as two kubeconfig files, merged */
#include <assert.h>
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "kube/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void add(struct kubeconfig *into, struct str text)
{
    struct kubeconfig *kc = NULL;
    struct diag why;

    if (kubeconfig_parse(text, "file", &kc, &why) == OK)
        kubeconfig_merge(into, kc);
}

/* Each is found by its name, and a copy outlives it. */
static void check_users(const struct kubeconfig *kc)
{
    list_for_each (e, (struct list_node *)(uintptr_t)&kc->users.list, struct kc_entry,
                   node) {
        const struct kc_user *user = kubeconfig_user(kc, e->name);
        assert(user && &user->entry == e && e->file && e->line);
        struct kc_user *copy = kc_user_copy(user);
        assert(strcmp(copy->entry.name, e->name) == 0);
        assert(copy->as_groups.count == user->as_groups.count);
        assert(!copy->exec == !user->exec);
        kc_user_destroy(copy);
    }
}

static void check_clusters(const struct kubeconfig *kc)
{
    list_for_each (e, (struct list_node *)(uintptr_t)&kc->clusters.list, struct kc_entry,
                   node) {
        struct kc_cluster *copy = kc_cluster_copy(kubeconfig_cluster(kc, e->name));
        json_t *config =
            copy->exec_config
                ? json_loads(copy->exec_config, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                : NULL;
        assert(!copy->exec_config == !config);
        json_decref(config);
        kc_cluster_destroy(copy);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = { (const char *)bytes, len };
    struct kubeconfig *kc = kubeconfig_create();

    add(kc, str_first(text, len / 2));
    add(kc, text);
    check_users(kc);
    check_clusters(kc);
    kubeconfig_destroy(kc);
    return 0;
}
