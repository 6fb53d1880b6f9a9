/* kube/identity_files.h - certificates in files that other programs replace
 *
 * The authorities of a target's cluster, its user's certificate and key: where the
 * kubeconfig names files for them they are watched (kube/watched_file.h), and an identity is
 * made of what they hold now.  Certificate and key are rarely replaced at the same instant:
 * while they do not belong together the old identity stays, and they are read again soon.
 */
#pragma once

#include "kube/secret.h"
#include "kube/target.h"
#include "kube/watched_file.h"
#include "net/tls_identity.h"

struct identity_files {
    const struct kube_target *target; /* borrowed */
    struct watched_file ca, certificate, key;
    uint64_t logged; /* hash of the problem that was logged; 0: none */
};

void identity_files_init(struct identity_files *f, const struct kube_target *target);
void identity_files_finish(struct identity_files *f);

/* True: one of them holds something else than before. */
bool identity_files_look(struct identity_files *f, uint64_t now);
/* Read them at the next look.  False: there are none. */
bool identity_files_recheck(struct identity_files *f);

/* Make an identity from their contents; `of_plugin` (NULL: none) replaces certificate and key.
 * After a failure, which is logged once, the files are read again within a second. */
MUST_CHECK enum err identity_files_make(struct identity_files *f,
                                        const struct secret *of_plugin, uint64_t now,
                                        struct tls_identity **ret);
