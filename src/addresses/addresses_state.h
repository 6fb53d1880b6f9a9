/* addresses/addresses_state.h - the body of struct addresses; private to addresses/ */
#pragma once

#include "addresses/parts.h"
#include "addresses/table.h"
#include "base/sched.h"

struct addresses {
    struct addresses_parts parts;
    struct sched *sched;
    struct table table;
    bool keeps;        /* the state file may be written */
    struct diag state; /* why the state file is not used; "": it is */
    struct timer save_later;
};

/* The entry of a key, made where there is none. */
MUST_CHECK enum err addresses_entry(struct addresses *a, const struct address_key *key,
                                    struct entry **ret, struct diag *why);
