/* serve/access_log.h - a line per request in a file, for other programs
 *
 * Common and Combined are the formats of web servers, JSON has one object per line.  Bytes
 * of clients are escaped, so that a request cannot forge a line; queries are left out, as in
 * the log (serve/accounting.h).
 *
 * A file that cannot be written stops no request: lines are dropped and counted.
 */
#pragma once

#include "base/sched.h"
#include "config/config.h"
#include "serve/accounting.h"

struct access_log;

/* Appends to `path`, which is created for its owner alone; "stderr" is standard error.
 * ERR_ACCESS, ERR_IO, ERR_NOT_FOUND: *why names the path. */
MUST_CHECK enum err access_log_open(struct sched *sched, const char *path,
                                    enum access_format format, struct access_log **ret,
                                    struct diag *why);
void access_log_close(struct access_log *l); /* writes the rest; NULL accepted */
/* The file was moved: opens the path anew.  If that fails, the old one stays, and a warning
 * is logged. */
void access_log_reopen(struct access_log *l);
void access_log_note(struct access_log *l, const struct accounting *a);
