/* control/event.h - one request, or raw connection, as a line of JSON, and whether a filter
 * takes it
 *
 * Private to control/.
 */
#pragma once

#include "base/json_text.h"
#include "control/reader_filter.h"
#include "serve/observer.h"

bool event_matches(const struct request_event *e, const struct reader_filter *f);
/* Replaces what *out has.  now_ms: since 1970. */
void event_write(const struct request_event *e, const struct reader_filter *f,
                 uint64_t now_ms, struct json_out *out);
/* The same for a raw connection, which has no status: a filter for one does not take it. */
bool event_matches_connection(const struct connection_event *e,
                              const struct reader_filter *f);
void event_write_connection(const struct connection_event *e,
                            const struct reader_filter *f, uint64_t now_ms,
                            struct json_out *out);
