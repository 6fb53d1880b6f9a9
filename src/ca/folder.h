/* ca/folder.h - the local authorities of this user, as files
 *
 * One for each cluster domain: DOMAIN.pem has certificate and key (mode 0600), DOMAIN.crt the
 * certificate alone, for commands that install it.  The folder is created with mode 0700.
 * Files that another user could have read or written are not used.  Several processes may
 * use the folder at once: the first one makes an authority, the others read it.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "base/texts.h"

struct authority;

/* $XDG_DATA_HOME/kube-tunnel/ca, or ~/.local/share/kube-tunnel/ca; owned by the caller.
 * NULL: there is neither. */
char *ca_folder_path(void);

/* The authority of a domain.
 * ERR_NOT_FOUND: there is none.
 * ERR_ACCESS: the folder or the file may be used by another user, or not by this one: *why
 * names the path and the command that changes it.
 * ERR_TLS: the file is damaged (ca/authority.h). */
MUST_CHECK enum err ca_folder_read(const char *folder, const char *domain,
                                   struct authority **ret, struct diag *why);
/* The same, but makes one (*ret_made) where there is none or where it expires soon. */
MUST_CHECK enum err ca_folder_open(const char *folder, const char *domain,
                                   struct authority **ret, bool *ret_made,
                                   struct diag *why);

/* The domains that have an authority, sorted; empty if there is no folder. */
void ca_folder_list(const char *folder, struct texts *ret);
/* The path of the certificate alone; owned by the caller. */
char *ca_folder_certificate(const char *folder, const char *domain);
/* Deletes certificate and key of a domain, and the folder with its last one.  *why names what
 * could not be deleted. */
MUST_CHECK enum err ca_folder_delete(const char *folder, const char *domain,
                                     struct diag *why);
