/* exec/updates.h - keeps the hosts file of a view up to date while its command runs */
#pragma once

#include "exec/names.h"

struct updates {
    const char *name;            /* of the kube-tunnel */
    const char *path;            /* of the operation, with its query */
    struct control_lines *lines; /* NULL: there is no stream at present */
    struct service_names names;
    struct hosts *hosts; /* NULL: names are only read */
    size_t told;         /* names that are left out, at the last call of on_left_out */
    void (*on_left_out)(size_t count); /* other names than before are left out */
};

/* Opens the stream and reads the names that there are, for at most deadline_ms. */
MUST_CHECK enum err updates_begin(struct updates *u, unsigned deadline_ms,
                                  struct diag *why);
/* Writes each change to the file, if there is one, until `ended` is readable.  A stream that ends is opened
 * again, once a second: the names stay, because their addresses are the same later. */
void updates_run(struct updates *u, int ended);
void updates_finish(struct updates *u);
