/* otlp/batch.h - spans as text, in the JSON mapping of the OpenTelemetry protocol
 *
 * Private to otlp/, pure.
 */
#pragma once

#include "base/json_text.h"
#include "otlp/pairs.h"
#include "otlp/span.h"

/* Adds one to the list, which json_out_clear begins.  `ahead_ms`: by how much the wall's clock
 * is ahead of the loop's. */
void batch_add(struct json_out *spans, const struct otlp_span *s, uint64_t ahead_ms);
/* The attributes of a resource, for batch_finish: these, and the name and version of this program
 * where they have none.  `service_name` may be NULL or empty, and comes before that of the list.
 */
void batch_resource(struct json_out *ret, const char *service_name,
                    const struct pair_list *attributes);
/* The whole message with these spans; ends with a NUL that is not counted. */
void batch_finish(const struct json_out *resource, const struct json_out *spans,
                  struct json_out *ret);
