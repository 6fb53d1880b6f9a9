/* upstream/tls_ports.h - TLS with services: to which service ports, and with which verification
 *
 * Private to upstream/.  Requests come in plain HTTP.  A service port that speaks TLS
 * (route_port_tls) has a struct tls_port: the context with which connections to its pods are
 * secured.  Each has a number: idle connections of different numbers are not exchanged, and
 * neither are session tickets.
 *
 * A port that was found by its number, and whose pod has answered a handshake with something
 * that is not TLS, is spoken to plainly for the next PLAIN_MS, except where a rule verifies the
 * service's certificate.
 */
#pragma once

#include "base/log.h"
#include "route/route.h"
#include "upstream/settings.h"

struct chunk_pool;
struct sched;
struct stream;
struct tls_failure;
struct tls_port;
struct tls_report;

#define PLAIN_MS (5 * 60 * 1000)

struct tls_ports;

/* All borrowed; tls_ports_configure follows. */
struct tls_ports *tls_ports_create(struct sched *sched, struct chunk_pool *pool,
                                   const struct upstream_settings *settings);
/* Use these rules from now on: a reference is taken.  Connections that were verified by earlier
 * ones get no further requests. */
void tls_ports_configure(struct tls_ports *t, const struct upstream_tls *tls);
void tls_ports_destroy(
    struct tls_ports *t); /* every reference was dropped; NULL accepted */
/* A second domain of the cluster, beside settings.zone, which certificates may name. */
void tls_ports_set_zone(struct tls_ports *t, const char *found);
void tls_ports_trim(struct tls_ports *t); /* forgets those without references */

/* With which TLS is the service port of a route spoken to?  NULL: plainly.  A reference. */
struct tls_port *tls_ports_find(struct tls_ports *t, const struct route *r,
                                const struct service *s, size_t port_index);
bool tls_ports_has(struct tls_ports *t, const struct route *r, const struct service *s,
                   size_t port_index);   /* would it find one? */
void tls_port_unref(struct tls_port *p); /* NULL accepted */
uint32_t tls_port_number(const struct tls_port *p);

/* Shake hands over `below` (taken over); see net/tls_service.h. */
struct stream *tls_port_open(struct tls_port *p, struct stream *below, bool http2);
/* The handshake has succeeded: count it. */
void tls_port_on_ready(struct tls_port *p, const struct stream *s);
/* The handshake has failed.  True: the port speaks no TLS, only its number had suggested it, no
 * rule verifies it, and it is spoken to plainly from now on. */
bool tls_port_on_failure(struct tls_port *p, const struct tls_report *report,
                         struct log_id id);
/* report NULL: it took too long.  `why` is the stream's.  Owned by the caller. */
struct tls_failure *tls_port_explain(const struct tls_port *p,
                                     const struct tls_report *report, const char *why);
