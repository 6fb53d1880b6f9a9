/* exec/names.h - names of the cluster and their addresses, as the control socket reports them
 *
 * The stream GET /v1/names?namespace=NS&... has a line of JSON for each change:
 *
 *     {"type":"name","name":"web.shop.svc.cluster.local","address":"127.1.2.3","closed":[80]}
 *     {"type":"gone","name":"web.shop.svc.cluster.local"}
 *     {"type":"ready"}   every name that is known at present was sent
 *
 * "closed" has the ports of the service that could not be opened.  Lines of other types are
 * ignored.  A name that has not the form of a name in a cluster is left out: neither a Service
 * nor kube-tunnel can give a name of the Internet another address.
 */
#pragma once

#include <netinet/in.h>

#include "base/map.h"
#include "base/str.h"
#include "exec/hosts.h"

struct names {
    struct map by_name; /* full name -> struct known_name */
    const char *const *namespaces;
    size_t namespace_count; /* whose services also have short names */
    struct map taken;       /* names of the machine's hosts file; value not used */
    bool ready;
    uint16_t closed; /* the lowest port that could not be opened; 0: none */
    char *closed_name;
};

/* `namespaces` is borrowed.  machine: the text of the machine's hosts file: its names are never
 * short names of services. */
void names_init(struct names *n, const char *const *namespaces, size_t namespace_count,
                struct str machine);
void names_finish(struct names *n);

/* Takes a line of the stream.  True: names have changed. */
bool names_take(struct names *n, struct str line);
/* A new stream begins: names that it does not repeat before its "ready" are dropped. */
void names_begin(struct names *n);
/* Writes them to the file: the full name and, in one of the namespaces, "web", "web.shop" and
 * "web.shop.svc", as a pod's search list has it. */
MUST_CHECK enum err names_write(const struct names *n, struct hosts *h, struct diag *why);
