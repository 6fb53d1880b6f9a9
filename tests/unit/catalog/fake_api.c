#include "fake_api.h"

#include <stdarg.h>
#include <setjmp.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/own.h"

#define CALLS_MAX 64
#define WATCHES_MAX 256

struct fake_call {
    struct api_call *call;
    char *path, *selector;
};

struct api_watch {
    struct api *api;
    char *path;
    void (*on_event)(void *owner, enum api_event, json_t *object);
    void *owner;
    struct task *wake;
    struct api_watch_state state;
};

struct api {
    struct fake_call calls[CALLS_MAX];
    struct api_watch *watches[WATCHES_MAX];
    size_t asked;
};

struct api *fake_create(void)
{
    return xcalloc(1, sizeof(struct api));
}

void fake_destroy(struct api *a)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        assert_null(a->calls[i].call);
    for (size_t i = 0; i < WATCHES_MAX; i++)
        assert_null(a->watches[i]);
    free(a);
}

/* --- kube/api.h --- */

static void forget(struct fake_call *f)
{
    free(f->path);
    free(f->selector);
    *f = (struct fake_call){ 0 };
}

static void start(struct api *a, struct api_call *call, const char *path,
                  const char *selector)
{
    for (size_t i = 0; i < CALLS_MAX; i++) {
        if (a->calls[i].call)
            continue;
        a->calls[i] =
            (struct fake_call){ call, xstrdup(path), xstrdup_or_null(selector) };
        a->asked++;
        call->result = ERR_AGAIN;
        call->request = a;
        return;
    }
    fail_msg("too many calls");
}

void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms)
{
    assert_int_equal(timeout_ms, 10000);
    start(a, call, path, NULL);
}

void api_list(struct api *a, struct api_call *call, const char *path,
              const char *selector, uint64_t timeout_ms)
{
    assert_int_equal(timeout_ms, 10000);
    start(a, call, path, selector);
}

void api_call_finish(struct api_call *call)
{
    struct api *a = call->request;

    for (size_t i = 0; a && i < CALLS_MAX; i++)
        if (a->calls[i].call == call)
            forget(&a->calls[i]);
    call->request = NULL;
}

struct api_watch *api_watch_open(struct api *a, const char *path,
                                 void (*on_event)(void *owner, enum api_event,
                                                  json_t *object),
                                 void *owner, struct task *wake)
{
    for (size_t i = 0; i < WATCHES_MAX; i++) {
        if (a->watches[i])
            continue;
        a->watches[i] = xcalloc(1, sizeof(struct api_watch));
        *a->watches[i] = (struct api_watch){
            .api = a,
            .path = xstrdup(path),
            .on_event = on_event,
            .owner = owner,
            .wake = wake,
        };
        return a->watches[i];
    }
    fail_msg("too many watches");
    return NULL;
}

const struct api_watch_state *api_watch_state(const struct api_watch *w)
{
    return &w->state;
}

void api_watch_close(struct api_watch *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (w->api->watches[i] == w)
            w->api->watches[i] = NULL;
    free(w->path);
    free(w);
}

/* --- the test's side --- */

json_t *fake_json(const char *text)
{
    AUTO_FREE char *json = xstrdup(text);
    json_error_t error;

    for (char *c = json; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *object = json_loads(json, 0, &error);
    if (!object)
        fail_msg("%s: %s", error.text, text);
    return object;
}

static struct fake_call *find(struct api *a, const char *path)
{
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (a->calls[i].call && strcmp(a->calls[i].path, path) == 0)
            return &a->calls[i];
    fail_msg("no call waits for %s", path);
    return NULL;
}

size_t fake_waiting(struct api *a, const char *path)
{
    size_t count = 0;

    for (size_t i = 0; i < CALLS_MAX; i++)
        count += a->calls[i].call && strcmp(a->calls[i].path, path) == 0;
    return count;
}

size_t fake_call_count(struct api *a)
{
    return a->asked;
}

const char *fake_selector(struct api *a, const char *path)
{
    return find(a, path)->selector;
}

static void done(struct fake_call *f, enum err result)
{
    struct api_call *call = f->call;

    call->result = result;
    forget(f);
    task_wake(call->wake);
}

void fake_answer(struct api *a, const char *path, const char *const objects[])
{
    struct fake_call *f = find(a, path);

    for (size_t i = 0; objects[i]; i++) {
        json_t *object = fake_json(objects[i]);
        f->call->on_object(f->call->owner, object);
        json_decref(object);
    }
    done(f, OK);
}

static struct api_error failure(enum err code, const char *why)
{
    struct api_error e = {
        .code = code,
        .status = code == ERR_FORBIDDEN   ? 403
                  : code == ERR_NOT_FOUND ? 404
                                          : 0,
        .is_status = code == ERR_FORBIDDEN || code == ERR_NOT_FOUND,
    };
    diag_set(&e.why, code, "%s", why);
    return e;
}

void fake_refuse(struct api *a, const char *path, enum err code, const char *why)
{
    struct fake_call *f = find(a, path);

    f->call->error = failure(code, why);
    done(f, code);
}

static struct api_watch *find_watch(struct api *a, const char *path)
{
    for (size_t i = 0; i < WATCHES_MAX; i++)
        if (a->watches[i] && strcmp(a->watches[i]->path, path) == 0)
            return a->watches[i];
    return NULL;
}

bool fake_watches(struct api *a, const char *path)
{
    return find_watch(a, path) != NULL;
}

static struct api_watch *watch(struct api *a, const char *path)
{
    struct api_watch *w = find_watch(a, path);

    if (!w)
        fail_msg("no watch of %s", path);
    return w;
}

void fake_event(struct api *a, const char *path, enum api_event event, const char *object)
{
    struct api_watch *w = watch(a, path);
    json_t *parsed = fake_json(object);

    w->on_event(w->owner, event, parsed);
    json_decref(parsed);
}

static void set_state(struct api_watch *w, bool synced, bool live, struct api_error error)
{
    if (synced && !w->state.synced)
        w->on_event(w->owner, API_SYNCED, NULL);
    w->state.synced = synced;
    w->state.live = live;
    w->state.error = error;
    task_wake(w->wake);
}

void fake_listed(struct api *a, const char *path)
{
    set_state(watch(a, path), true, false, (struct api_error){ .code = OK });
}

void fake_live(struct api *a, const char *path)
{
    set_state(watch(a, path), true, true, (struct api_error){ .code = OK });
}

void fake_sized(struct api *a, const char *path, uint64_t objects)
{
    struct api_watch *w = watch(a, path);

    w->state.objects = objects;
    task_wake(w->wake);
}

size_t fake_watch_count(struct api *a)
{
    size_t count = 0;

    for (size_t i = 0; i < WATCHES_MAX; i++)
        count += a->watches[i] != NULL;
    return count;
}

void fake_proxied(struct api *a, const char *path, enum err code)
{
    struct api_watch *w = watch(a, path);
    struct api_error e = failure(code, "<html>");

    e.is_status = false;
    set_state(w, w->state.synced, false, e);
}

void fake_refuse_proxied(struct api *a, const char *path, enum err code)
{
    struct fake_call *f = find(a, path);

    f->call->error = failure(code, "<html>");
    f->call->error.is_status = false;
    done(f, code);
}

void fake_broken(struct api *a, const char *path, enum err code, const char *why)
{
    struct api_watch *w = watch(a, path);

    set_state(w, w->state.synced, false, failure(code, why));
}
