/* daemon/memory.h - return unused memory to the system */
#pragma once

#include "net/loop.h"

struct memory;

/* Checks every ten seconds.  When the last two spans needed far fewer chunks than those before,
 * or hardly any, free lists are emptied and unused heap is returned: the memory of a burst is
 * returned 20 s after it, also under the load that follows. */
struct memory *memory_create(struct loop *loop);
/* Calls `trim` when there is no load, for an owner with free lists of its own.  One owner: the
 * next call replaces it. */
void memory_on_quiet(struct memory *m, void (*trim)(void *owner), void *owner);
void memory_destroy(struct memory *m); /* NULL accepted */
