/* net/loop_uv.h - access to libuv's loop, for the files of net/ only */
#pragma once

#include <uv.h>

struct loop;

uv_loop_t *loop_uv(struct loop *l);

/* libuv's callbacks run before the run queue has read the clock, so its time is that from
 * before the poll: a callback that sets timers calls this first. */
void loop_tick(struct loop *l);

/* The reserve descriptor: it has no use of its own, and is closed for a moment when one
 * is needed and none is left.  -1: it could not be opened again. */
int *loop_reserve(struct loop *l);
/* The netlink socket that peer_identify uses. */
struct sock_diag *loop_sock_diag(struct loop *l);
