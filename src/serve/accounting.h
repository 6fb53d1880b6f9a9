/* serve/accounting.h - requests and their results, in the log and in metrics
 *
 * No value of a field that may hold a secret, no query and no body is ever logged.  Private
 * to serve/.
 */
#pragma once

#include "base/log.h"
#include "serve/target.h"
#include "upstream/lease.h"

/* One request at its end; everything is borrowed for the call. */
struct accounting {
    struct log_id id;
    const char *client;
    const struct http1_head *request; /* NULL: its head was not parsed */
    bool http2;                       /* the client sent it in HTTP/2 */
    const struct target *target;      /* of a request that was parsed */
    const struct lease *lease;
    int status;                   /* that the client was sent; 0: none */
    uint64_t bytes_in, bytes_out; /* of bodies and of switched protocols */
    uint64_t ms;                  /* from its first byte on */
};

void accounting_metrics_register(void);
/* A client that left before it had sent a request is not counted. */
void accounting_end(const struct accounting *a);
/* At debug level: the request as it was received. */
void accounting_received(struct log_id id, const struct http1_head *request,
                         const struct target *target);
/* It is sent again, because the endpoint failed (NULL: none was chosen). */
void accounting_retry(struct log_id id, unsigned attempt, const struct endpoint *failed,
                      const char *reason);
/* A pod may have executed it, and its connection has ended; within: its response had begun. */
void accounting_lost(struct log_id id, bool within);
/* Bytes of a raw connection, at its end. */
void accounting_raw(uint16_t cluster, uint64_t in, uint64_t out);

/* The host that a request names, without a password. */
struct str accounting_host(const struct http1_head *request, const struct target *target);
struct str without_query(struct str path);
