/* kube/watch.c - list, then watch for ever
 *
 * THEORY OF OPERATION
 *
 *      LIST ────▶ WATCH ────▶ WATCH ...   at once, from the last version seen, when the
 *      ▲ ▲ │       │ │                    server ends one in its own time
 *      │ │ └▶ WAIT ◀┘│                    after a failure: longer each time; then WATCH
 *      │ └─────┘     │                    again, if a version is known
 *      └─────────────┘                    410: that version is too old; 429 in a list:
 *                                         the same page once more
 *
 * What exists is reported as ADDED and MODIFIED, and the user must not depend on which;
 * what has gone is reported as DELETED.  What was deleted between watches is missing from
 * the next list; therefore every object is known by its key, with the number of the list
 * that saw it last, and a completed list is followed by a sweep (known.c).  An object that
 * came back under the same name is another one: the old one is reported as deleted first.
 *
 * A watch without events is not a failure.  A server sends bookmarks only if the version has
 * changed, and a proxy may close an idle connection.  So a watch that got a response and then
 * ended is followed by another one from the last version, without a log line; only if that gets
 * no response, the server counts as lost.  Dead connections are found by TCP: keep-alive, and a
 * limit for unacknowledged data (net/transfer.c).
 */
#include "kube/api.h"

#include <stdio.h>

#include "base/log.h"
#include "base/own.h"
#include "kube/known.h"
#include "kube/query.h"
#include "kube/reply.h"
#include "kube/status.h"

LOG_MODULE(kube);

#define PAGE "500"
#define DELAY_FIRST_MS 800
#define DELAY_MAX_MS 30000
#define RETRY_AFTER_MAX_MS 30000u /* no longer, whatever the server names */
#define RELIST_AFTER 2            /* failures in a row */
#define HEALTHY_MS 120000         /* without a failure: the next one is the first again */
#define HASTY_MS 1000     /* a watch that ends sooner, without an event, has failed */
#define WATCH_LEAST_S 100 /* the server ends it then: below WATCH_STALL_MS, or */
#define WATCH_SPREAD_S 50 /* a server with nothing to report would look dead */

#define STATES(X) /* clang-format off */ \
    X(LIST,  list)  /* reading pages; the last one ends in a sweep   */ \
    X(WATCH, watch) /* reading events                                */ \
    X(WAIT,  wait)  /* after a failure; then WATCH, or LIST if it must */
/* clang-format on */

enum watch_state {
#define X(NAME, name) STATE_##NAME,
    STATES(X)
#undef X
};

struct api_watch {
    struct api_watch_state shown;
    struct api *api;
    char *path;
    struct task *wake;

    struct task task;
    struct timer delay;
    enum watch_state state;
    struct reply reply;

    struct known known;
    struct list_size size; /* of the list being read */
    char *version;         /* to watch from; NULL: list first */
    char *page;            /* of the list, that is being read; NULL: the first */
    char *more;            /* the next page of the list */
    bool throttled;        /* the page was refused for now, and is requested again */
    bool whole;            /* a list lost its place: read it in one piece */
    bool version_moved;    /* a newer version was received since the watch began */
    unsigned failures;     /* in a row, that the server reported */
    bool relisted;       /* listed again because of a 410, and no event received since */
    bool lost;           /* a failure was logged, the recovery was not */
    uint64_t began;      /* when this reply was requested */
    uint64_t well_since; /* when it last became live */
    uint64_t delay_ms;   /* the last one, without its jitter */
};

#define X(NAME, name) static enum watch_state in_##name(struct api_watch *w);
STATES(X)
#undef X

static const struct {
    const char *name;
    enum watch_state (*run)(struct api_watch *w);
} states[] = {
#define X(NAME, name) [STATE_##NAME] = { #name, in_##name },
    STATES(X)
#undef X
};

static const char *watch_text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static void remember(char **slot, const char *text)
{
    if (!*text)
        return;
    free(*slot);
    *slot = xstrdup(text);
}

/* A list is complete. */
static void sweep(struct api_watch *w)
{
    known_drop_older(&w->known);
    w->shown.synced = true;
    w->known.on_event(w->known.owner, API_SYNCED, NULL);
}

static void not_live(struct api_watch *w)
{
    if (w->shown.live && w->task.sched->now - w->well_since >= HEALTHY_MS)
        w->delay_ms = 0;
    w->shown.live = false;
}

static void request(struct api_watch *w, enum reply_mode mode, const char *path)
{
    w->began = w->task.sched->now;
    w->version_moved = false;
    reply_finish(&w->reply);
    reply_open(&w->reply, w->api, mode, "GET", path, NULL, 0, &w->task);
}

