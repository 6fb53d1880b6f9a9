/* forward/target.c - one target and the pod that it has at present
 *
 *      LOOKUP ──▶ DIAL ──▶ READY      the object and its pods; a tunnel to the best one
 *       ▲  │       │         │
 *       │  ▼       ▼         │        at the start a failure is final: FAILED
 *      PAUSE ◀─────┘         │
 *       ▲────────────────────┘        the pod is gone, or the last tunnel to it
 *
 * What happens to the pods is seen by a watch of them, where that is permitted; else when the
 * tunnel ends.  A watch only wakes the target: what is to be done is decided by the next look-up.
 */
#include "forward/target.h"

#include "base/log.h"
#include "base/own.h"
#include "forward/forward_state.h"
#include "kube/query.h"
#include "tunnel/tunnels.h"

LOG_MODULE(forward);

#define CHECK_MS 1000 /* is there a tunnel? */
#define LOOKUP_MS 500 /* from one look-up to the next, however often it is suspected */
#define PAUSE_MS 250
#define PAUSE_MAX_MS 4000
#define EVENT_MS 50     /* after an event of a watch, others may follow */
#define UNREADY_MS 3000 /* then a running pod is taken that is not ready */

#define STATES(X) /* clang-format off */ \
    X(LOOKUP, lookup) /* the object and its pods                    */ \
    X(DIAL,   dial)   /* the first tunnel to the pod                */ \
    X(READY,  ready)  /* connections are carried                    */ \
    X(PAUSE,  pause)  /* after a failure, or without a usable pod   */ \
    X(FAILED, failed) /* it could not be started                    */
/* clang-format on */

#define X(NAME, name) static enum target_state target_in_##name(struct target *t);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum target_state (*run)(struct target *t);
} states[] = {
#define X(NAME, name) [TARGET_##NAME] = { #name, target_in_##name },
    STATES(X)
#undef X
};

static struct connector *connector_of(const struct target *t)
{
    return tunnels_connector(t->forward->parts.tunnels);
}

static uint64_t target_now(const struct target *t)
{
    return t->task.sched->now;
}

bool target_endpoint(const struct target *t, struct endpoint *ret)
{
    const struct pod *p = t->pod;

    if (!p)
        return false;
    *ret = (struct endpoint){ .refs = 1,
                              .ns = p->ns,
                              .pod = p->name,
                              .uid = p->uid,
                              .key = p->key,
                              .node = p->node,
                              .ready = true };
    return true;
}

void target_suspect(struct target *t)
{
    t->stale = true;
    task_wake(&t->task);
}

/* --- the pod --- */

static void drop_pod(struct target *t)
{
    if (!t->pod)
        return;
    forward_notice(t->forward, "%s: pod/%s is gone; waiting for another one", t->label,
                   t->pod->name);
    connector_retire(connector_of(t), t->pod->key);
    free(t->left);
    t->left = xstrdup(t->pod->name);
    pod_destroy(TAKE(t->pod));
}

static void take_pod(struct target *t, struct candidate *c)
{
    if (t->pod && strcmp(t->pod->key, c->pod->key) != 0) {
        connector_retire(connector_of(t), t->pod->key);
        free(t->left);
        t->left = xstrdup(t->pod->name);
    }
    pod_destroy(t->pod);
    t->pod = TAKE(c->pod);
    t->lacking_since = 0;
}

static enum target_state lack(struct target *t)
{
    if (!t->lacking_since)
        t->lacking_since = target_now(t);
    return TARGET_PAUSE;
}

static bool is_current_pod(const struct target *t, const struct pod *p)
{
    return t->pod && strcmp(t->pod->key, p->key) == 0;
}

/* While it runs: a pod that replaces another should be ready, but some never are. */
static bool is_acceptable(const struct target *t, const struct candidate *c)
{
    if (!candidate_is_running(c))
        return false;
    if (c->pod->ready || t->spec->kind == FORWARD_POD || is_current_pod(t, c->pod))
        return true;
    return t->lacking_since && target_now(t) - t->lacking_since >= UNREADY_MS;
}

/* --- the states --- */

static enum target_state fail(struct target *t, const char *format, const char *arg)
{
    AUTO_FREE char *text = xasprintf("%s%s", format, arg);

    forward_print_error(t->forward, t, text);
    return TARGET_FAILED;
}

static enum target_state fail_call(struct target *t, const struct api_error *error,
                                   bool dialled)
{
    forward_print_api_error(t->forward, t, error, dialled);
    return TARGET_FAILED;
}

/* Prints one line for a series of failures, not one for each. */
static enum target_state interrupted(struct target *t, const char *what, const char *why)
{
    if (!t->away)
        forward_notice(t->forward, "%s: %s: %s; trying again", t->label, what, why);
    t->away = true;
    return TARGET_PAUSE;
}

