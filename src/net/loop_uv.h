/* net/loop_uv.h - libuv behind the loop, for the files of net/ only */
#pragma once

#include <uv.h>

struct loop;

uv_loop_t *loop_uv(struct loop *l);

/* libuv's callbacks run before the run queue has looked at the clock, which may have stood
 * still for as long as the poll slept: a callback that sets timers calls this first. */
void loop_tick(struct loop *l);

/* A descriptor that is open for nothing: it is closed where one is needed and none is left, and
 * opened again.  -1: not even that. */
int *loop_reserve(struct loop *l);
/* For questions about the peers of accepted connections. */
struct sock_diag *loop_sock_diag(struct loop *l);