static void request_page(struct api_watch *w)
{
    char *path = xstrdup(w->path);

    if (!w->whole)
        path = with_query(path, "limit", PAGE);
    if (w->page)
        path = with_query(path, "continue", w->page);
    request(w, REPLY_LIST, path);
    free(path);
}

static void request_next_page(struct api_watch *w)
{
    free(w->page);
    w->page = TAKE(w->more);
    request_page(w);
}

static void request_watch(struct api_watch *w)
{
    char seconds[24];
    uint64_t spread = sched_random_below(w->task.sched, WATCH_SPREAD_S + 1);
    char *path = with_query(xstrdup(w->path), "watch", "1");

    snprintf(seconds, sizeof(seconds), "%u", (unsigned)(WATCH_LEAST_S + spread));
    path = with_query(path, "resourceVersion", w->version);
    path = with_query(path, "allowWatchBookmarks", "true");
    path = with_query(path, "timeoutSeconds", seconds);
    request(w, REPLY_WATCH, path);
    free(path);
}

static enum watch_state begin_list(struct api_watch *w)
{
    not_live(w);
    free(TAKE(w->version));
    free(TAKE(w->page));
    free(TAKE(w->more));
    w->size = (struct list_size){ 0 };
    w->shown.objects = w->shown.bytes = 0;
    w->known.generation++;
    request_page(w);
    return STATE_LIST;
}

static enum watch_state begin_watch(struct api_watch *w)
{
    request_watch(w);
    return STATE_WATCH;
}

/* Once per failure that lasts, however often it is tried; once for all watches when there is
 * no answer at all.  A 403 is the user's to explain: it may well do without watching. */
static void log_lost(struct api_watch *w)
{
    const struct api_error *e = &w->shown.error;
    const char *why = diag_text(&e->why, e->code);

    if (e->code == ERR_FORBIDDEN) {
        log_debug(CLUSTER_ID(w->api->cluster), "watch not permitted",
                  LOG_S("path", w->path));
    } else if (e->code == ERR_CREDENTIALS) { /* which logs for itself */
        log_debug(CLUSTER_ID(w->api->cluster), "watch waits for credentials",
                  LOG_S("path", w->path));
    } else if (e->status == 0) {
        if (!w->api->unreachable)
            log_warn(CLUSTER_ID(w->api->cluster), "API server lost, trying again",
                     LOG_S("server", w->api->target->server), LOG_S("reason", why));
        w->api->unreachable = true;
    } else {
        if (!w->lost)
            log_warn(CLUSTER_ID(w->api->cluster), "watch failed, trying again",
                     LOG_S("path", w->path), LOG_S("reason", why));
        w->lost = true;
    }
}

/* What the server sends again and again may be of this version: it was restored from a
 * backup, or something in between cannot be read. */
static void invalidate_version(struct api_watch *w)
{
    enum err e = w->shown.error.code;
    bool concerns_us = e == ERR_SERVER || e == ERR_PROTO || e == ERR_LIMIT;

    if (concerns_us && ++w->failures >= RELIST_AFTER)
        free(TAKE(w->version));
}

static enum watch_state watch_fail(struct api_watch *w)
{
    uint64_t asked = (uint64_t)w->shown.error.retry_after * 1000;

    if (asked > RETRY_AFTER_MAX_MS)
        asked = RETRY_AFTER_MAX_MS;
    not_live(w);
    log_lost(w);
    invalidate_version(w);
    w->delay_ms = w->delay_ms ? w->delay_ms * 2 : DELAY_FIRST_MS;
    if (w->delay_ms > DELAY_MAX_MS)
        w->delay_ms = DELAY_MAX_MS;
    uint64_t wait = w->delay_ms + sched_random_below(w->task.sched, w->delay_ms);
    reply_finish(&w->reply);
    timer_set(&w->delay, asked > wait ? asked : wait);
    task_wake(w->wake);
    return STATE_WAIT;
}

static void note_live(struct api_watch *w)
{
    if (w->shown.live)
        return;
    w->shown.live = true;
    w->shown.error = (struct api_error){ .code = OK };
    w->well_since = w->task.sched->now;
    if (w->api->unreachable)
        log_info(CLUSTER_ID(w->api->cluster), "API server back",
                 LOG_S("server", w->api->target->server));
    if (w->lost)
        log_info(CLUSTER_ID(w->api->cluster), "watch resumed", LOG_S("path", w->path));
    w->api->unreachable = w->lost = false;
    task_wake(w->wake);
}