static enum target_state without_pod(struct target *t)
{
    uint64_t waited = t->lacking_since ? target_now(t) - t->lacking_since : 0;

    if (t->started)
        drop_pod(t);
    else if (waited >= t->forward->parts.pod_running_ms)
        return fail(t, "timed out waiting for the condition", "");
    return lack(t);
}

/* A pod was found. */
static enum target_state take_found(struct target *t)
{
    struct candidate *c = &t->lookup.pod;
    struct diag why = { "" };
    size_t size = t->spec->port_count * sizeof(*t->pairs);
    AUTO_FREE struct forward_pair *pairs = xmalloc(size);
    enum err e = ports_translate(t->spec, t->lookup.service, c->object, pairs, &why);

    if (e && !t->started)
        return fail(t, diag_text(&why, e), "");
    if (e)
        return interrupted(t, "the ports have changed", diag_text(&why, e));
    if (!t->started && !candidate_is_running(c))
        return fail(t,
                    "unable to forward port because pod is not running. Current status=",
                    c->pod->phase);
    if (t->started && !is_acceptable(t, c)) {
        if (!is_current_pod(t, c->pod) || !candidate_is_running(c))
            drop_pod(t);
        return lack(t);
    }
    take_pod(t, c);
    memcpy(t->pairs, pairs, size);
    return connector_count(connector_of(t), t->pod->key) ? TARGET_READY : TARGET_DIAL;
}

static enum target_state lookup_failed(struct target *t, const struct api_error *error)
{
    bool gone = error->code == ERR_NOT_FOUND && error->is_status;

    if (!t->started)
        return fail_call(t, error, false);
    if (gone && t->spec->kind == FORWARD_POD) {
        drop_pod(t);
        return lack(t);
    }
    return interrupted(t, "looking for its pod failed",
                       diag_text(&error->why, error->code));
}

static enum target_state target_in_lookup(struct target *t)
{
    struct forward_lookup *l = &t->lookup;

    if (l->result == ERR_AGAIN)
        return TARGET_LOOKUP;
    if (l->result)
        return lookup_failed(t, &l->error);
    return l->pod.pod ? take_found(t) : without_pod(t);
}

static enum target_state target_in_dial(struct target *t)
{
    struct api_error error = t->warm.error;
    enum err e = t->warm.result;

    if (e == ERR_AGAIN)
        return TARGET_DIAL;
    opening_finish(&t->warm);
    if (!e)
        return TARGET_READY;
    if (!t->started)
        return fail_call(t, &error, true);
    if (e == ERR_NOT_FOUND && error.is_status) {
        drop_pod(t);
        return lack(t);
    }
    return interrupted(t, "lost the connection", diag_text(&error.why, e));
}

static enum target_state target_in_ready(struct target *t)
{
    if (t->stale && target_now(t) >= t->lookup_after)
        return TARGET_LOOKUP;
    if (t->stale)
        timer_set_at(&t->timer, t->lookup_after);
    if (t->stale || !t->fired)
        return TARGET_READY;
    t->fired = false;
    timer_set(&t->timer, CHECK_MS);
    return connector_count(connector_of(t), t->pod->key) ? TARGET_READY : TARGET_DIAL;
}

static enum target_state target_in_pause(struct target *t)
{
    return t->fired ? TARGET_LOOKUP : TARGET_PAUSE;
}

static enum target_state target_in_failed(struct target *t)
{
    (void)t;
    return TARGET_FAILED;
}

/* --- the watch --- */

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

/* Is this still the pod, and does it still run? */
static bool is_unharmed(const struct target *t, enum api_event event,
                        const json_t *object)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *phase = text_in(json_object_get(object, "status"), "phase");

    return event != API_DELETED && !json_object_get(metadata, "deletionTimestamp") &&
           strcmp(text_in(metadata, "uid"), t->pod->uid) == 0 &&
           strcmp(phase, "Running") == 0;
}

/* Earlier than it would end, but no sooner than LOOKUP_MS after the last look-up, however many
 * events there are. */
static void end_pause_soon(struct target *t)
{
    uint64_t at = target_now(t) + EVENT_MS;

    if (at < t->lookup_after)
        at = t->lookup_after;
    if (at < t->timer.at)
        timer_set_at(&t->timer, at);
}

static void on_pod_event(void *owner, enum api_event event, json_t *object)
{
    struct target *t = owner;
    const char *name = text_in(json_object_get(object, "metadata"), "name");

    if (event == API_SYNCED)
        return;
    if (t->state == TARGET_PAUSE)
        end_pause_soon(t);
    else if (t->pod && strcmp(name, t->pod->name) == 0 && !is_unharmed(t, event, object))
        target_suspect(t);
}

static void on_watch_state(struct task *task)
{
    struct target *t = container_of(task, struct target, watched);

    if (!t->watch || api_watch_state(t->watch)->error.code != ERR_FORBIDDEN)
        return;
    api_watch_close(TAKE(t->watch));
    t->may_not_watch = true;
}

