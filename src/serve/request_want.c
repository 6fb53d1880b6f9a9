/* serve/request_want.c - what a request needs of a connection to a pod */
#include "serve/request_want.h"

#include "http/h2.h"
#include "serve/attempts.h"
#include "serve/grpc.h"
#include "serve/policy.h"

/* gRPC needs HTTP/2 all the way; a WebSocket begins in HTTP/1; and a client of HTTP/1 gets
 * what it would get without us. */
static enum app_proto proto_of(const struct client_side *client,
                               const struct http1_head *head)
{
    if (!h2_owns(client->message) || head->upgrade)
        return PROTO_HTTP1;
    return grpc_is_request(head) ? PROTO_HTTP2 : PROTO_HTTP;
}

struct want request_want(const struct serve *s, const struct client_side *client,
                         const struct request_side *request, const struct target *target,
                         unsigned attempts)
{
    const struct config *c = s->config;
    const struct rules rules = serve_rules(s);
    const struct http1_head *head = &request->head;
    bool will_fit = request_fits(request, client->stream, c->replay_buffer);

    return (struct want){
        .route = &target->route,
        .client = str_of(client->from->address),
        .proto = target->connect ? PROTO_RAW : proto_of(client, head),
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
