/* resolver/dnsmasq.c - dnsmasq, by itself or started by NetworkManager */
#include <glob.h>
#include <stdio.h>

#include "base/own.h"
#include "resolver/backend.h"

/* A dnsmasq with stop-dns-rebind drops answers with addresses of this machine. */
static char *lines_of(const struct resolver_want *w)
{
    char *all = xstrdup(BACKEND_NOTE);

    for (size_t i = 0; i < w->domains.count; i++) {
        char *longer = xasprintf("%sserver=/%s/%s#%u\nrebind-domain-ok=/%s/\n", all,
                                 w->domains.at[i], w->server, w->port, w->domains.at[i]);
        free(all);
        all = longer;
    }
    return all;
}

static void plan_lines(const struct resolver_want *w, const char *path,
                       const char *command, struct plan *ret)
{
    AUTO_FREE char *lines = lines_of(w);

    plan_add_afterwards(ret, command);
    plan_add_file(ret, path, lines);
    plan_add(ret, STEP_COMMAND, NULL, NULL, command);
}

/* ---- by NetworkManager ---- */

/* The last `dns=` of the section [main]. */
static void read_setting(const char *text, bool *dnsmasq)
{
    struct str rest = str_of(text), line, key;
    bool in_main = false;

    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        line = str_trim_space(line);
        if (str_starts(line, STR("[")))
            in_main = str_eq(line, STR("[main]"));
        struct str value = str_trim_space(str_cut(line, '=', &key));
        if (in_main && str_eq(str_trim_space(key), STR("dns")))
            *dnsmasq = str_eq(value, STR("dnsmasq"));
    }
}

static bool network_manager_is_here(const struct machine *m)
{
    static const char *const places[] = { "/usr/lib/NetworkManager/conf.d/*.conf",
                                          "/etc/NetworkManager/NetworkManager.conf",
                                          "/etc/NetworkManager/conf.d/*.conf" };
    bool dnsmasq = false;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        AUTO_FREE char *pattern = machine_path(m, places[i]);
        glob_t found = { 0 };
        if (glob(pattern, 0, NULL, &found))
            found.gl_pathc = 0;
        for (size_t n = 0; n < found.gl_pathc; n++) {
            const struct machine here = { "" };
            AUTO_FREE char *text = machine_text(&here, found.gl_pathv[n]);
            read_setting(text, &dnsmasq);
        }
        globfree(&found);
    }
    return dnsmasq;
}

/* At a reload NetworkManager starts its dnsmasq anew, which reads the folder. */
static enum err network_manager_plan(const struct machine *m,
                                     const struct resolver_want *w, struct plan *ret,
                                     struct diag *why)
{
    (void)m;
    (void)why;
    plan_lines(w, "/etc/NetworkManager/dnsmasq.d/kube-tunnel.conf",
               "systemctl try-reload-or-restart NetworkManager.service", ret);
    return OK;
}

const struct backend network_manager_backend = {
    .name = "networkmanager",
    .is_here = network_manager_is_here,
    .plan = network_manager_plan,
};

/* ---- by itself ---- */

static bool dnsmasq_is_here(const struct machine *m)
{
    bool local = machine_has_server(m, "127.0.0.1") || machine_has_server(m, "::1");

    return local && machine_has(m, "/etc/dnsmasq.d");
}

static enum err dnsmasq_plan(const struct machine *m, const struct resolver_want *w,
                             struct plan *ret, struct diag *why)
{
    (void)m;
    (void)why;
    plan_lines(w, "/etc/dnsmasq.d/kube-tunnel.conf",
               "systemctl try-restart dnsmasq.service", ret);
    return OK;
}

const struct backend dnsmasq_backend = {
    .name = "dnsmasq",
    .is_here = dnsmasq_is_here,
    .plan = dnsmasq_plan,
};
