/* upstream/survey.h - how a route leads to a pod, step by step, without a connection
 *
 * Looks up and chooses by the same functions as a lease (upstream/leasing.h), and keeps what
 * each object had and which rule decided.  Nothing is dialled, and no idle connection is
 * taken.
 */
#pragma once

#include "catalog/service.h"
#include "route/route.h"

struct name;
struct survey;
struct task;
struct upstream;

#define SURVEY_STEPS_MAX 64

struct survey_step {
    const char *step; /* "service", "port", "endpoint", ...: static */
    char *object;     /* "Service shop/web"; or NULL; owned by the survey, as `finding` */
    char *finding;
    bool ok; /* false: it ended here, or this endpoint may not be used */
};

/* The route is copied.  *wake is woken when survey_result may have changed. */
struct survey *survey_open(struct upstream *u, const struct route *route,
                           struct str client, struct task *wake);
/* OK: there is a pod.  ERR_AGAIN: a look-up runs.  Others: why there is none, as for leases;
 * the last step has the reason. */
enum err survey_result(struct survey *s);
/* Valid until survey_close. */
const struct survey_step *survey_steps(const struct survey *s, size_t *ret_count);
/* The pod and the container's port; NULL unless the result is OK. */
const struct endpoint *survey_endpoint(const struct survey *s, uint16_t *ret_port);
/* What the name means where it leads: that of the last ExternalName that was followed.  Valid
 * likewise. */
const struct name *survey_name(const struct survey *s);
/* The right that is missing; *ret_verb NULL: none. */
void survey_missing(const struct survey *s, const char **ret_verb,
                    const char **ret_resource);
void survey_close(struct survey *s); /* NULL accepted */
