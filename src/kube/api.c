/* kube/api.c - calls to one API server: get, post, paged lists
 *
 * A get or post is one request (kube/reply.h), a list one for each page.  Continue tokens expire
 * after some minutes (410); then the list is read again, from the beginning and without pages.
 * After a 429 (priority and fairness) the request is repeated, within the call's time-out.
 */
#include "kube/api.h"

#include <jansson.h>

#include "base/own.h"
#include "kube/refusal.h"
#include "kube/query.h"
#include "kube/reply.h"

#define PAGE "500"
#define OBJECTS_MAX 100000
#define BYTES_MAX ((uint64_t)256 << 20)
#define CALLS_PER_SECOND 50 /* as client-go's QPS and Burst */
#define CALLS_BURST 100
#define REFUSALS_MAX 3 /* how often one call is repeated after a 429 */
#define MS_PER_SECOND 1000u
#define PAUSE_SPREAD_MS 250

static void on_turn(struct timer *t);

struct api *api_create(struct loop *l, struct transfers *t, struct kube_target *target,
                       struct exec_plugins *plugins)
{
    struct api *a = xcalloc(1, sizeof(*a));

    a->loop = l;
    a->transfers = t;
    a->target = target;
    a->credentials = credentials_create(l, target, plugins);
    list_init(&a->waiting);
    timer_init(&a->turn, loop_sched(l), on_turn);
    api_limit(a, &(struct api_limits){ .objects = OBJECTS_MAX,
                                       .bytes = BYTES_MAX,
                                       .calls_per_second = CALLS_PER_SECOND,
                                       .calls_burst = CALLS_BURST });
    return a;
}

void api_set_cluster(struct api *a, uint16_t cluster)
{
    a->cluster = cluster;
}

void api_limit(struct api *a, const struct api_limits *limits)
{
    bool other_rate = a->rate.per_second != limits->calls_per_second ||
                      a->rate.burst != limits->calls_burst;

    a->limits = *limits;
    if (other_rate)
        call_rate_init(&a->rate, limits->calls_per_second, limits->calls_burst);
}

void api_destroy(struct api *a)
{
    if (!a)
        return;
    timer_stop(&a->turn);
    credentials_destroy(a->credentials);
    kube_target_destroy(a->target);
    free(a);
}

void api_explain_refusal(const struct api *a, const struct credential *shown,
                         struct api_error *e)
{
    refusal_explain(a->target, shown, e);
}

const struct kube_target *api_target(const struct api *a)
{
    return a->target;
}

struct credentials *api_credentials(struct api *a)
{
    return a->credentials;
}

struct request {
    struct api_call *call;
    struct api *api;
    struct task task;
    struct reply reply;
    struct list_node waiting; /* in api.waiting until its turn comes */
    const char *method;       /* static */
    char *single, *body;      /* of a get or post: its path, and what is posted */
    char *path;               /* of a list, without limit and continue */
    struct list_size size;
    char *page;         /* that is being read, as the server called it; NULL: the first */
    char *more;         /* the next one; NULL: none */
    struct timer pause; /* while it waits, because the server refused it for now */
    unsigned refusals;  /* of that kind */
    bool whole;         /* no more pages: the list is read in one piece */
    uint64_t deadline;  /* 0: none */
};

static void open_reply(struct request *r, enum reply_mode mode, const char *method,
                       const char *path, const char *body)
{
    uint64_t now = r->task.sched->now;
    uint64_t left = r->deadline > now ? r->deadline - now : 1;

    reply_finish(&r->reply);
    reply_open(&r->reply, r->api, mode, method, path, body, r->deadline ? left : 0,
               &r->task);
}

static void open_page(struct request *r)
{
    char *path = xstrdup(r->path);

    if (!r->whole)
        path = with_query(path, "limit", PAGE);
    if (r->page)
        path = with_query(path, "continue", r->page);
    open_reply(r, REPLY_LIST, "GET", path, NULL);
    free(path);
}

static void open_call(struct request *r)
{
    if (r->path)
        open_page(r);
    else
        open_reply(r, REPLY_OBJECT, r->method, r->single, r->body);
}

/* Send the request now, or when the rate limit allows it. */
static void call_in_turn(struct request *r)
{
    struct api *a = r->api;
    uint64_t wait = 1;

    if (list_empty(&a->waiting))
        wait = call_rate_take(&a->rate, r->task.sched->now);
    if (!wait) {
        open_call(r);
        return;
    }
    list_append(&a->waiting, &r->waiting);
    if (!a->turn.at)
        timer_set(&a->turn, wait);
}

static enum err take_metadata(struct request *r, json_t *metadata)
{
    const char *more = json_string_value(json_object_get(metadata, "continue"));

    free(TAKE(r->more));
    if (!limits_allow_tokens(metadata)) {
        r->reply.error = (struct api_error){ .code = ERR_PROTO, .status = 200 };
        return diag_set(&r->reply.error.why, ERR_PROTO,
                        "GET %s: a list whose version or next page is too long", r->path);
    }
    r->more = more && *more ? xstrdup(more) : NULL;
    return r->more ? limits_add_page(&r->api->limits, &r->size, r->path, &r->reply.error)
                   : OK;
}

static enum err deliver(struct request *r, enum json_piece kind, json_t *object)
{
    enum err e = OK;

