/* serve/request_want.c - what a request needs of a connection to a pod */
#include "serve/request_want.h"

#include "serve/attempts.h"
#include "serve/policy.h"

struct want request_want(const struct serve *s, const struct visitor *from,
                         const struct request_side *request, const struct target *target,
                         unsigned attempts)
{
    const struct config *c = s->config;
    const struct rules rules = serve_rules(s);
    const struct http1_head *head = &request->head;
    bool will_fit = request_fits(request, c->replay_buffer);

    return (struct want){
        .route = &target->route,
        .client = str_of(from->address),
        .proto = target->connect ? PROTO_RAW : PROTO_HTTP1,
        /* The last attempt gets a fresh connection. */
        .repeatable = http1_idempotent(head->method) && request_is_kept(request) &&
                      will_fit && attempts + 1 < DELIVERIES_MAX,
        .alone = !will_fit || head->upgrade || target->connect,
        .small = c->small_request && request_fits(request, c->small_request) &&
                 !head->upgrade && !target->connect,
        .same_ns = policy_stays_in_namespace(&rules, head, target),
    };
}
