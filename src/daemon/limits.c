/* daemon/limits.c - limits of the process: clients, buffered bytes, sockets of addresses */
#include "daemon/limits.h"

#include "addresses/addresses.h"
#include "base/log.h"
#include "config/config.h"
#include "daemon/cgroup.h"
#include "daemon/daemon_state.h"
#include "daemon/process.h"
#include "serve/serve.h"

LOG_MODULE(daemon);

#define BUFFER_MEMORY (256 * MIB) /* the default where no cgroup has a limit */

void limit_clients(struct daemon *d)
{
    size_t wanted = d->config->max_connections;
    struct client_limit limit = process_client_limit(wanted);

    serve_limit_clients(d->serve, limit.clients, limit.surplus);
    if (limit.clients < wanted)
        log_warn(NO_ID, "the limit on open files (ulimit -n) allows fewer clients",
                 LOG_U("open_files", limit.files), LOG_U("max_connections", wanted),
                 LOG_U("clients", limit.clients));
}

void limit_memory(struct daemon *d)
{
    uint64_t wanted = d->config->buffer_memory;
    uint64_t cgroup = wanted == SIZE_AUTO ? cgroup_memory_max("") : 0;
    uint64_t limit = wanted != SIZE_AUTO ? wanted : cgroup ? cgroup / 2 : BUFFER_MEMORY;

    log_debug(NO_ID, "memory for buffered bytes", LOG_U("bytes", limit),
              LOG_U("cgroup", cgroup));
    serve_limit_memory(d->serve, (size_t)limit);
}

void limit_addresses(struct daemon *d)
{
    if (d->addresses)
        addresses_limit(d->addresses, process_client_limit(1).files / 8);
}