    if (kind == JSON_METADATA)
        return take_metadata(r, object);
    if (r->path)
        e = limits_add_object(&r->api->limits, &r->size, r->reply.object_len, r->path,
                              &r->reply.error);
    if (!e)
        r->call->on_object(r->call->owner, object);
    return e;
}

static void conclude(struct request *r, enum err e)
{
    if (e)
        r->call->error = r->reply.error;
    reply_finish(&r->reply);
    r->call->result = e;
    task_wake(r->call->wake);
}

/* After a 429: is there time to wait for Retry-After, and are there not too many already? */
static bool may_wait(const struct request *r)
{
    uint64_t until =
        r->task.sched->now + (uint64_t)r->reply.error.retry_after * MS_PER_SECOND;

    return r->reply.error.retry_after && r->refusals < REFUSALS_MAX && r->deadline &&
           until < r->deadline;
}

static void wait_retry_after(struct request *r)
{
    uint64_t ms = (uint64_t)r->reply.error.retry_after * MS_PER_SECOND;

    r->refusals++;
    reply_finish(&r->reply);
    timer_set(&r->pause, ms + sched_random_below(r->task.sched, PAUSE_SPREAD_MS));
}

static void on_pause(struct timer *t)
{
    call_in_turn(container_of(t, struct request, pause));
}

/* One request has ended with `e`: continue with the next page, repeat it, or finish the call. */
static void go_on(struct request *r, enum err e)
{
    if (e == ERR_GONE && r->path && !r->whole) {
        r->whole = true;
        r->size = (struct list_size){ 0 };
        free(TAKE(r->page));
        free(TAKE(r->more));
        call_in_turn(r);
    } else if (e == ERR_THROTTLED && may_wait(r)) {
        wait_retry_after(r);
    } else if (e == ERR_EOF && r->more) {
        free(r->page);
        r->page = TAKE(r->more);
        call_in_turn(r);
    } else {
        conclude(r, e == ERR_EOF ? OK : e);
    }
}

static void on_reply(struct task *task)
{
    struct request *r = container_of(task, struct request, task);
    enum json_piece kind;
    json_t *object = NULL;
    enum err e;

    if (r->call->result != ERR_AGAIN || !list_empty(&r->waiting) || r->pause.at)
        return;
    while ((e = reply_next(&r->reply, &kind, &object)) == OK) {
        e = deliver(r, kind, object);
        json_decref(object);
        if (e)
            break;
    }
    if (e != ERR_AGAIN)
        go_on(r, e);
}

/* A call timed out while it waited for the rate limit. */
static void conclude_late(struct request *r)
{
    r->reply.error = (struct api_error){ .code = ERR_THROTTLED };
    diag_set(&r->reply.error.why, ERR_THROTTLED,
             "%s %s: more calls to the API server than lookup-rate allows (%u a second)",
             r->method, r->path ? r->path : r->single, r->api->limits.calls_per_second);
    conclude(r, ERR_THROTTLED);
}

static bool is_late(const struct request *r)
{
    return r->deadline && r->task.sched->now >= r->deadline;
}

static void on_turn(struct timer *t)
{
    struct api *a = container_of(t, struct api, turn);

    while (!list_empty(&a->waiting)) {
        struct request *r = list_first(&a->waiting, struct request, waiting);
        bool late = is_late(r);
        uint64_t wait = late ? 0 : call_rate_take(&a->rate, r->task.sched->now);
        if (wait) {
            timer_set(&a->turn, wait);
            return;
        }
        list_remove(&r->waiting);
        if (late)
            conclude_late(r);
        else
            open_call(r);
    }
}

static struct request *start(struct api *a, struct api_call *call, uint64_t timeout_ms)
{
    struct request *r = xcalloc(1, sizeof(*r));

    r->call = call;
    r->api = a;
    r->deadline = timeout_ms ? loop_sched(a->loop)->now + timeout_ms : 0;
    r->method = "GET";
    list_init(&r->waiting);
    task_init(&r->task, loop_sched(a->loop), RANK_READ, on_reply);
    timer_init(&r->pause, loop_sched(a->loop), on_pause);
    r->reply.want.background = call->background;
    call->result = ERR_AGAIN;
    call->error = (struct api_error){ .code = OK };
    call->request = r;
    return r;
}

void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms)
{
    struct request *r = start(a, call, timeout_ms);

    r->single = xstrdup(path);
    call_in_turn(r);
}

void api_post(struct api *a, struct api_call *call, const char *path, const char *body,
              uint64_t timeout_ms)
{
    struct request *r = start(a, call, timeout_ms);

    r->method = "POST";
    r->single = xstrdup(path);
    r->body = xstrdup(body);
    call_in_turn(r);
}

void api_list(struct api *a, struct api_call *call, const char *path,
              const char *selector, uint64_t timeout_ms)
{
    struct request *r = start(a, call, timeout_ms);

    r->path = xstrdup(path);
    if (selector)
        r->path = with_query(r->path, "labelSelector", selector);
    call_in_turn(r);
}

void api_call_finish(struct api_call *call)
{
    struct request *r = call->request;

    if (!r)
        return;
    call->request = NULL;
    list_remove(&r->waiting);
    task_cancel(&r->task);
    timer_stop(&r->pause);
    reply_finish(&r->reply);
    free(r->single);
    free(r->body);
    free(r->path);
    free(r->page);
    free(r->more);
    free(r);
}
