/* daemon/memory.h - return unused memory to the system */
#pragma once

#include "net/loop.h"

struct memory;

/* Every ten seconds it compares the chunks in use.  When the last two spans of ten
 * seconds needed far fewer chunks than those before, or hardly any, free lists are
 * emptied and unused heap is returned to the system: so the memory of a burst is returned
 * 20 s after it, also while there is less load. */
struct memory *memory_create(struct loop *loop);
/* Sets the function that is called when there is no load, to empty other free lists.
 * There is one: the next call replaces it. */
void memory_on_quiet(struct memory *m, void (*trim)(void *owner), void *owner);
void memory_destroy(struct memory *m); /* NULL accepted */
