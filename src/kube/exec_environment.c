#include "kube/exec_environment.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/file.h"
#include "kube/kubeconfig.h"

#define INFO "KUBERNETES_EXEC_INFO"

static bool is_program(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode) && access(path, X_OK) == 0;
}

/* A relative folder of $PATH would be searched where kube-tunnel happens to run. */
static char *find_in_path(const char *name)
{
    const char *list = getenv("PATH");
    struct str rest = str_of(list ? list : "/usr/local/bin:/usr/bin:/bin");

    while (!str_empty(rest)) {
        struct str folder;
        rest = str_cut(rest, ':', &folder);
        if (!str_starts(folder, STR("/")))
            continue;
        AUTO_FREE char *path = xasprintf("%.*s/%s", STR_ARG(folder), name);
        if (is_program(path))
            return TAKE(path);
    }
    return NULL;
}

enum err exec_find_program(const struct kc_user *user, char **ret, struct diag *why)
{
    const char *command = user->exec->command;
    bool is_path = strchr(command, '/') != NULL;
    AUTO_FREE char *path =
        is_path ? file_beside(user->entry.file, command) : find_in_path(command);

    if (!path)
        return diag_set(why, ERR_NOT_FOUND,
                        "it is not installed: nothing of that name "
                        "in PATH");
    if (is_path && access(path, F_OK))
        return diag_set(why, ERR_NOT_FOUND, "it is not installed: %s is missing", path);
    if (is_path && !is_program(path))
        return diag_set(why, ERR_ACCESS, "%s is not executable", path);
    *ret = TAKE(path);
    return OK;
}

/* What is meant for kube-tunnel itself: by its service manager, and by its start, where a
 * plugin that uses libuv would have one thread. */
static bool is_ours(struct str variable)
{
    static const char *const ours[] = {
        "NOTIFY_SOCKET=", "LISTEN_FDS=",   "LISTEN_PID=",         "LISTEN_FDNAMES=",
        "WATCHDOG_USEC=", "WATCHDOG_PID=", "UV_THREADPOOL_SIZE=1"
    };

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (str_starts(variable, str_of(ours[i])))
            return true;
    return false;
}

static bool is_overridden(const struct kc_exec *exec, struct str name)
{
    AUTO_FREE char *text = str_dup(name);
    return strcmp(text, INFO) == 0 || kc_pair(&exec->env, text) != NULL;
}

char **exec_environment_create(const struct kc_exec *exec, const char *spec)
{
    size_t count = 0, n = 0;

    while (environ[count])
        count++;
    char **all = xcalloc(count + exec->env.count + 2, sizeof(*all));
    for (char **e = environ; *e; e++) {
        struct str name;
        str_cut(str_of(*e), '=', &name);
        if (!is_ours(str_of(*e)) && !is_overridden(exec, name))
            all[n++] = xstrdup(*e);
    }
    for (size_t i = 0; i < exec->env.count; i++) {
        const struct text_pair *pair = &exec->env.at[i];
        const char *last = kc_pair(&exec->env, pair->name);
        if (pair->value == last && strcmp(pair->name, INFO) != 0)
            all[n++] = xasprintf("%s=%s", pair->name, last ? last : "");
    }
    all[n] = xasprintf(INFO "=%s", spec);
    return all;
}

void exec_environment_destroy(char **environment)
{
    for (char **e = environment; e && *e; e++)
        free(*e);
    free(environment);
}
