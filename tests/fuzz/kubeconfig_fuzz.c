/* tests/fuzz/kubeconfig_fuzz.c - any bytes as two kubeconfig files, merged */
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

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = { (const char *)bytes, len };
    struct kubeconfig *kc = kubeconfig_create();

    add(kc, str_first(text, len / 2));
    add(kc, text);
    kubeconfig_user(kc, "u");
    kubeconfig_destroy(kc);
    return 0;
}
