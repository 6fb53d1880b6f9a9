/* resolver/resolved.c - systemd-resolved: a delegate file, or a link of our own
 *
 * resolved sends names of a domain to the servers of the scope with the longest matching domain.
 * From systemd 258 on, a delegate file makes such a scope.  Before that only network links do.
 * An existing link belongs to the program that configured it, which may set its servers again at
 * any time, and resolved refuses servers on lo.  A drop-in of resolved.conf makes them servers of
 * the global scope, which resolved also uses for all other names (measured with 252).  So a unit
 * of ours makes a link that carries no traffic.
 */
#include "base/own.h"
#include "resolver/backend.h"

#define DELEGATES_SINCE 258
#define LINK "kube-tunnel"
/* resolved ignores a link without an address of global scope.  addresses/ gives out none in
 * 127.0.0.0/16. */
#define LINK_ADDRESS "127.0.53.1/32"
#define UNIT "kube-tunnel-dns.service"
#define UNITS "/etc/systemd/system/"
#define UNIT_PATH UNITS UNIT
#define WANTS UNITS "systemd-resolved.service.wants"

static bool delegate_is_here(const struct machine *m)
{
    return machine_uses_resolved(m) && machine_systemd_version(m) >= DELEGATES_SINCE;
}

static enum err delegate_plan(const struct machine *m, const struct resolver_want *w,
                              struct plan *ret, struct diag *why)
{
    AUTO_FREE char *domains = join_domains(w, "~", " ");
    AUTO_FREE char *text = xasprintf(BACKEND_NOTE "[Delegate]\nDNS=%s:%u\nDomains=%s\n"
                                                  "DefaultRoute=no\n",
                                     w->server, w->port, domains);
    (void)m;
    (void)why;

    plan_add_afterwards(ret, "systemctl try-reload-or-restart systemd-resolved.service");
    plan_add_file(ret, "/etc/systemd/dns-delegate.d/kube-tunnel.dns-delegate", text);
    plan_add(ret, STEP_COMMAND, NULL, NULL,
             "systemctl try-reload-or-restart systemd-resolved.service");
    return OK;
}

const struct backend delegate_backend = {
    .name = "resolved-delegate",
    .is_here = delegate_is_here,
    .plan = delegate_plan,
};

/* ---- a link of our own ---- */

/* A kernel without dummy links has pairs of virtual Ethernet links. */
static const char unit_format[] =
    BACKEND_NOTE "[Unit]\n"
                 "Description=Names of Kubernetes clusters, for systemd-resolved\n"
                 "Documentation=man:kube-tunnel(1)\n"
                 "After=systemd-resolved.service\n"
                 "PartOf=systemd-resolved.service\n"
                 "\n"
                 "[Service]\n"
                 "Type=oneshot\n"
                 "RemainAfterExit=yes\n"
                 "TimeoutStartSec=30\n"
                 "ExecStartPre=-/bin/sh -c 'ip link delete dev " LINK " 2>/dev/null'\n"
                 "ExecStart=/bin/sh -c 'ip link add name " LINK
                 " type dummy || { ip link add name " LINK " type veth peer name " LINK
                 "-p && ip link set dev " LINK "-p addrgenmode none up; }'\n"
                 "ExecStart=ip link set dev " LINK " addrgenmode none up\n"
                 "ExecStart=ip address add " LINK_ADDRESS " dev " LINK " scope global\n"
                 "ExecStart=resolvectl dns " LINK " %s:%u\n"
                 "ExecStart=resolvectl domain " LINK " %s\n"
                 "ExecStart=resolvectl default-route " LINK " no\n"
                 "ExecStart=resolvectl dnssec " LINK " no\n"
                 "ExecStart=resolvectl dnsovertls " LINK " no\n"
                 "ExecStart=resolvectl llmnr " LINK " no\n"
                 "ExecStart=resolvectl mdns " LINK " no\n"
                 "ExecStop=-ip link delete dev " LINK "\n"
                 "\n"
                 "[Install]\n"
                 "WantedBy=systemd-resolved.service\n";

/* Programs that manage links leave ours alone. */
static void plan_unmanaged(const struct machine *m, struct plan *ret)
{
    if (machine_has(m, "/etc/systemd/network"))
        plan_add_file(ret, "/etc/systemd/network/10-kube-tunnel.network",
                      BACKEND_NOTE "[Match]\nName=" LINK "*\n\n[Link]\nUnmanaged=yes\n");
    if (!machine_has(m, "/etc/NetworkManager"))
        return;
    plan_add_afterwards(ret, "systemctl try-reload-or-restart NetworkManager.service");
    plan_add_file(ret, "/etc/NetworkManager/conf.d/kube-tunnel.conf",
                  BACKEND_NOTE "[device-kube-tunnel]\nmatch-device=interface-name:" LINK
                               "*\nmanaged=0\n");
    plan_add(ret, STEP_COMMAND, NULL, NULL,
             "systemctl try-reload-or-restart NetworkManager.service");
}

static enum err link_plan(const struct machine *m, const struct resolver_want *w,
                          struct plan *ret, struct diag *why)
{
    AUTO_FREE char *domains = join_domains(w, "~", " ");
    AUTO_FREE char *unit = xasprintf(unit_format, w->server, w->port, domains);
    (void)why;

    plan_unmanaged(m, ret);
    plan_add_afterwards(ret, "systemctl daemon-reload");
    plan_add_file(ret, UNIT_PATH, unit);
    plan_add_link(ret, WANTS "/" UNIT, "../" UNIT);
    plan_add(ret, STEP_COMMAND, NULL, NULL, "systemctl daemon-reload");
    plan_add(ret, STEP_COMMAND, UNIT_PATH, "systemctl stop " UNIT,
             "systemctl restart " UNIT);
    return OK;
}

const struct backend link_backend = {
    .name = "resolved-link",
    .is_here = machine_uses_resolved,
    .plan = link_plan,
};
