/* serve/request_want.c - what a request needs of a connection to a pod */
#include "serve/request_want.h"

#include "http/h2.h"
#include "serve/attempts.h"
#include "serve/grpc.h"
#include "serve/policy.h"

static bool is_websocket(const struct http1_head *head)
{
    const struct http1_field *upgrade = http1_find(head, FIELD_UPGRADE);
    bool is_empty =
        head->framing == BODY_NONE || (head->framing == BODY_LENGTH && head->length == 0);

    return str_ieq(upgrade->value, STR("websocket")) && is_empty &&
           str_eq(head->method, STR("GET"));
}

/* gRPC needs HTTP/2 all the way, or trailers in HTTP/1. */
static enum app_proto proto_of(const struct client_side *client,
                               const struct http1_head *head)
{
    bool is_http2 = h2_owns(client->message);

    if (h2_is_upgrade(head) && !is_http2)
        return is_websocket(head) ? PROTO_HTTP1_OR_2 : PROTO_HTTP1;
    bool is_grpc = grpc_is_request(head);
    if (is_http2)
        return is_grpc && !head->upgrade ? PROTO_HTTP2 : PROTO_HTTP;
    return !is_grpc || http1_has_token(head, FIELD_TE, STR("trailers")) ? PROTO_HTTP1_OR_2
                                                                        : PROTO_HTTP1;
}

bool request_may_go_in_http2(const struct client_side *client,
                             const struct http1_head *head)
{
    return proto_of(client, head) != PROTO_HTTP1;
}

struct want request_want(const struct serve *s, const struct client_side *client,
                         const struct request_side *request, const struct target *target,
                         unsigned attempts)
{
    const struct config *c = s->config;
    const struct rules rules = serve_rules(s, NULL);
    const struct http1_head *head = &request->head;
    bool will_fit = request_fits(request, client->stream, c->replay_buffer);
    enum app_proto proto = target->connect ? PROTO_RAW : proto_of(client, head);

    return (struct want){
        .route = &target->route,
        .client = str_of(client->from->address),
        .proto = proto,
        .certain = (!will_fit || h2_is_upgrade(head)) && proto != PROTO_HTTP2,
        .cautious = !http1_idempotent(head->method) && proto != PROTO_HTTP2,
        .upgrade = h2_is_upgrade(head),
        /* The last attempt gets a fresh connection. */
        .repeatable = http1_idempotent(head->method) && request_is_kept(request) &&
                      will_fit && attempts + 1 < DELIVERIES_MAX,
        .alone = !will_fit || head->upgrade || target->connect,
        .small = c->small_request &&
                 request_fits(request, client->stream, c->small_request) &&
                 !head->upgrade && !target->connect,
        .wait_max_ms = grpc_is_request(head) ? grpc_timeout_ms(head) : 0,
        .same_ns = policy_stays_in_namespace(&rules, head, target),
    };
}
