/* ca/leaves.h - certificates for the hosts that clients connect to by TLS
 *
 * Made on demand by the local authority of the cluster's domain, which is made with the first
 * of them, and kept: one context for each host, the least recently used ones are dropped.  A
 * certificate is valid for a week and replaced after a day.  New ones are limited in number,
 * so that a client cannot make the process sign without end.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

struct leaves;
struct sched;
struct tls_context;

#define LEAVES_MAX 256     /* kept */
#define LEAVES_BURST 64    /* made at once */
#define LEAVES_A_SECOND 4  /* made on average */
#define LEAVES_DAY_S 86400 /* a certificate is used for so long */

/* `folder` is copied (ca/folder.h); NULL: there is no home for an authority. */
struct leaves *leaves_create(const struct sched *sched, const char *folder);
void leaves_destroy(struct leaves *l); /* NULL accepted */

/* The context of a host's connections, borrowed for this turn; `domain` is the cluster's.  The
 * caller bounds how many domains there are.
 * ERR_UNSUPPORTED: the authority may not sign this name.
 * ERR_LIMIT: too many certificates were made lately.
 * else: there is no authority; *why names the file and what to do. */
MUST_CHECK enum err leaves_get(struct leaves *l, const char *domain, struct str host,
                               struct tls_context **ret, struct diag *why);
