/* forward/candidate.c - which of several pods is forwarded to */
#include "forward/candidate.h"

#include "base/own.h"

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const char *ready_since(const json_t *status)
{
    size_t i;
    json_t *condition;

    json_array_foreach(json_object_get(status, "conditions"), i,
                       condition) if (strcmp(text_in(condition, "type"), "Ready") ==
                                      0) return text_in(condition, "lastTransitionTime");
    return "";
}

static long long most_restarts(const json_t *status)
{
    long long most = 0;
    size_t i;
    json_t *container;

    json_array_foreach(json_object_get(status, "containerStatuses"), i, container)
    {
        long long n = json_integer_value(json_object_get(container, "restartCount"));
        most = n > most ? n : most;
    }
    return most;
}

enum err candidate_read(json_t *object, struct candidate *ret, struct diag *why)
{
    const json_t *status = json_object_get(object, "status");
    struct pod *pod;
    enum err e = pod_parse(object, &pod, why);

    if (e)
        return e;
    if (!is_plain_name(str_of(pod->name)) || !is_plain_name(str_of(pod->ns))) {
        pod_destroy(pod);
        return diag_set(why, ERR_PROTO, "pods without a name");
    }
    *ret = (struct candidate){
        .pod = pod,
        .object = json_incref(object),
        .ready_since = ready_since(status),
        .created = text_in(json_object_get(object, "metadata"), "creationTimestamp"),
        .restarts = most_restarts(status),
    };
    return OK;
}

void candidate_finish(struct candidate *c)
{
    pod_destroy(c->pod);
    json_decref(c->object);
    *c = (struct candidate){ 0 };
}

bool candidate_is_running(const struct candidate *c)
{
    return strcmp(c->pod->phase, "Running") == 0;
}

static int phase_rank(const struct pod *p)
{
    if (strcmp(p->phase, "Running") == 0)
        return 2;
    return strcmp(p->phase, "Unknown") == 0 ? 1 : 0;
}

/* Positive: `a` is the better one.  Times of the API server can be compared as texts; an
 * absent one is worse than any. */
static int by_age(const char *a, const char *b)
{
    if (!*a || !*b)
        return (*a != '\0') - (*b != '\0');
    return strcmp(b, a);
}

static bool is_current(const struct candidate *c, const char *current)
{
    return current && strcmp(c->pod->key, current) == 0;
}

static int compare(const struct candidate *a, const struct candidate *b,
                   const char *current)
{
    const struct pod *p = a->pod, *q = b->pod;
    int differ = (p->node != NULL) - (q->node != NULL);

    if (!differ)
        differ = q->terminating - p->terminating;
    if (!differ)
        differ = phase_rank(p) - phase_rank(q);
    if (!differ)
        differ = p->ready - q->ready;
    if (!differ)
        differ = is_current(a, current) - is_current(b, current);
    if (!differ && p->ready)
        differ = by_age(a->ready_since, b->ready_since);
    if (!differ)
        differ = (a->restarts < b->restarts) - (a->restarts > b->restarts);
    return differ ? differ : by_age(a->created, b->created);
}

bool candidate_is_better(const struct candidate *a, const struct candidate *b,
                         const char *current)
{
    return !b->pod || compare(a, b, current) > 0;
}
