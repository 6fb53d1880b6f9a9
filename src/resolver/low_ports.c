/* resolver/low_ports.c - let kube-tunnel listen on ports below 1024 */
#include <pwd.h>

#include "base/own.h"
#include "resolver/backend.h"

/* CAP_NET_BIND_SERVICE, permitted and effective (struct vfs_cap_data, revision 2). */
#define BIND_SERVICE "0100000200040000000000000000000000000000"

#define FIRST_PORT "/proc/sys/net/ipv4/ip_unprivileged_port_start"

static const char *const kinds[] = { "none", "setcap", "unit", "sysctl" };

bool resolver_low_ports_are_open(const struct machine *m)
{
    AUTO_FREE char *text = machine_text(m, FIRST_PORT);

    return text[0] && strtoul(text, NULL, 10) <= 80;
}

const char *resolver_low_ports_at(size_t i)
{
    return i < ARRAY_LEN(kinds) ? kinds[i] : NULL;
}

/* Its control socket is where the user's other commands look for it. */
static enum err plan_unit(const struct resolver_want *w, struct plan *ret,
                          struct diag *why)
{
    const struct passwd *user = getpwnam(w->user);

    if (!user)
        return diag_set(why, ERR_CONFIG, "--user %s: there is no such user", w->user);
    AUTO_FREE char *text =
        xasprintf(BACKEND_NOTE "[Unit]\n"
                               "Description=kube-tunnel of %s\n"
                               "Documentation=man:kube-tunnel(1)\n"
                               "Requires=user-runtime-dir@%u.service\n"
                               "After=network.target user-runtime-dir@%u.service\n"
                               "\n"
                               "[Service]\n"
                               "User=%s\n"
                               "Environment=XDG_RUNTIME_DIR=/run/user/%u\n"
                               "AmbientCapabilities=CAP_NET_BIND_SERVICE\n"
                               "CapabilityBoundingSet=CAP_NET_BIND_SERVICE\n"
                               "NoNewPrivileges=yes\n"
                               "ExecStart=%s run\n"
                               "Restart=on-failure\n"
                               "TimeoutStartSec=30\n"
                               "\n"
                               "[Install]\n"
                               "WantedBy=multi-user.target\n",
                  w->user, user->pw_uid, user->pw_uid, w->user, user->pw_uid, w->program);

    plan_add_afterwards(ret, "systemctl daemon-reload");
    plan_add_file(ret, "/etc/systemd/system/kube-tunnel.service", text);
    plan_add_link(ret, "/etc/systemd/system/multi-user.target.wants/kube-tunnel.service",
                  "../kube-tunnel.service");
    plan_add(ret, STEP_COMMAND, NULL, NULL, "systemctl daemon-reload");
    plan_add(ret, STEP_COMMAND, "/etc/systemd/system/kube-tunnel.service",
             "systemctl stop kube-tunnel.service",
             "systemctl restart kube-tunnel.service");
    return OK;
}

enum err low_ports_plan(const struct resolver_want *w, struct plan *ret, struct diag *why)
{
    if (strcmp(w->low_ports, "setcap") == 0)
        plan_add(ret, STEP_CAPABILITY, w->program, NULL, BIND_SERVICE);
    if (strcmp(w->low_ports, "unit") == 0)
        return plan_unit(w, ret, why);
    if (strcmp(w->low_ports, "sysctl") == 0) {
        plan_add_file(ret, "/etc/sysctl.d/90-kube-tunnel.conf",
                      BACKEND_NOTE "net.ipv4.ip_unprivileged_port_start = 0\n");
        plan_add(ret, STEP_KERNEL, FIRST_PORT, NULL, "0");
    }
    return OK;
}
