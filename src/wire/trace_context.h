/* wire/trace_context.h - the field traceparent of W3C Trace Context
 *
 * Text to struct and back (Trace Context, section 3.2).  Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define TRACE_ID_SIZE 16
#define SPAN_ID_SIZE 8
#define TRACEPARENT_LENGTH 55

struct trace_context {
    uint8_t trace_id[TRACE_ID_SIZE]; /* never all zero */
    uint8_t span_id[SPAN_ID_SIZE];   /* likewise; the sender's */
    bool sampled;
    bool random; /* the trace id was chosen at random (level 2) */
};

/* False: it is no valid traceparent, and *ret is not written.  A later version than 00 is read
 * as far as 00 goes. */
bool traceparent_read(struct str text, struct trace_context *ret);
/* As version 00; not terminated. */
void traceparent_write(const struct trace_context *c,
                       char out[static TRACEPARENT_LENGTH]);
/* Lower-case digits, two a byte; not terminated. */
void hex_write(const uint8_t *bytes, size_t len, char *out);
