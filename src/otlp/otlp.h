/* otlp/otlp.h - spans, for a file or a collector (OpenTelemetry protocol, as JSON)
 *
 * Spans gather for a second or 256 KiB and go out as one batch: a line of a file, or a POST.
 * While a collector does not answer, at most 1 MiB of spans waits; the rest is dropped and
 * counted in kube_tunnel_spans_total.  Nothing here makes its caller wait.
 */
#pragma once

#include "otlp/span.h"

struct loop;
struct otlp;
struct task;

/* Texts of OpenTelemetry's environment variables (its specification, "OTLP Exporter" and
 * "Resource SDK"), borrowed for the call; each may be NULL or empty. */
struct otlp_environment {
    const char *headers;      /* of one of two variables: secrets, never shown */
    const char *headers_name; /* its name; not NULL */
    const char *service_name; /* OTEL_SERVICE_NAME */
    const char *resource;     /* OTEL_RESOURCE_ATTRIBUTES */
};

struct otlp_environment otlp_environment_read(void);

/* `target`: a path, or an http:// or https:// URL of a collector; without a path in it
 * "/v1/traces" is added.  *why begins with "otlp" or the name of a variable. */
MUST_CHECK enum err otlp_open(struct loop *loop, const char *target,
                              const struct otlp_environment *environment,
                              struct otlp **ret, struct diag *why);
/* NULL accepted.  What was not sent is counted as dropped and logged. */
void otlp_close(struct otlp *o);
void otlp_add(struct otlp *o, const struct otlp_span *s);
/* For ids. */
void otlp_random(struct otlp *o, uint8_t *ret, size_t len);
/* The file was moved: opens the path anew.  If that fails, the old one stays. */
void otlp_reopen(struct otlp *o);
/* Send what there is, at once and once more at most; *done wakes when that has ended. */
void otlp_drain(struct otlp *o, struct task *done);
bool otlp_idle(const struct otlp *o); /* nothing waits to be sent */
