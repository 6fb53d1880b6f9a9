/* cli/ca_trust.h - kube-tunnel ca install and remove, on the files of ca/folder.h */
#pragma once

#include <stdbool.h>

#include "base/texts.h"
#include "trust/store.h"

/* What the subcommands of ca work on. */
struct ca_files {
    char *folder;
    struct texts domains; /* that have an authority, or are about to */
};

/* An authority as a certificate to trust. */
struct ca_certificate {
    char *name, *pem, *file; /* owned */
    char *fingerprint;
    long long expiry; /* seconds since 1970 */
};

/* Reads the certificate of a domain's authority; `make`: makes one where there is none.  On
 * failure *why names the file. */
MUST_CHECK enum err ca_certificate_read(const struct ca_files *files, const char *domain,
                                        bool make, struct ca_certificate *ret,
                                        struct diag *why);
void ca_certificate_finish(struct ca_certificate *c); /* zeroed accepted */
static inline struct trusted ca_trusted(const struct ca_certificate *c)
{
    return (struct trusted){ c->name, c->pem, c->file };
}

/* Both print what they do, or with `dry` would do, and return an exit status: 1 if something
 * remains to be done by a command that they print. */
int ca_install(const struct ca_files *files, bool dry);
int ca_remove(const struct ca_files *files, bool dry);
