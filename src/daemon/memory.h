/* daemon/memory.h - give memory back to the system when nobody needs it */
#pragma once

#include "net/loop.h"

struct memory;

/* Looks every ten seconds.  When the last two spans needed far fewer chunks than those before,
 * or hardly any, spares are freed and unused heap is given back: what a burst took goes 20 s
 * after it, also while others go on. */
struct memory *memory_create(struct loop *loop);
/* Whoever keeps spares of their own is told when there is no load; one owner, replaced by the
 * next. */
void memory_on_quiet(struct memory *m, void (*trim)(void *owner), void *owner);
void memory_destroy(struct memory *m); /* NULL accepted */
