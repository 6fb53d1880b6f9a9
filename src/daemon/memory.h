/* daemon/memory.h - give memory back to the system when nobody needs it */
#pragma once

#include "net/loop.h"

struct memory;

/* Looks twice a minute; frees spare chunks and unused heap after no byte was waiting
 * anywhere at two looks in a row, that is within 30 to 60 s of the last load. */
struct memory *memory_create(struct loop *loop);
/* Whoever keeps spares of their own is told then too; one owner, replaced by the next. */
void memory_on_quiet(struct memory *m, void (*trim)(void *owner), void *owner);
void memory_destroy(struct memory *m); /* NULL accepted */
