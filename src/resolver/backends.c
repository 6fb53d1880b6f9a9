/* resolver/backends.c - the table of backends */
#include "base/own.h"
#include "resolver/backend.h"

/* The order in which they are tried: programs that answer look-ups, then files. */
static const struct backend *const backends[] = {
    &delegate_backend, &link_backend,        &network_manager_backend, &dnsmasq_backend,
    &macos_backend,    &resolv_conf_backend, &hosts_backend,
};

const char *resolver_backend_at(size_t i)
{
    return i < ARRAY_LEN(backends) ? backends[i]->name : NULL;
}

const struct backend *backend_find(const struct machine *m, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(backends); i++)
        if (name ? strcmp(backends[i]->name, name) == 0 : backends[i]->is_here(m))
            return backends[i];
    return NULL;
}
