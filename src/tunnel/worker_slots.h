/* tunnel/worker_slots.h - which of the runtime's five workers may get a pair, and probes
 *
 * Private to tunnel/.  A slot is free, or a pair lives there (BUSY), or all that we will
 * ever send for its pair has been sent (SPENT) and a probe has to prove that it was taken,
 * or a worker may be stuck (DEAD).  tunnel.c opens with the why.
 */
#pragma once

#include "tunnel/tunnel.h"

void slots_init(struct tunnel *t);
void slots_finish(struct tunnel *t);

int slots_find_free(const struct tunnel *t); /* -1: none */
void slots_take(struct tunnel *t, uint32_t data_id);
bool slots_are_dead(const struct tunnel *t); /* all of them */
bool slots_are_good(const struct tunnel *t); /* none is dead, and all was taken */
/* Has the runtime taken all that those who left have sent? */
bool slots_have_delivered(const struct tunnel *t);

/* In each turn in which something came or changed: end a probe, begin one. */
void slots_run(struct tunnel *t);
void slots_on_pong(struct tunnel *t, uint32_t ping_id);
void slots_on_deadline(struct tunnel *t); /* the probe's */

/* Its user has left and its FIN is queued; later, or instead, its verdict is known. */
void slots_on_pair_left(struct tunnel *t, const struct pair *p);
void slots_on_pair_gone(struct tunnel *t, const struct pair *p);