static enum err bad_object(struct api_watch *w, const char *what)
{
    w->reply.error = (struct api_error){ .code = ERR_PROTO, .status = 200 };
    return diag_set(&w->reply.error.why, ERR_PROTO, "GET %s: %s", w->path, what);
}

/* Lists that fail leave their objects behind, beside those of the last good one. */
static bool holds_too_much(const struct api_watch *w)
{
    const struct api_limits *limits = &w->api->limits;
    uint64_t lists = w->state == STATE_LIST ? 2 : 1;

    return w->known.objects.count > lists * limits->objects ||
           w->known.bytes > lists * limits->bytes;
}

static enum err take_object(struct api_watch *w, json_t *object)
{
    struct list_size held = { .objects = w->api->limits.objects };

    if (!limits_allow_names(json_object_get(object, "metadata")))
        return bad_object(w, "an object whose name is too long");
    known_learn(&w->known, object, w->reply.object_len);
    if (!holds_too_much(w))
        return OK;
    if (w->state == STATE_LIST)
        known_drop_older(&w->known);
    return limits_add_object(&w->api->limits, &held, 0, w->path, &w->reply.error);
}

/* The count comes before the objects, so that a large list is known for one at once. */
static void note_size(struct api_watch *w, json_t *metadata)
{
    json_int_t left = json_integer_value(json_object_get(metadata, "remainingItemCount"));
    uint64_t expected = w->size.objects + (left > 0 ? (uint64_t)left : 0);

    if (expected <= w->shown.objects)
        return;
    w->shown.objects = expected;
    task_wake(w->wake);
}

static enum err take_list_metadata(struct api_watch *w, json_t *metadata)
{
    if (!limits_allow_tokens(metadata))
        return bad_object(w, "a list whose version or next page is too long");
    remember(&w->version, watch_text_at(metadata, "resourceVersion"));
    free(TAKE(w->more));
    remember(&w->more, watch_text_at(metadata, "continue"));
    note_size(w, metadata);
    return w->more ? limits_add_page(&w->api->limits, &w->size, w->path, &w->reply.error)
                   : OK;
}

static enum err take_list_piece(struct api_watch *w, enum json_piece kind, json_t *object)
{
    if (kind == JSON_METADATA)
        return take_list_metadata(w, object);
    enum err e = limits_add_object(&w->api->limits, &w->size, w->reply.object_len,
                                   w->path, &w->reply.error);

    w->shown.bytes = w->size.bytes;
    if (w->shown.objects < w->size.objects)
        w->shown.objects = w->size.objects;
    return e ? e : take_object(w, object);
}

static enum watch_state end_of_page(struct api_watch *w)
{
    if (w->more) {
        request_next_page(w);
        task_wake(w->wake);
        return STATE_LIST;
    }
    w->whole = false;
    sweep(w);
    task_wake(w->wake);
    if (w->version)
        return begin_watch(w);
    w->shown.error = (struct api_error){ .code = ERR_PROTO };
    diag_set(&w->shown.error.why, ERR_PROTO, "GET %s: a list without resourceVersion",
             w->path);
    return watch_fail(w);
}

static enum watch_state in_list(struct api_watch *w)
{
    enum json_piece kind;
    json_t *object = NULL;
    enum err e;

    while ((e = reply_next(&w->reply, &kind, &object)) == OK) {
        e = take_list_piece(w, kind, object);
        json_decref(object);
        if (e)
            break;
    }
    if (e == ERR_AGAIN)
        return STATE_LIST;
    if (e == ERR_EOF)
        return end_of_page(w);
    if (e == ERR_GONE && !w->whole) {
        w->whole = true;
        return begin_list(w);
    }
    w->shown.error = w->reply.error;
    w->throttled = e == ERR_THROTTLED;
    if (!w->throttled)
        free(TAKE(w->version)); /* a list that failed half way starts anew */
    return watch_fail(w);
}

/* What moves no version is no news: an end at once after it is as good as one without. */
static void note_version(struct api_watch *w, const char *version)
{
    if (!*version || (w->version && strcmp(w->version, version) == 0))
        return;
    w->version_moved = true;
    w->relisted = false;
    remember(&w->version, version);
}

/* One event.  Not OK: the reason of an ERROR event, in w->shown.error. */
static enum err take_event(struct api_watch *w, json_t *event)
{
    struct str type = str_of(watch_text_at(event, "type"));
    json_t *object = json_object_get(event, "object");
    json_t *metadata = json_object_get(object, "metadata");

