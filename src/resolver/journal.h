/* resolver/journal.h - what is installed, and how it is undone, in a file
 *
 * It is written before the first step, and removed after the last one is undone.  Only its owner
 * may write it: its commands are run by uninstall.  Private to resolver/.
 */
#pragma once

#include "resolver/plan.h"
#include "resolver/resolver.h"

#define JOURNAL_FOLDER "/var/lib"
#define JOURNAL_PATH JOURNAL_FOLDER "/kube-tunnel-dns.json"

struct journal {
    struct resolver_want want;
    struct plan plan;
};

void journal_finish(struct journal *j);
/* ERR_NOT_CONFIGURED: there is none.  ERR_VERSION, ERR_CONFIG, ERR_ACCESS, ERR_IO. */
MUST_CHECK enum err journal_read(const struct machine *m, struct journal *ret,
                                 struct diag *why);
/* Permanent when it returns OK. */
MUST_CHECK enum err journal_write(const struct machine *m, const struct journal *j,
                                  struct diag *why);
/* Removes it, and what a crash has left beside it. */
MUST_CHECK enum err journal_remove(const struct machine *m, struct diag *why);
bool journal_is_permitted(const struct machine *m);
