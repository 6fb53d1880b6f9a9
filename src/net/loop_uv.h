/* net/loop_uv.h - libuv behind the loop, for the files of net/ only */
#pragma once

#include <uv.h>

#include "net/loop.h"

uv_loop_t *loop_uv(struct loop *l);
