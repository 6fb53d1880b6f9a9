/* kube/reply.c - one request to the API server and its answer, object by object */
#include "kube/reply.h"

#include <jansson.h>

#include "kube/refusal.h"

#include "base/own.h"

#define BODY_LIMIT (256u << 10)
#define ERROR_TEXT_MAX (64u << 10)
#define STALL_MS 60000 /* as long as the API server itself takes at most */
#define WATCH_STALL_MS                                                                   \
    180000 /* longer than a watch is requested for: see WATCH_LEAST_S */

static uint64_t reply_now(const struct reply *r)
{
    return loop_sched(r->api->loop)->now;
}

/* 1 ms when it is over already: 0 would mean no time-out at all. */
static uint64_t time_left(const struct reply *r)
{
    if (!r->deadline)
        return 0;
    return r->deadline > reply_now(r) ? r->deadline - reply_now(r) : 1;
}

#define FIELDS_OWN 4 /* Accept, User-Agent, Content-Type, the end */

/* The fields of the credential among ours; only the array is the caller's. */
static const char **collect_fields(const struct reply *r)
{
    char *const *of_user = r->credential->fields;
    size_t count = 0, more = 0;

    while (of_user[more])
        more++;
    const char **fields = xcalloc(FIELDS_OWN + more, sizeof(*fields));
    fields[count++] = "Accept: application/json";
    fields[count++] = "User-Agent: kube-tunnel/" VERSION;
    if (r->body)
        fields[count++] = "Content-Type: application/json";
    for (size_t i = 0; i < more; i++)
        fields[count++] = of_user[i];
    return fields;
}

static void send_request(struct reply *r)
{
    const struct kube_target *t = r->api->target;
    AUTO_FREE char *url = xasprintf("%s%s", t->server, r->path);
    AUTO_FREE const char **fields = collect_fields(r);
    struct transfer_request request = {
        .method = r->method,
        .url = url,
        .headers = fields,
        .body = r->body,
        .identity = r->credential->identity,
        .proxy = t->proxy,
        .timeout_ms = time_left(r),
        .stall_ms = r->mode == REPLY_WATCH ? WATCH_STALL_MS : STALL_MS,
        .body_limit = BODY_LIMIT,
    };
    r->transfer = transfer_open(r->api->transfers, &request, r->wake);
}

static void forget_response(struct reply *r)
{
    credentials_leave(&r->want);
    credential_unref(TAKE(r->credential));
    transfer_close(TAKE(r->transfer));
    json_items_destroy(TAKE(r->items));
    free(TAKE(r->text));
    r->len = 0;
}

static bool reply_is_late(const struct reply *r)
{
    return r->deadline && reply_now(r) >= r->deadline;
}

static void on_reply_late(struct timer *t)
{
    task_wake(container_of(t, struct reply, late)->wake);
}

/* Send it, when there is a credential.  Not OK: wait, or r->error has the reason. */
static enum err reply_begin(struct reply *r)
{
    struct diag why = { "" };
    enum err e = credentials_get(r->api->credentials, &r->want, &r->credential, &why);

    timer_stop(&r->late);
    if (e == ERR_AGAIN && !reply_is_late(r)) {
        timer_set_at(&r->late, r->deadline);
        return ERR_AGAIN;
    }
    if (e) {
        credentials_leave(&r->want);
        r->error = (struct api_error){ .code = ERR_CREDENTIALS, .why = why };
        return ERR_CREDENTIALS;
    }
    if (r->mode != REPLY_OBJECT)
        r->items =
            json_items_create(r->mode == REPLY_LIST ? JSON_LIST : JSON_WATCH, OBJECT_MAX);
    send_request(r);
    task_wake(r->wake); /* it may have failed at once */
    return OK;
}

void reply_open(struct reply *r, struct api *a, enum reply_mode mode, const char *method,
                const char *path, const char *body, uint64_t timeout_ms,
                struct task *wake)
{
    *r = (struct reply){ .api = a,
                         .mode = mode,
                         .wake = wake,
                         .want = { .wake = wake, .background = r->want.background } };
    r->method = xstrdup(method);
    r->path = xstrdup(path);
    r->body = xstrdup_or_null(body);
    r->deadline = timeout_ms ? reply_now(r) + timeout_ms : 0;
    timer_init(&r->late, loop_sched(a->loop), on_reply_late);
    if (reply_begin(r))
        task_wake(wake);
}

void reply_finish(struct reply *r)
{
    forget_response(r);
    timer_stop(&r->late);
    free(TAKE(r->method));
    free(TAKE(r->path));
    free(TAKE(r->body));
}

bool reply_good(const struct reply *r)
{
    return r->transfer && r->transfer->status / 100 == 2;
}

/* Everything that has come, appended to text; ERR_LIMIT when that would be more than max.
 */
static enum err gather(struct reply *r, size_t max)
{
    struct bufq *body = &r->transfer->body;

    if (body->len > max - r->len)
        return ERR_LIMIT;
    r->text = xrealloc(r->text, r->len + body->len + 1);
    r->len += bufq_read(body, r->text + r->len, body->len);
    r->text[r->len] = '\0';
    return OK;
}

