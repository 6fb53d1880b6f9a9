/* kube/api.c - calls to one API server: get, post, paged lists
 *
 * A call is one reply after the other: a get has one, a list as many as it has pages. The
 * server forgets where a list stood after some minutes (410 in the middle); then it is
 * read once more, from the beginning and in one piece.
 */
#include "kube/api.h"

#include "base/own.h"
#include "kube/reply.h"

#define PAGE "500"

struct api *api_create(struct loop *l, struct transfers *t, struct kube_target *target)
{
    struct api *a = xcalloc(1, sizeof(*a));

    a->loop = l;
    a->transfers = t;
    a->target = target;
    credentials_init(&a->credentials, target);
    return a;
}

void api_destroy(struct api *a)
{
    if (!a)
        return;
    credentials_finish(&a->credentials);
    kube_target_destroy(a->target);
    free(a);
}

const struct kube_target *api_target(const struct api *a)
{
    return a->target;
}

const char *api_authorization(struct api *a)
{
    return credentials_header(&a->credentials, loop_sched(a->loop)->now);
}

bool api_doubt(struct api *a)
{
    return credentials_doubt(&a->credentials);
}

struct request {
    struct api_call *call;
    struct api *api;
    struct task task;
    struct reply reply;
    char *path;        /* of a list, without limit and continue */
    char *more;        /* the next page, as the server called it; NULL: none */
    bool whole;        /* no more pages: the list is read in one piece */
    uint64_t deadline; /* 0: none */
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
    if (r->more)
        path = with_query(path, "continue", r->more);
    free(TAKE(r->more));
    open_reply(r, REPLY_LIST, "GET", path, NULL);
    free(path);
}

static void deliver(struct request *r, enum json_piece kind, json_t *object)
{
    const char *more = json_string_value(json_object_get(object, "continue"));

    if (kind == JSON_ITEM) {
        r->call->on_object(r->call->owner, object);
        return;
    }
    free(r->more);
    r->more = more && *more ? xstrdup(more) : NULL;
}

static void conclude(struct request *r, enum err e)
{
    if (e)
        r->call->error = r->reply.error;
    reply_finish(&r->reply);
    r->call->result = e;
    task_wake(r->call->wake);
}

/* The answer at hand has ended. */
static void go_on(struct request *r, enum err e)
{
    if (e == ERR_GONE && r->path && !r->whole) {
        r->whole = true;
        free(TAKE(r->more));
        open_page(r);
    } else if (e == ERR_EOF && r->more) {
        open_page(r);
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

    if (r->call->result != ERR_AGAIN)
        return;
    while ((e = reply_next(&r->reply, &kind, &object)) == OK) {
        deliver(r, kind, object);
        json_decref(object);
    }
    if (e != ERR_AGAIN)
        go_on(r, e);
}

static struct request *start(struct api *a, struct api_call *call, uint64_t timeout_ms)
{
    struct request *r = xcalloc(1, sizeof(*r));

    r->call = call;
    r->api = a;
    r->deadline = timeout_ms ? loop_sched(a->loop)->now + timeout_ms : 0;
    task_init(&r->task, loop_sched(a->loop), RANK_READ, on_reply);
    call->result = ERR_AGAIN;
    call->error = (struct api_error){ .code = OK };
    call->request = r;
    return r;
}

void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms)
{
    open_reply(start(a, call, timeout_ms), REPLY_OBJECT, "GET", path, NULL);
}

void api_post(struct api *a, struct api_call *call, const char *path, const char *body,
              uint64_t timeout_ms)
{
    open_reply(start(a, call, timeout_ms), REPLY_OBJECT, "POST", path, body);
}

void api_list(struct api *a, struct api_call *call, const char *path,
              const char *selector, uint64_t timeout_ms)
{
    struct request *r = start(a, call, timeout_ms);

    r->path = xstrdup(path);
    if (selector)
        r->path = with_query(r->path, "labelSelector", selector);
    open_page(r);
}

void api_call_finish(struct api_call *call)
{
    struct request *r = call->request;

    if (!r)
        return;
    call->request = NULL;
    task_cancel(&r->task);
    reply_finish(&r->reply);
    free(r->path);
    free(r->more);
    free(r);
}
