/* exec/refused.h - names of variables that are not taken from a container
 *
 * The author of a Deployment must not be able to run code on this machine, nor make a program
 * write or trust files of the author's choice.  Each entry is a variable by which a loader, a
 * shell, an interpreter or a common program can be made to.  The list cannot be complete:
 * a program may have such a variable that is not known here.
 */
#pragma once

#include "base/str.h"

/* What uses it ("the dynamic loader"), or NULL: the name is harmless as far as is known. */
const char *refused_because(struct str name);
