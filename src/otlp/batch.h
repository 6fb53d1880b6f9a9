/* otlp/batch.h - spans as text, in the JSON mapping of the OpenTelemetry protocol
 *
 * Private to otlp/, pure.
 */
#pragma once

#include "base/json_text.h"
#include "otlp/span.h"

/* Adds one to the list, which json_out_clear begins.  `ahead_ms`: by how much the wall's clock
 * is ahead of the loop's. */
void batch_add(struct json_out *spans, const struct otlp_span *s, uint64_t ahead_ms);
/* The whole message with these spans; ends with a NUL that is not counted. */
void batch_finish(const struct json_out *spans, struct json_out *ret);