static void watch_pods(struct target *t)
{
    const char *selector = forward_lookup_selector(&t->lookup);
    AUTO_FREE char *by_name = xasprintf("metadata.name=%s", t->spec->name);

    if (t->watch || t->may_not_watch || !t->lookup.wake)
        return;
    char *path = forward_kind_path(FORWARD_POD, t->ns, "");
    path = selector ? with_query(path, "labelSelector", selector)
                    : with_query(path, "fieldSelector", by_name);
    t->watch = api_watch_open(t->forward->parts.api, path, on_pod_event, t, &t->watched);
    free(path);
}

/* --- the engine --- */

static uint64_t next_pause(struct target *t)
{
    t->pause_ms = t->pause_ms && t->started ? 2 * t->pause_ms : PAUSE_MS;
    if (t->pause_ms > PAUSE_MAX_MS)
        t->pause_ms = PAUSE_MAX_MS;
    return t->pause_ms;
}

static void wake_clients(struct target *t)
{
    list_for_each (c, &t->clients, struct target_client, node)
        task_wake(c->wake);
}

static void report_pod(struct target *t)
{
    const char *name = t->pod->name;

    if (t->left && strcmp(t->left, name) == 0)
        forward_notice(t->forward, "%s: forwarding to the new pod/%s now", t->label,
                       name);
    else if (t->left)
        forward_notice(t->forward, "%s: forwarding to pod/%s now, instead of pod/%s",
                       t->label, name, t->left);
    else if (t->away)
        forward_notice(t->forward, "%s: forwarding to pod/%s again", t->label, name);
    free(TAKE(t->left));
    t->away = false;
}

static void on_ready(struct target *t)
{
    report_pod(t);
    t->pause_ms = 0;
    if (!t->started)
        task_wake(&t->forward->task);
    t->started = true;
    watch_pods(t);
    wake_clients(t);
    timer_set(&t->timer, CHECK_MS);
}

static void dial(struct target *t)
{
    struct endpoint endpoint;
    bool any = target_endpoint(t, &endpoint);

    t->warm = (struct opening){ .alone = true, .result = ERR_NOT_FOUND };
    if (any)
        connector_open(connector_of(t), &endpoint, 0, &t->warm, &t->task);
}

/* The only road from one state to another. */
static void target_enter(struct target *t, enum target_state next)
{
    log_debug(NO_ID, "target", LOG_S("target", t->label),
              LOG_S("from", states[t->state].name), LOG_S("to", states[next].name));
    t->state = next;
    t->fired = false;
    timer_stop(&t->timer);
    switch (next) {
    case TARGET_LOOKUP:
        t->stale = false;
        t->lookup_after = target_now(t) + LOOKUP_MS;
        forward_lookup_start(&t->lookup, t->task.sched, t->forward->parts.api, t->spec,
                             t->ns, t->pod ? t->pod->key : NULL, &t->task);
        break;
    case TARGET_DIAL:
        dial(t);
        break;
    case TARGET_READY:
        on_ready(t);
        break;
    case TARGET_PAUSE:
        if (!t->lookup.result)
            watch_pods(t);
        timer_set(&t->timer, next_pause(t));
        break;
    case TARGET_FAILED:
        task_wake(&t->forward->task);
        break;
    }
}

static void on_target_wake(struct task *task)
{
    struct target *t = container_of(task, struct target, task);

    for (;;) {
        enum target_state next = states[t->state].run(t);
        if (next == t->state)
            return;
        target_enter(t, next);
    }
}

static void on_target_timer(struct timer *timer)
{
    struct target *t = container_of(timer, struct target, timer);

    t->fired = true;
    task_wake(&t->task);
}

void target_init(struct target *t, struct forward *f, const struct forward_spec *spec,
                 const char *ns)
{
    t->forward = f;
    t->spec = spec;
    t->ns = spec->ns ? spec->ns : ns;
    t->label = xasprintf("%s/%s", forward_kind_name(spec->kind), spec->name);
    t->pairs = xcalloc(spec->port_count, sizeof(*t->pairs));
    list_init(&t->clients);
    task_init(&t->task, f->sched, RANK_WORK, on_target_wake);
    task_init(&t->watched, f->sched, RANK_WORK, on_watch_state);
    timer_init(&t->timer, f->sched, on_target_timer);
    target_enter(t, TARGET_LOOKUP);
}

void target_finish(struct target *t)
{
    list_for_each (c, &t->clients, struct target_client, node)
        c->kill(c);
    api_watch_close(t->watch);
    task_cancel(&t->watched);
    opening_finish(&t->warm);
    forward_lookup_finish(&t->lookup);
    timer_stop(&t->timer);
    task_cancel(&t->task);
    pod_destroy(t->pod);
    free(t->left);
    free(t->pairs);
    free(t->label);
}
