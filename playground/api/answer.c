#include "playground/api/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"
#include "playground/head.h"

void answer_finish(struct answer *a)
{
    text_finish(&a->body);
    text_finish(&a->fields);
    view_finish(&a->watch.view);
    free(a->pod_uid);
    *a = (struct answer){ 0 };
}

void answer_json(struct answer *a, int status, json_t *tree)
{
    AUTO_FREE char *text = json_dumps(tree, JSON_COMPACT);
    a->status = status;
    a->content_type = "application/json";
    text_clear(&a->body);
    text_printf(&a->body, "%s\n", text ? text : "{}");
    json_decref(tree);
}

json_t *status_object(int code, const char *reason, json_t *details, const char *message)
{
    json_t *status =
        json_pack("{s:s, s:s, s:{}, s:s, s:s}", "kind", "Status", "apiVersion", "v1",
                  "metadata", "status", "Failure", "message", message);
    json_object_set_new(status, "reason", json_string(reason));
    if (details)
        json_object_set_new(status, "details", details);
    json_object_set_new(status, "code", json_integer(code));
    return status;
}

void answer_failure(struct answer *a, int status, const char *reason, json_t *details,
                    const char *format, ...)
{
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    answer_json(a, status, status_object(status, reason, details, message));
}

static void unknown_path(struct answer *a)
{
    a->status = 404;
    a->content_type = "text/plain; charset=utf-8";
    text_add(&a->body, STR("404 page not found\n"));
}

/* Authentication: the token, or a certificate of the playground's CA. */
static bool authenticated(const struct cluster *c, const struct call *call)
{
    struct str value = { 0 };
    for (size_t i = 0; i < call->head->count; i++)
        if (str_ieq(call->head->fields[i].name, STR("Authorization")))
            value = call->head->fields[i].value;
    if (!str_starts(value, STR("Bearer ")))
        return call->known;
    struct str token = str_skip(value, 7);
    return faults_accept_token(&c->faults, token) ||
           (!c->faults.token_expired && str_eq(token, str_of(c->token)));
}

/* `services "web"`, or `services`. */
static char *subject_text(const struct api_path *path)
{
    if (str_empty(path->name))
        return xasprintf("%.*s", STR_ARG(path->plural));
    return xasprintf("%.*s \"%.*s\"", STR_ARG(path->plural), STR_ARG(path->name));
}

static json_t *details_of(const struct api_path *path)
{
    json_t *details = json_object();
    if (!str_empty(path->name))
        json_object_set_new(details, "name", json_stringn(path->name.at, path->name.len));
    if (!str_empty(path->group))
        json_object_set_new(details, "group",
                            json_stringn(path->group.at, path->group.len));
    json_object_set_new(details, "kind", json_stringn(path->plural.at, path->plural.len));
    return details;
}

bool authorize(const struct cluster *c, const struct api_path *path, struct str verb,
               struct answer *a)
{
    return authorize_name(c, path, verb, path->name, a);
}

bool authorize_name(const struct cluster *c, const struct api_path *path, struct str verb,
                    struct str name, struct answer *a)
{
    const char *slash = str_empty(path->subresource) ? "" : "/";
    AUTO_FREE char *resource =
        xasprintf("%.*s%s%.*s", STR_ARG(path->plural), slash, STR_ARG(path->subresource));
    if (cluster_allows(c, verb, path->group, str_of(resource), path->ns, name))
        return true;

    AUTO_FREE char *subject = subject_text(path);
    AUTO_FREE char *where =
        str_empty(path->ns) ? xstrdup("at the cluster scope")
                            : xasprintf("in the namespace \"%.*s\"", STR_ARG(path->ns));
    answer_failure(
        a, 403, "Forbidden", details_of(path),
        "%s is forbidden: User \"%s\" cannot %.*s resource \"%s\" in API group "
        "\"%.*s\" %s",
        subject, c->user, STR_ARG(verb), resource, STR_ARG(path->group), where);
    return false;
}

static void respond_object(struct cluster *c, const struct api_path *path,
                           const struct kind *kind, struct answer *a)
{
    AUTO_FREE char *ns = str_dup(path->ns);
    AUTO_FREE char *name = str_dup(path->name);
    json_t *object = store_get(c->store, kind_number(kind), ns, name);

    if (!authorize(c, path, STR("get"), a))
        return;
    if (object)
        answer_json(a, 200, json_incref(object));
    else
        answer_failure(a, 404, "NotFound", details_of(path), "%s \"%s\" not found",
                       kind->plural, name);
}

static void throttle(struct answer *a)
{
    answer_failure(a, 429, "TooManyRequests", NULL,
                   "too many requests, please try again later");
    text_printf(&a->fields, "Retry-After: 1\r\n");
}

static bool is_missing(const struct cluster *c, const struct kind *kind)
{
    return !kind || (kind == &kinds[KIND_ENDPOINTSLICE] && c->faults.no_slices);
}

static bool is_throttled(struct cluster *c)
{
    if (!c->faults.calls_throttled)
        return false;
    c->faults.calls_throttled--;
    return true;
}

static void respond_resource(struct cluster *c, const struct call *call, struct answer *a)
{
    struct api_path path;
    if (api_path_parse(target_path(call->head->target), &path)) {
        unknown_path(a);
        return;
    }
    const struct kind *kind = kind_by_plural(path.group, path.version, path.plural);
    bool is_get = str_eq(call->head->method, STR("GET"));
    if (is_missing(c, kind))
        unknown_path(a);
    else if (kind == &kinds[KIND_POD] && str_eq(path.subresource, STR("portforward")))
        respond_forward(c, call, &path, a);
    else if (is_throttled(c))
        throttle(a);
    else if (!str_empty(path.subresource) || !is_get)
        answer_failure(a, 405, "MethodNotAllowed", NULL,
                       "the server does not allow this method on the requested resource");
    else if (str_empty(path.name))
        respond_collection(c, call, &path, kind, a);
    else
        respond_object(c, &path, kind, a);
}

static bool is_for_control(struct cluster *c, const struct call *call, struct answer *a)
{
    return c->respond_control && c->respond_control(c, call, a);
}

void respond(struct cluster *c, const struct call *call, struct answer *a)
{
    if (!authenticated(c, call)) {
        answer_failure(a, 401, "Unauthorized", NULL, "Unauthorized");
        return;
    }
    if (!is_for_control(c, call, a) && !respond_discovery(c, call, a) &&
        !respond_review(c, call, a))
        respond_resource(c, call, a);
}
