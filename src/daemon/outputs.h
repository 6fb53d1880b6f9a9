/* daemon/outputs.h - the access log and the traces of this process
 *
 * Both are files or a collector that the settings name.  A reload opens what it changes before
 * the old ones close: outputs_prepare may fail, outputs_commit does not.  Spans that wait for a
 * collector that is given up are sent once more before it closes.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"

struct config;
struct loop;
struct outputs;
struct outputs_change;
struct serve;
struct task;

/* Opens what the settings name, for the requests of `serve`; both are borrowed, and `serve` is
 * destroyed before the outputs.  *why names the setting. */
MUST_CHECK enum err outputs_open(struct loop *loop, struct serve *serve,
                                 const struct config *config, struct outputs **ret,
                                 struct diag *why);
void outputs_close(struct outputs *o); /* NULL accepted */

/* Borrows the config until the change ends, which either of the other two does. */
MUST_CHECK enum err outputs_prepare(struct outputs *o, const struct config *config,
                                    struct outputs_change **ret, struct diag *why);
void outputs_commit(struct outputs_change *c);
void outputs_discard(struct outputs_change *c); /* NULL accepted */

/* The files were moved: opens their paths anew. */
void outputs_reopen(struct outputs *o);
/* Sends what waits, once; *done wakes when that has ended. */
void outputs_drain(struct outputs *o, struct task *done);
bool outputs_idle(const struct outputs *o); /* nothing waits to be sent */
