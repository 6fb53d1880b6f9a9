/* playground/forward/upgrade.c - responds to a request for port-forward, up to the 101
 *
 * Checks in the order of the real components: rights of the user, existence of the pod,
 * Upgrade field, node, protocol.
 */
#include "base/own.h"
#include "playground/api/answer.h"
#include "playground/api/object.h"
#include "playground/ws_accept.h"

#define STREAM_PROTOCOL "portforward.k8s.io"
#define TUNNEL_PROTOCOL "SPDY/3.1+portforward.k8s.io"

static struct str field(const struct call *call, struct str name)
{
    for (size_t i = 0; i < call->head->count; i++)
        if (str_ieq(call->head->fields[i].name, name))
            return call->head->fields[i].value;
    return STR("");
}

static bool lists(struct str list, struct str wanted)
{
    struct str item;
    while (!str_empty(list)) {
        list = str_cut(list, ',', &item);
        if (str_ieq(str_trim(item), wanted))
            return true;
    }
    return false;
}

static bool is_upgrade_to(const struct call *call, struct str protocol)
{
    return lists(field(call, STR("Connection")), STR("upgrade")) &&
           lists(field(call, STR("Upgrade")), protocol);
}

/* GET needs `get`; from 1.35 on, that is not enough to forward. */
static bool allowed(const struct cluster *c, const struct call *call,
                    const struct api_path *path, struct answer *a)
{
    bool is_get = str_eq(call->head->method, STR("GET"));
    if (is_get && !authorize(c, path, STR("get"), a))
        return false;
    return (is_get && c->minor < 35) || authorize(c, path, STR("create"), a);
}

static void bare(struct answer *a, int status, struct str text)
{
    a->status = status;
    a->content_type = "text/plain; charset=utf-8";
    text_add(&a->body, text);
}

/* Failures of the node that a command has switched on. */
static bool node_fails(struct cluster *c, struct answer *a)
{
    struct faults *f = &c->faults;
    if (f->throttled) {
        f->throttled--;
        text_add(&a->fields, STR("Retry-After: 1\r\n"));
        answer_failure(a, 429, "TooManyRequests", NULL,
                       "Too many requests, please try again later.");
    } else if (f->node_down) {
        answer_failure(a, 500, "InternalError", NULL,
                       "error dialing backend: dial tcp 192.0.2.1:10250: connect: "
                       "connection refused");
    } else if (f->empty_500) {
        f->empty_500--;
        bare(a, 500, STR(""));
    } else if (f->bare_404) {
        f->bare_404--;
        bare(a, 404, STR(""));
    } else {
        return false;
    }
    return true;
}

static bool pod_is_there(struct cluster *c, const struct api_path *path, struct answer *a)
{
    AUTO_FREE char *ns = str_dup(path->ns);
    AUTO_FREE char *name = str_dup(path->name);
    const json_t *pod = store_get(c->store, KIND_POD, ns, name);

    if (!pod)
        answer_failure(a, 404, "NotFound",
                       json_pack("{s:s, s:s}", "name", name, "kind", "pods"),
                       "pods \"%s\" not found", name);
    else if (!object_at(pod, "spec", "nodeName", NULL))
        answer_failure(a, 400, "BadRequest", NULL, "pod %s does not have a host assigned",
                       name);
    else if (!pods_find(c->pods, str_of(object_uid(pod))))
        bare(a, 500, STR("sandbox container is not running\n"));
    else
        a->pod_uid = xstrdup(object_uid(pod));
    return a->pod_uid != NULL;
}

static void switch_to_spdy(const struct call *call, struct answer *a)
{
    struct str version = field(call, STR("X-Stream-Protocol-Version"));
    if (str_empty(version)) {
        bare(a, 400, STR("unable to upgrade: X-Stream-Protocol-Version is required\n"));
    } else if (!lists(version, STR(STREAM_PROTOCOL))) {
        text_add(&a->fields,
                 STR("X-Accepted-Stream-Protocol-Versions: " STREAM_PROTOCOL "\r\n"));
        bare(a, 403, STR("unable to upgrade: unable to negotiate protocol\n"));
    } else {
        a->status = 101;
        a->next = NEXT_FORWARD;
        text_add(&a->fields, STR("Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
                                 "X-Stream-Protocol-Version: " STREAM_PROTOCOL "\r\n"));
    }
}

static void switch_to_websocket(const struct call *call, struct answer *a)
{
    struct str key = field(call, STR("Sec-WebSocket-Key"));
    if (!lists(field(call, STR("Sec-WebSocket-Protocol")), STR(TUNNEL_PROTOCOL)) ||
        str_empty(key) || !str_eq(field(call, STR("Sec-WebSocket-Version")), STR("13"))) {
        bare(a, 400, STR("query parameter \"port\" is required\n"));
        return;
    }
    AUTO_FREE char *accept = ws_accept(key);
    a->status = 101;
    a->next = NEXT_TUNNEL;
    text_printf(
        &a->fields,
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
        "Sec-WebSocket-Protocol: " TUNNEL_PROTOCOL "\r\n",
        accept);
}

void respond_forward(struct cluster *c, const struct call *call,
                     const struct api_path *path, struct answer *a)
{
    bool spdy = is_upgrade_to(call, STR("SPDY/3.1")) && !c->faults.no_spdy;
    bool websocket =
        is_upgrade_to(call, STR("websocket")) && str_eq(call->head->method, STR("GET"));

    if (!allowed(c, call, path, a) || !pod_is_there(c, path, a))
        return;
    if (!spdy && !websocket)
        answer_failure(a, 400, "BadRequest", NULL, "Upgrade request required");
    else if (node_fails(c, a))
        return;
    else if (websocket)
        switch_to_websocket(call, a);
    else
        switch_to_spdy(call, a);
}
