/* kube/kubeconfig_load.c - which files make up the kubeconfig
 *
 * The rules are client-go's: one chosen file, or the list in $KUBECONFIG, or
 * ~/.kube/config; what the first of them defines stands.
 */
#include "kube/kubeconfig.h"

#include "base/log.h"
#include "base/own.h"
#include "base/file.h"

LOG_MODULE(kube);

/* What to type, behind what is wrong. */
static enum err add_remedy(const char *path, enum err e, struct diag *why)
{
    if (!why)
        return e;
    struct diag what = *why;
    if (e == ERR_NOT_FOUND)
        return diag_set(why, e, "%s; name another file with --kubeconfig or KUBECONFIG",
                        what.text);
    if (e == ERR_ACCESS)
        return diag_set(why, e, "%s; make it readable, as its owner: chmod u+r %s",
                        what.text, path);
    return diag_set(why, e, "%s; kubectl --kubeconfig %s config view reads it, too",
                    what.text, path);
}

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
        return add_remedy(path, e, why);
    kubeconfig_merge(kc, file);
    return OK;
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static char *home_path(void)
{
    const char *home = getenv("HOME");
    return xasprintf("%s/.kube/config", home ? home : "");
}

/* $KUBECONFIG is a list.  A file named twice adds nothing new. */
void kubeconfig_paths(const char *chosen, struct texts *ret)
{
    const char *list = chosen ? NULL : variable("KUBECONFIG");
    struct str rest = str_of(list);

    if (!list)
        texts_add(ret, chosen ? xstrdup(chosen) : home_path());
    while (!str_empty(rest)) {
        struct str entry;
        rest = str_cut(rest, ':', &entry);
        if (!str_empty(entry))
            texts_add(ret, str_dup(entry));
    }
}

static char *origin_of(const char *chosen)
{
    const char *list = variable("KUBECONFIG");

    if (chosen)
        return xstrdup(chosen);
    return list ? xasprintf("$KUBECONFIG (%s)", list) : home_path();
}

static enum err add_files(struct kubeconfig *kc, const char *chosen, struct diag *why)
{
    struct texts paths = { 0 };
    enum err e = OK;

    kc->origin = origin_of(chosen);
    kubeconfig_paths(chosen, &paths);
    for (size_t i = 0; !e && i < paths.count; i++)
        e = add_file(kc, paths.at[i], !chosen, why);
    texts_finish(&paths);
    return e;
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
        log_warn(NO_ID, "kubeconfig", LOG_S("reason", kc->warnings.at[i]));
}