    if (str_eq(type, STR("ERROR"))) {
        w->shown.error = (struct api_error){ .code = ERR_SERVER };
        status_read(&w->shown.error, object);
        return w->shown.error.code;
    }
    enum err e = OK;
    if (!limits_allow_names(metadata))
        e = bad_object(w, "an event whose object has too long a name");
    else if (str_eq(type, STR("ADDED")) || str_eq(type, STR("MODIFIED")))
        e = take_object(w, object);
    else if (str_eq(type, STR("DELETED")))
        known_forget(&w->known, object);
    if (e) {
        w->shown.error = w->reply.error;
        return e;
    }
    w->failures = 0;
    note_version(w, watch_text_at(metadata, "resourceVersion"));
    return OK;
}

/* Too old to go on.  At once, unless the last list did not help either: then something is
 * wrong with more than its age. */
static enum watch_state list_anew(struct api_watch *w)
{
    free(TAKE(w->version));
    if (w->relisted)
        return watch_fail(w);
    w->relisted = true;
    return begin_list(w);
}

static enum watch_state end_of_watch(struct api_watch *w)
{
    if (w->version_moved || w->task.sched->now - w->began >= HASTY_MS) {
        w->relisted = false;
        return begin_watch(w);
    }
    w->shown.error = (struct api_error){ .code = ERR_EOF };
    diag_set(&w->shown.error.why, ERR_EOF, "GET %s: the watch ended at once", w->path);
    return watch_fail(w);
}

/* It was answered, and ended without an error of the server. */
static bool was_only_cut_off(const struct api_watch *w)
{
    bool lasted = w->task.sched->now - w->began >= HASTY_MS;
    return lasted && reply_good(&w->reply) && w->reply.error.status == 0;
}

static enum watch_state watch_on(struct api_watch *w)
{
    log_debug(CLUSTER_ID(w->api->cluster), "watch cut off, starting the next",
              LOG_S("path", w->path),
              LOG_S("reason", diag_text(&w->reply.error.why, w->reply.error.code)));
    return begin_watch(w);
}

static enum watch_state in_watch(struct api_watch *w)
{
    enum json_piece kind;
    json_t *event = NULL;
    enum err e, version_moved = OK;

    while (!version_moved && (e = reply_next(&w->reply, &kind, &event)) == OK) {
        note_live(w);
        version_moved = take_event(w, event);
        json_decref(event);
        task_wake(w->wake);
    }
    if (version_moved)
        return version_moved == ERR_GONE ? list_anew(w) : watch_fail(w);
    if (reply_good(&w->reply))
        note_live(w);
    if (e == ERR_AGAIN)
        return STATE_WATCH;
    if (e == ERR_EOF)
        return end_of_watch(w);
    if (was_only_cut_off(w))
        return watch_on(w);
    w->shown.error = w->reply.error;
    return e == ERR_GONE ? list_anew(w) : watch_fail(w);
}

static enum watch_state in_wait(struct api_watch *w)
{
    if (w->delay.at)
        return STATE_WAIT;
    if (w->throttled) {
        w->throttled = false;
        request_page(w);
        return STATE_LIST;
    }
    return w->version ? begin_watch(w) : begin_list(w);
}

/* The only writer of `state`. */
static void enter(struct api_watch *w, enum watch_state next)
{
    if (next != w->state)
        log_debug(CLUSTER_ID(w->api->cluster), "watch", LOG_S("path", w->path),
                  LOG_S("from", states[w->state].name), LOG_S("to", states[next].name));
    w->state = next;
}

static void on_wake(struct task *task)
{
    struct api_watch *w = container_of(task, struct api_watch, task);
    enter(w, states[w->state].run(w));
}

static void on_delay(struct timer *delay)
{
    task_wake(&container_of(delay, struct api_watch, delay)->task);
}

struct api_watch *api_watch_open(struct api *a, const char *path,
                                 void (*on_event)(void *owner, enum api_event,
                                                  json_t *object),
                                 void *owner, struct task *wake)
{
    struct api_watch *w = xcalloc(1, sizeof(*w));

    w->api = a;
    w->path = xstrdup(path);
    w->wake = wake;
    known_init(&w->known, on_event, owner);
    task_init(&w->task, loop_sched(a->loop), RANK_READ, on_wake);
    timer_init(&w->delay, loop_sched(a->loop), on_delay);
    enter(w, begin_list(w));
    return w;
}

const struct api_watch_state *api_watch_state(const struct api_watch *w)
{
    return &w->shown;
}

void api_watch_close(struct api_watch *w)
{
    if (!w)
        return;
    task_cancel(&w->task);
    timer_stop(&w->delay);
    reply_finish(&w->reply);
    known_finish(&w->known);
    free(w->path);
    free(w->version);
    free(w->page);
    free(w->more);
    free(w);
}
