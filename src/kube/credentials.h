/* kube/credentials.h - the credential of one user, at this moment
 *
 * Where it comes from depends on the kubeconfig: it is written there, or in a file that is
 * read again when it changes, or an exec plugin prints it, or an OIDC provider.  Getting it may take a while (ERR_AGAIN): whoever wants it
 * waits, and is woken when there is news.  Nobody else waits longer than the loop takes for
 * a turn.
 *
 * A credential has a generation.  When the API server does not accept one (401), the
 * request names it: a hundred requests that fail with the same one cause one renewal.
 */
#pragma once

#include "base/list.h"
#include "kube/credential.h"
#include "net/loop.h"

struct credentials;
struct exec_plugins;

/* Somebody who waits.  The struct is the caller's, zeroed before; one want may be used for
 * many calls. */
struct credentials_want {
    struct task *wake;
    bool
        background; /* no person waits: after failures it is not the first to try again */
    bool no_terminal;         /* never the reason for a plugin to ask at the terminal */
    struct list_node waiting; /* private */
};

/* All borrowed for as long as the credentials live.  plugins: NULL where the target's user
 * has none. */
struct credentials *credentials_create(struct loop *l, const struct kube_target *target,
                                       struct exec_plugins *plugins);
void credentials_destroy(struct credentials *c); /* NULL accepted; forgets who waits */

/* OK         *ret is the caller's reference
 * ERR_AGAIN  w->wake is woken, once, when it is worth a new call; credentials_leave ends
 *            the wait; *why says what it waits for
 * else       there is none at present: *why says so, complete */
MUST_CHECK enum err credentials_get(struct credentials *c, struct credentials_want *w,
                                    struct credential **ret, struct diag *why);
void credentials_leave(struct credentials_want *w); /* idempotent; zeroed accepted */

/* The API server did not accept the one of this generation.  True: the next call may bring
 * another one. */
bool credentials_reject(struct credentials *c, uint64_t generation);

/* A connection failed in TLS: certificates may have been replaced. */
void credentials_on_tls_failure(struct credentials *c);

/* The kubeconfig was written: there may be new tokens of an OIDC provider in it. */
void credentials_on_kubeconfig(struct credentials *c);

/* For connections that are made before there is a credential; borrowed until the next
 * credentials_get.  NULL: plain http. */
struct tls_identity *credentials_identity(const struct credentials *c);

/* Is there none now that could be used?  *why: what is waited for, or what failed last. */
bool credentials_are_missing(struct credentials *c, struct diag *why);

/* Would a call now make a plugin ask at the terminal?  A page offers a button then. */
bool credentials_are_interactive(struct credentials *c);
