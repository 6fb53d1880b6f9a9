/* tunnel/workers.h - the runtime's frame workers, by stream id and PING id
 *
 * Private to tunnel/.  The runtime reads each connection with five workers: a stream belongs
 * to the worker `id mod 5` (moby/spdystream, connection.go), and PINGs go to the workers in
 * turn, the first one to worker 0.
 */
#pragma once

#include <stdint.h>

#define WORKERS 5

static inline unsigned worker_of_stream(uint32_t id)
{
    return id % WORKERS;
}

/* PING ids are odd: 1, 3, 5, ... */
static inline uint32_t ping_number(uint32_t ping_id)
{
    return (ping_id - 1) / 2;
}

static inline unsigned worker_of_ping(uint32_t ping_id)
{
    return ping_number(ping_id) % WORKERS;
}
