/* playground/control.h - commands that make the cluster fail
 *
 *     POST /playground            one command per line of the body, with the usual token;
 *     Authorization: Bearer ...   200 with what was done, or 400 with the reason
 *
 * control.c has the table of commands.  `help` lists them.
 */
#pragma once

#include "playground/api/answer.h"

/* false: the path is not /playground. */
bool respond_control(struct cluster *c, const struct call *call, struct answer *a);

/* Run one line.  Errors are sentences; the output goes into *output. */
MUST_CHECK enum err control_run(struct cluster *c, struct str line, struct text *output,
                                struct diag *why);
