/* kube/credentials.h - the credential of one user, at this moment
 *
 * The kubeconfig names its source: itself, a file that is read again when it changes, an exec
 * plugin, an OIDC provider.  Getting one may take a while (ERR_AGAIN): the caller is woken when
 * there is news.  The loop is not blocked meanwhile.
 *
 * A credential has a generation.  When the API server does not accept one (401), the
 * request names it: a hundred requests that fail with the same one cause one renewal.
 */
#pragma once

#include "kube/credential.h"
#include "kube/credentials_want.h"
#include "net/loop.h"

struct credentials;
struct exec_plugins;

/* All borrowed for as long as the credentials live.  plugins: NULL where the target's user
 * has none. */
struct credentials *credentials_create(struct loop *l, const struct kube_target *target,
                                       struct exec_plugins *plugins);
void credentials_destroy(struct credentials *c); /* NULL accepted; ends all waits */

/* OK         *ret is the caller's reference
 * ERR_AGAIN  w->wake is woken, once, when it is worth a new call; credentials_leave ends
 *            the wait; *why names what it waits for
 * else       there is none at present: *why is the whole reason */
MUST_CHECK enum err credentials_get(struct credentials *c, struct credentials_want *w,
                                    struct credential **ret, struct diag *why);

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

/* What a plugin that failed has written, in lines; borrowed until the next turn, or NULL. */
const char *credentials_plugin_output(const struct credentials *c);

/* Would a call now make a plugin prompt at the terminal?  A page offers a button then. */
bool credentials_are_interactive(struct credentials *c);
