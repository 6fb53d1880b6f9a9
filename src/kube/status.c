/* kube/status.c - the API server's reason for a refusal
 *
 * The message of a metav1.Status is authoritative and shown unchanged.  Any other body comes
 * from something on the path (a proxy, a login page, a kubelet that is starting): only its first
 * line is shown, after the HTTP status.
 */
#include "kube/status.h"

#include <jansson.h>

#include "base/own.h"
#include "net/url.h"
#include "base/utf8.h"

static enum err code_of(int status)
{
    switch (status) {
    case 401:
        return ERR_UNAUTHORIZED;
    case 403:
        return ERR_FORBIDDEN;
    case 404:
        return ERR_NOT_FOUND;
    case 410:
        return ERR_GONE;
    case 429:
        return ERR_THROTTLED;
    default:
        return status >= 500 ? ERR_SERVER : ERR_PROTO;
    }
}

static const char *status_text_at(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is_status(json_t *body)
{
    return str_eq(str_of(status_text_at(body, "kind")), STR("Status")) &&
           str_eq(str_of(status_text_at(body, "apiVersion")), STR("v1"));
}

/* In the Status' own words; without any, its reason; without that, ours. */
static void quote(struct api_error *e, json_t *body)
{
    const char *message = status_text_at(body, "message");
    const char *reason = status_text_at(body, "reason");

    if (!*message)
        message = *reason ? reason : err_text(e->code);
    diag_set(&e->why, e->code, "%s", message);
}

void status_read(struct api_error *e, json_t *body)
{
    json_int_t status = json_integer_value(json_object_get(body, "code"));
    json_t *details = json_object_get(body, "details");
    json_int_t wait = json_integer_value(json_object_get(details, "retryAfterSeconds"));

    if (status >= 100 && status < 1000)
        e->status = (int)status;
    e->code = code_of(e->status);
    e->is_status = true;
    if (!e->retry_after && wait > 0)
        e->retry_after = wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX;
    quote(e, body);
}

/* What stands between us and the API server has answered. */
static void quote_other(struct api_error *e, const struct api_response *a,
                        struct str line)
{
    struct str place;

    str_cut(a->location, '?', &place); /* what follows may be a secret */
    AUTO_FREE char *location = url_redacted(place);
    text_make_printable(location, false);
    if (a->status / 100 == 3 && !str_empty(a->location))
        diag_set(
            &e->why, e->code,
            "it answered %d and refers to %.200s, which is not followed: is this the "
            "address of the API server?",
            a->status, location);
    else if (str_starts(line, STR("<")))
        diag_set(
            &e->why, e->code,
            "it answered %d with an HTML page, as no API server does: a gateway or a "
            "login page stands in between",
            a->status);
    else if (str_empty(line))
        diag_set(&e->why, e->code, "the API server answered %d without a reason",
                 a->status);
    else
        diag_set(&e->why, e->code, "the API server answered %d: %.*s", a->status,
                 STR_ARG(str_trim_space(str_first(line, 160))));
}

void api_error_from_response(struct api_error *e, const struct api_response *a)
{
    struct str line;
    json_t *json = json_loadb(a->body.at ? a->body.at : "", a->body.len, 0, NULL);

    *e = (struct api_error){ .code = code_of(a->status),
                             .status = a->status,
                             .retry_after = a->retry_after };
    str_cut(str_trim_space(a->body), '\n', &line);
    if (is_status(json))
        status_read(e, json);
    else
        quote_other(e, a, line);
    e->status = a->status;
    json_decref(json);
}
