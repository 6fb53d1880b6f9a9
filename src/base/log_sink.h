/* base/log_sink.h - where the lines of the log go: a descriptor, and a buffer before it
 *
 * Writing never blocks.  The descriptor is borrowed.  Private to base/log.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_GATHER_SIZE 65536

/* Zeroed but for `fd`, it is a sink that may block.  `len` and `dropped` may be read. */
struct log_sink {
    int fd;
    bool regular;  /* a regular file: always writable */
    bool terminal; /* lines are written without delay, because a person reads them */
    uint64_t
        dropped; /* lines that did not fit, or that the descriptor refused; the owner logs
                         them and subtracts them */
    size_t len;
    char gathered[LOG_GATHER_SIZE];
};

void log_sink_set_fd(struct log_sink *sink, int fd);
/* One whole line; it is dropped if there is no room for it. */
void log_sink_add(struct log_sink *sink, const char *line, size_t len);
/* Write what the sink takes without waiting; what it can never take is dropped. */
void log_sink_drain(struct log_sink *sink);