static enum err reply_fail(struct reply *r, enum err code, const char *what)
{
    r->error = (struct api_error){ .code = code, .status = r->transfer->status };
    return diag_set(&r->error.why, code, "%s %s: %s", r->method, r->path, what);
}

/* No answer, or not all of one: status 0 distinguishes it from the server's own errors. */
static enum err lost(struct reply *r)
{
    r->error = (struct api_error){ .code = r->transfer->result, .why = r->transfer->why };
    if (r->error.code == ERR_TLS) {
        credentials_on_tls_failure(r->api->credentials);
        credential_explain(r->credential, &r->error.why);
    }
    return r->error.code;
}

/* The API server did not accept the credential; is there another one? */
static bool try_another_credential(struct reply *r)
{
    if (r->retried || !credentials_reject(r->api->credentials, r->credential->generation))
        return false;
    r->retried = true;
    forget_response(r);
    return true;
}

/* The text of a refusal beyond ERROR_TEXT_MAX is dropped. */
static enum err reply_refused(struct reply *r)
{
    struct transfer *x = r->transfer;

    if (gather(r, ERROR_TEXT_MAX))
        bufq_clear(&x->body);
    transfer_resume(x);
    if (x->result == ERR_AGAIN)
        return ERR_AGAIN;
    if (x->status == 401 && try_another_credential(r))
        return reply_begin(r) == ERR_CREDENTIALS ? ERR_CREDENTIALS : ERR_AGAIN;
    api_error_from_response(&r->error,
                            &(struct api_response){ .status = x->status,
                                                    .retry_after = x->retry_after,
                                                    .body = { r->text, r->len },
                                                    .location = str_of(x->location) });
    if (x->status == 401)
        credential_explain(r->credential, &r->error.why);
    refusal_explain(r->api->target, r->credential, &r->error);
    return r->error.code;
}

static const char *what_instead(struct str text)
{
    return str_starts(str_trim_space(text), STR("<"))
               ? "the answer is HTML, not JSON: this is not the API server, but perhaps "
                 "a "
                 "login page before it"
               : "the answer is not JSON";
}

static enum err parse(struct reply *r, struct str text, json_t **ret)
{
    json_error_t problem;
    json_t *object = json_loadb(text.at, text.len, JSON_ALLOW_NUL, &problem);

    if (!object)
        return reply_fail(r, ERR_PROTO, what_instead(text));
    r->object_len = text.len;
    *ret = object;
    return OK;
}

static enum err next_whole(struct reply *r, enum json_piece *ret_kind, json_t **ret)
{
    if (r->delivered)
        return ERR_EOF;
    if (gather(r, OBJECT_MAX))
        return reply_fail(r, ERR_LIMIT, "the answer is over 4 MiB");
    transfer_resume(r->transfer);
    if (r->transfer->result)
        return r->transfer->result == ERR_AGAIN ? ERR_AGAIN : lost(r);
    enum err e = parse(r, (struct str){ r->text, r->len }, ret);
    if (e)
        return e;
    r->delivered = true;
    *ret_kind = JSON_ITEM;
    return OK;
}

/* Feed the cutter one chunk.  ERR_AGAIN: there was none; ERR_EOF: there will be none. */
static enum err feed(struct reply *r)
{
    struct transfer *x = r->transfer;
    size_t len;
    const uint8_t *bytes = bufq_peek(&x->body, &len);

    if (len) {
        struct str chunk = { (const char *)bytes, len };
        enum err e = json_items_feed(r->items, chunk.at, chunk.len);
        const char *instead = e ? what_instead(chunk) : NULL;
        bufq_skip(&x->body, len);
        if (e == ERR_LIMIT)
            return reply_fail(r, e, "an object is over 4 MiB");
        return e ? reply_fail(r, e, instead) : OK;
    }
    transfer_resume(x);
    if (x->result == ERR_AGAIN)
        return ERR_AGAIN;
    if (x->result)
        return lost(r);
    return json_items_complete(r->items)
               ? ERR_EOF
               : reply_fail(r, ERR_RESET, "the response was truncated");
}

static enum err next_piece(struct reply *r, enum json_piece *ret_kind, json_t **ret)
{
    struct str text;
    enum err e;

    while ((e = json_items_next(r->items, ret_kind, &text)) == ERR_AGAIN) {
        e = feed(r);
        if (e)
            return e;
    }
    return e ? reply_fail(r, e, "the answer is not JSON") : parse(r, text, ret);
}

enum err reply_next(struct reply *r, enum json_piece *ret_kind, json_t **ret_object)
{
    enum err e = r->transfer ? OK : r->error.code ? r->error.code : reply_begin(r);
    struct transfer *x = r->transfer;

    if (e)
        return e;
    if (x->status == 0)
        return x->result == ERR_AGAIN ? ERR_AGAIN
               : x->result            ? lost(r)
                                      : reply_fail(r, ERR_PROTO, "no answer");
    if (!reply_good(r))
        return reply_refused(r);
    return r->mode == REPLY_OBJECT ? next_whole(r, ret_kind, ret_object)
                                   : next_piece(r, ret_kind, ret_object);
}
