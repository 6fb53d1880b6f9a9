/* kube/credentials.h - the credential of one user, at this moment
 *
 * Its source is the kubeconfig itself, a file that is read again when it changes, an exec
 * plugin, or an OIDC provider.  Getting one may take a while (ERR_AGAIN): the caller is woken to
 * call again.  The loop is not blocked.
 *
 * A credential has a generation.  After a 401 the caller passes it to credentials_reject, so
 * that a hundred requests that fail with the same credential cause one renewal.
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
 * ERR_AGAIN  w->wake is woken, once, when the caller should call again; credentials_leave ends
 *            the wait; *why names what it waits for
 * else       there is none at present: *why is the reason */
MUST_CHECK enum err credentials_get(struct credentials *c, struct credentials_want *w,
                                    struct credential **ret, struct diag *why);

/* The API server rejected the credential of this generation (401).  True: credentials_get may
 * return another one. */
bool credentials_reject(struct credentials *c, uint64_t generation);

/* A connection failed in TLS: certificates may have been replaced. */
void credentials_on_tls_failure(struct credentials *c);

/* The kubeconfig was written: there may be new tokens of an OIDC provider in it. */
void credentials_on_kubeconfig(struct credentials *c);

/* For connections that are made before there is a credential; borrowed until the next
 * credentials_get.  NULL: plain http. */
struct tls_identity *credentials_identity(const struct credentials *c);

/* When the credential in use expires, in seconds since 1970: its token or its certificate,
 * the earlier one.  0: it does not, or that is not known. */
int64_t credentials_expiry(const struct credentials *c);

/* Is there no usable credential now?  *why: what it waits for, or the last failure. */
bool credentials_are_missing(struct credentials *c, struct diag *why);

/* The lines that a failed exec plugin wrote to standard error; borrowed until the next turn of
 * the loop; or NULL. */
const char *credentials_plugin_output(const struct credentials *c);

/* Would credentials_get make an exec plugin prompt at the terminal?  A page then offers a button
 * instead. */
bool credentials_are_interactive(struct credentials *c);
