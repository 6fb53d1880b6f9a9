/* exec/names.h - names of the cluster and their addresses, as the control socket reports them
 *
 * The stream GET /v1/names has a line of JSON for each change:
 *
 *     {"type":"name","names":["web.shop.svc.cluster.local"],"address":"127.1.2.3"}
 *     {"type":"gone","names":["web.shop.svc.cluster.local"]}
 *     {"type":"left-out","count":N}   so many have no address, for lack of listeners
 *     {"type":"ready"}   every name that is known at present was sent
 *
 * The first of "names" is the full one.  Lines of other types are ignored.  A name that has not
 * the form of a name in a cluster is left out: neither a Service nor kube-tunnel can give a name of
 * the Internet another address.
 */
#pragma once

#include <netinet/in.h>

#include "base/map.h"
#include "base/str.h"
#include "base/texts.h"
#include "exec/hosts.h"

struct service_names {
    struct map by_name; /* full name -> struct known_name */
    const char *const *namespaces;
    size_t namespace_count; /* whose services also have short names */
    struct map taken;       /* names of the machine, in lower case; value not used */
    bool ready;
    size_t left_out; /* names that there is no room for, as the stream said last */
};

/* `namespaces` is borrowed. */
void service_names_init(struct service_names *n, const char *const *namespaces,
                        size_t namespace_count);
void service_names_finish(struct service_names *n); /* zeroed accepted */
/* The text of the machine's hosts file: its names are never short names of services,
 * whatever their case. */
void service_names_set_machine(struct service_names *n, struct str text);

/* Takes a line of the stream.  True: names have changed. */
bool service_names_take(struct service_names *n, struct str line);
/* A new stream begins: names that it does not repeat before its "ready" are dropped. */
void service_names_begin(struct service_names *n);
/* Writes them to the file: the full name and, in one of the namespaces, "web", "web.shop" and
 * "web.shop.svc", as a pod's search list has it. */
/* What names end in, for no_proxy: ".svc.cluster.local", and for the namespaces ".shop" and
 * short names, of which there may be many, so that only the first are added. */
void service_names_suffixes(const struct service_names *n, struct texts *ret);
MUST_CHECK enum err service_names_store(const struct service_names *n, struct hosts *h,
                                        struct diag *why);
