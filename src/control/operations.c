/* control/operations.c - the table of operations, and finding the one of a request */
#include "base/own.h"
#include "control/change.h"
#include "control/explain.h"
#include "control/operation.h"
#include "control/replay.h"
#include "control/show.h"

/* The connection sends events and names itself. */
static enum err watch_stream(struct operation *op, struct answer *ret)
{
    (void)op;
    (void)ret;
    return ERR_UNSUPPORTED;
}

/* {id} in a path stands for one segment. */
static const struct {
    const char *method, *path;
    enum err (*run)(struct operation *op, struct answer *ret);
} operations[] = {
    { "GET", "/v1", show_version },
    { "GET", "/v1/status", show_status },
    { "GET", "/v1/services", show_services },
    { "GET", "/v1/explain", explain_name },
    { "GET", "/v1/events", watch_stream },
    { "GET", "/v1/names", watch_stream },
    { "GET", "/v1/addresses", show_addresses },
    { "POST", "/v1/addresses/release", change_release },
    { "POST", "/v1/requests/{id}/replay", replay_request },
    { "POST", "/v1/exposes", change_expose },
    { "DELETE", "/v1/exposes/{port}", change_unexpose },
    { "POST", "/v1/aliases", change_add_alias },
    { "DELETE", "/v1/aliases/{name}", change_remove_alias },
    { "POST", "/v1/drain", change_drain },
    { "GET", "/v1/reload", change_preview },
    { "POST", "/v1/reload", change_reload },
    { "POST", "/v1/stop", change_stop },
};

static bool matches(struct str path, struct str pattern, struct str *ret_id)
{
    struct str want = pattern, before;
    struct str after = str_cut(want, '{', &before);

    if (!after.at)
        return str_eq(path, pattern);
    if (!str_starts(path, before))
        return false;
    struct str rest = str_skip(path, before.len), id, tail, any;
    str_cut(rest, '/', &id);
    tail = str_cut(after, '}', &any);
    if (str_empty(id) || !str_eq(str_skip(rest, id.len), tail))
        return false;
    *ret_id = id;
    return true;
}

static bool is_method(const struct operation *op, const char *method)
{
    return str_eq(op->method, str_of(method)) ||
           (str_eq(op->method, STR("HEAD")) && strcmp(method, "GET") == 0);
}

static enum err not_found(const struct operation *op, const char *allow,
                          struct answer *ret)
{
    if (allow) {
        answer_error(ret, 405, "method_not_allowed", NULL, "%.*s takes only %s",
                     STR_ARG(op->path), allow);
        ret->allow = allow;
    } else {
        answer_error(ret, 404, "no_such_operation", NULL,
                     "there is no operation %.*s; see control/openapi.yaml",
                     STR_ARG(str_first(op->path, 200)));
    }
    return OK;
}

enum err operation_run(struct operation *op, struct answer *ret)
{
    const char *allow = NULL;

    for (size_t i = 0; i < ARRAY_LEN(operations); i++) {
        if (!matches(op->path, str_of(operations[i].path), &op->id))
            continue;
        if (is_method(op, operations[i].method))
            return operations[i].run(op, ret);
        allow = operations[i].method;
    }
    return not_found(op, allow, ret);
}

void operation_finish(struct operation *op)
{
    if (op->work)
        op->cancel(op->work);
    op->work = NULL;
    json_decref(TAKE(op->body));
}
