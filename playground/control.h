/* playground/control.h - misbehave on command
 *
 *     POST /playground            one command per line of the body, with the usual token;
 *     Authorization: Bearer ...   answers 200 and what was done, 400 and why not
 *
 * control.c has the table of commands.  `help` lists them.
 */
#pragma once

#include "playground/api/answer.h"

/* false: not for us. */
bool respond_control(struct cluster *c, const struct call *call, struct answer *a);

/* Run one line.  Errors are sentences; the output goes into *output. */
MUST_CHECK enum err control_run(struct cluster *c, struct str line, struct text *output,
                                struct diag *why);
