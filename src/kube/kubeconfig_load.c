/* kube/kubeconfig_load.c - which files make up the kubeconfig
 *
 * The rules are client-go's: one chosen file, or the list in $KUBECONFIG, or
 * ~/.kube/config; what the first of them defines stands.
 */
#include "kube/kubeconfig.h"

#include "base/log.h"
#include "base/own.h"
#include "kube/file.h"

#define LOG_MODULE LOG_KUBE

/* Read a file and merge it in.  `optional`: it may be missing. */
static enum err add_file(struct kubeconfig *kc, const char *path, bool optional,
                         struct diag *why)
{
    AUTO_FREE char *text = NULL;
    struct kubeconfig *file = NULL;
    size_t len = 0;
    enum err e = file_read(path, KUBECONFIG_MAX, &text, &len, why);

    if (e == ERR_NOT_FOUND && optional)
        return OK;
    if (!e)
        e = kubeconfig_parse((struct str){ text, len }, path, &file, why);
    if (e)
        return e;
    kubeconfig_merge(kc, file);
    return OK;
}

/* $KUBECONFIG: a list, missing files skipped.  A file named twice adds nothing new. */
static enum err add_list(struct kubeconfig *kc, const char *list, struct diag *why)
{
    struct str rest = str_of(list);
    enum err e = OK;

    while (!e && !str_empty(rest)) {
        struct str entry;
        rest = str_cut(rest, ':', &entry);
        AUTO_FREE char *path = str_dup(entry);
        if (!str_empty(entry))
            e = add_file(kc, path, true, why);
    }
    return e;
}

static enum err add_files(struct kubeconfig *kc, const char *chosen, struct diag *why)
{
    const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");

    if (chosen) {
        kc->origin = xstrdup(chosen);
        return add_file(kc, chosen, false, why);
    }
    if (list && *list) {
        kc->origin = xasprintf("$KUBECONFIG (%s)", list);
        return add_list(kc, list, why);
    }
    kc->origin = xasprintf("%s/.kube/config", home ? home : "");
    return add_file(kc, kc->origin, true, why);
}

enum err kubeconfig_load(const char *chosen, struct kubeconfig **ret, struct diag *why)
{
    AUTO(kubeconfig_destroyp) struct kubeconfig *kc = kubeconfig_create();
    enum err e = add_files(kc, chosen, why);

    if (!e)
        *ret = TAKE(kc);
    return e;
}

void kubeconfig_log_warnings(const struct kubeconfig *kc)
{
    for (size_t i = 0; i < kc->warnings.count; i++)
        log_warn(NO_ID, "kubeconfig", LOG_S("why", kc->warnings.at[i]));
}
