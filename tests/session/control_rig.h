/* tests/session/control_rig.h - the real control socket, on streams in memory
 *
 * Without clusters and listeners: the operations that need none answer.  The clock is the
 * test's.
 */
#pragma once

#include "control/control.h"
#include "net/loop.h"
#include "net/stream.h"
#include "route/naming.h"
#include "serve/serve.h"

struct control_rig {
    struct loop *loop;
    struct config *config;
    struct naming naming;
    struct serve *serve;
    struct control *control;
    unsigned stops, drains;
};

struct control_rig *control_rig_create(void);
void control_rig_destroy(struct control_rig *r); /* asserts that every chunk came back */
/* A client of the control socket whose queues have this limit; the test's end. */
struct stream *control_rig_client(struct control_rig *r, size_t limit);
void control_rig_run(struct control_rig *r);
void control_rig_pass(struct control_rig *r, uint64_t ms);
