/* playground/forward/worker.h - a queue of frames that are handled one by one */
#pragma once

#include "playground/forward/state.h"

#define WORKER_QUEUE 50

void worker_init(struct worker *w);
void worker_finish(struct worker *w);
/* false: the queue is full, and the caller still owns the frame. */
bool worker_queue(struct worker *w, struct frame *f);
/* Handles frames until the queue is empty or a frame cannot be finished now. */
void worker_run(struct worker *w, struct session *s);
