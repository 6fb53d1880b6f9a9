/* addresses/state_text.h - the text of the state file
 *
 *     kube-tunnel addresses 1
 *     seed 0123456789abcdef
 *     127.20.3.4 CONTEXT NAMESPACE SERVICE POD
 *     end 1
 *
 * Parts are separated by one blank; an empty one is "-".  Bytes of a part other than letters,
 * digits and "._:/@" are written as %XX, and "-" too if it is the whole part.  The last line has
 * the number of entries: a text that was cut is noticed.  No I/O.  Private to addresses/.
 */
#pragma once

#include "addresses/table.h"

/* Fills a table that address_table_init has made; its seed is set.
 * ERR_VERSION: another version.  ERR_PROTO, ERR_LIMIT: damaged; *why has the line.  The table
 * may have some entries then. */
MUST_CHECK enum err state_text_read(struct str text, struct address_table *t,
                                    struct diag *why);
/* Owned by the caller. */
char *state_text_write(const struct address_table *t);
