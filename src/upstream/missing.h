/* upstream/missing.h - log each missing right once, with the role that grants it
 *
 * Private to upstream/.
 */
#pragma once

#include "base/log.h"
#include "base/map.h"
#include "upstream/lease.h"

struct missing {
    struct map logged; /* a set of "NS VERB RESOURCE" */
};

void missing_init(struct missing *m);
void missing_finish(struct missing *m);
/* A lease has failed because the right to lease->missing_verb on missing_resource in
 * missing_ns is missing: log that, unless it was logged before. */
void missing_note(struct missing *m, const struct lease *lease, struct log_id id);
