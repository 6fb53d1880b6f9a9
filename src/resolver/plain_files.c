/* resolver/plain_files.c - resolvers that are only files: macOS, resolv.conf, hosts */
#include <sys/stat.h>

#include "base/own.h"
#include "resolver/backend.h"

/* ---- /etc/resolver of macOS: not tested there ---- */

static bool macos_is_here(const struct machine *m)
{
    return machine_has(m, "/System/Library/CoreServices/SystemVersion.plist");
}

static enum err macos_plan(const struct machine *m, const struct resolver_want *w,
                           struct plan *ret, struct diag *why)
{
    AUTO_FREE char *text =
        xasprintf(BACKEND_NOTE "nameserver %s\nport %u\n", w->server, w->port);
    (void)m;
    (void)why;

    for (size_t i = 0; i < w->domains.count; i++) {
        AUTO_FREE char *path = xasprintf("/etc/resolver/%s", w->domains.at[i]);
        plan_add_file(ret, path, text);
    }
    return OK;
}

const struct backend macos_backend = {
    .name = "macos",
    .is_here = macos_is_here,
    .plan = macos_plan,
};

/* ---- resolv.conf ---- */

static bool resolv_conf_is_here(const struct machine *m)
{
    AUTO_FREE char *path = machine_path(m, "/etc/resolv.conf");
    struct stat facts;

    return lstat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

/* Programs ask the first server for all names.  It refuses those of other domains, and then
 * they ask the next one. */
static enum err resolv_conf_plan(const struct machine *m, const struct resolver_want *w,
                                 struct plan *ret, struct diag *why)
{
    AUTO_FREE char *line = xasprintf("nameserver %s\n", w->server);
    (void)m;

    if (w->port != 53)
        return diag_set(why, ERR_CONFIG,
                        "resolv.conf cannot name a port, and programs ask at port 53. "
                        "kube-tunnel has to listen there: kube-tunnel dns install "
                        "--low-ports setcap --dns-listen %s:53, and run it with the same "
                        "--dns-listen",
                        w->server);
    plan_add(ret, STEP_TOP_BLOCK, "/etc/resolv.conf", NULL, line);
    return OK;
}

const struct backend resolv_conf_backend = {
    .name = "resolv.conf",
    .is_here = resolv_conf_is_here,
    .plan = resolv_conf_plan,
};

/* ---- hosts: without the DNS, so only names that are known now ---- */

static bool hosts_is_here(const struct machine *m)
{
    return machine_has(m, "/etc/hosts");
}

static enum err hosts_plan(const struct machine *m, const struct resolver_want *w,
                           struct plan *ret, struct diag *why)
{
    (void)m;
    if (!w->names)
        return diag_set(
            why, ERR_CONFIG,
            "the names for /etc/hosts are missing: add --backend hosts while "
            "kube-tunnel runs, or give them with --names FILE (\"-\": standard "
            "input), one line each: ADDRESS NAME...");
    plan_add(ret, STEP_BLOCK, "/etc/hosts", NULL, w->names);
    return OK;
}

const struct backend hosts_backend = {
    .name = "hosts",
    .is_here = hosts_is_here,
    .plan = hosts_plan,
};
