/* resolver/backend.h - what differs between resolvers; private to resolver/ */
#pragma once

#include "resolver/plan.h"
#include "resolver/resolver.h"

/* What each backend begins its files with. */
#define BACKEND_NOTE                                                                     \
    "# Written by \"kube-tunnel dns install\"; \"kube-tunnel dns uninstall\" removes "   \
    "it.\n"

struct backend {
    const char *name;
    /* Is this the resolver of the machine?  Backends are tried in the table's order. */
    bool (*is_here)(const struct machine *m);
    /* ERR_CONFIG: it cannot do what is wanted; *why says what to type instead. */
    enum err (*plan)(const struct machine *m, const struct resolver_want *w,
                     struct plan *ret, struct diag *why);
};

extern const struct backend delegate_backend, link_backend, network_manager_backend,
    dnsmasq_backend, macos_backend, resolv_conf_backend, hosts_backend;

/* NULL: no such backend; with NULL as the name: the first that is here. */
const struct backend *backend_find(const struct machine *m, const char *name);
/* Adds the steps for ports below 1024.  ERR_CONFIG: there is no such user. */
MUST_CHECK enum err low_ports_plan(const struct resolver_want *w, struct plan *ret,
                                   struct diag *why);

/* ---- looking at the machine ---- */

/* At most STEP_TEXT_MAX bytes; "" if it cannot be read.  Owned by the caller. */
char *machine_text(const struct machine *m, const char *path);
bool machine_has(const struct machine *m, const char *path);
/* Lists systemd-resolved (or its stub) as the server of resolv.conf? */
bool machine_uses_resolved(const struct machine *m);
/* Is this IPv4 address a server in resolv.conf? */
bool machine_has_server(const struct machine *m, const char *address);
/* Version of systemd; 0: not found. */
unsigned machine_systemd_version(const struct machine *m);

/* "PREFIXcluster.localSEPARATORPREFIXk8s"; owned by the caller. */
char *join_domains(const struct resolver_want *w, const char *prefix,
                   const char *separator);
