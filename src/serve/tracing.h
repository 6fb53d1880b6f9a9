/* serve/tracing.h - the trace of a request: the field traceparent, and spans at its end
 *
 * A request whose traceparent says "sampled" is recorded, one that says otherwise is not, and
 * of those without one a given part is.  What is recorded goes to the pod with our span as its
 * parent; everything else passes as it came.  Private to serve/.
 */
#pragma once

#include "serve/observer.h"
#include "wire/trace_context.h"

struct otlp;

struct trace {
    bool recorded;
    bool has_parent;
    uint8_t parent_id[SPAN_ID_SIZE];
    struct trace_context context;  /* the trace, and our span in it */
    char text[TRACEPARENT_LENGTH]; /* for the pod */
};

/* Decides, and drops the fields of *request that are replaced.  `percent` of the requests
 * without a context of their own are recorded. */
void trace_begin(struct trace *t, struct otlp *o, struct http1_head *request,
                 unsigned percent);
/* The value for the pod; empty: the client's fields pass as they are. */
static inline struct str trace_field(const struct trace *t)
{
    return t->recorded ? (struct str){ t->text, sizeof(t->text) } : (struct str){ 0 };
}
/* A recorded request has ended, now: a span of it, and one of each phase that it had. */
void trace_report(const struct trace *t, struct otlp *o, const struct request_event *e,
                  uint64_t now);
