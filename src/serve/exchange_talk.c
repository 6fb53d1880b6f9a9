/* serve/exchange_talk.c - the request and the response of an exchange, joined
 *
 * serve/join.c moves them.  This file decides what the results mean:
 *
 *   - the release mode of the lease: the pod's connection is kept only when both messages
 *     are complete and nothing is left in either direction;
 *   - whether the client's connection is kept (`keep`), closed after the response, or reset,
 *     because closing it would make a response look complete that is not;
 *   - another attempt: while no byte of a response has come and all that was read of the
 *     request is kept, a request that was never delivered, or that may be delivered twice,
 *     is sent again on another lease.
 */
#include "serve/exchange_private.h"

#include "detect/detect.h"
#include "http/h2.h"
#include "http/message.h"
#include "serve/accounting.h"
#include "serve/grpc.h"
#include "serve/request_want.h"
#include "serve/serve_state.h"

LOG_MODULE(serve);

/* An extended CONNECT has become a request that its client has not written. */
static bool keeps_pod(const struct exchange *x)
{
    if (x->join.request.head.upgrade && h2_owns(x->client.message))
        return false;
    return join_keeps_pod(&x->join, x->attempts.lease.stream);
}

static enum exchange_state complete(struct exchange *x)
{
    x->result.keep = join_keeps_client(&x->join);
    return exchange_finish(x, keeps_pod(x) ? RELEASE_KEEP : RELEASE_CLOSE);
}

/* To a client of HTTP/2: the code with which the pod has ended the stream.  A gRPC call on a
 * connection that was lost ends with UNAVAILABLE.  False: no reset is needed then. */
static bool pass_reset(struct exchange *x, const char *problem)
{
    const struct message_stream *pod = x->attempts.lease.message;
    struct message_stream *client = x->client.message;
    uint32_t code = pod->reset_code ? pod->reset_code : RESET_INTERNAL;
    char trailers[GRPC_TRAILERS_ROOM];

    if (!pod->reset_code && client->needs_reset &&
        grpc_is_request(&x->join.request.head)) {
        client->ops->end(client, grpc_unavailable(problem, trailers));
        return false;
    }
    client->ops->reset(client, code);
    return client->needs_reset;
}

/* Not by a reset, which a pod chooses: it has died, or its tunnel. */
static bool has_lost_pod(const struct exchange *x)
{
    return x->attempts.lease.stream->end.verdict != V_OPEN &&
           !x->attempts.lease.message->reset_code;
}

enum exchange_state exchange_truncate(struct exchange *x)
{
    const struct response_side *response = &x->join.response;
    const char *problem = response_body_problem(response);

    if (!problem)
        problem = diag_text(&x->attempts.lease.stream->end.why, ERR_RESET);
    log_warn(x->id, "the response was truncated", LOG_I("status", response->status),
             LOG_S("reason", problem));
    if (has_lost_pod(x))
        accounting_lost(x->id, true);
    x->result.keep = false;
    x->result.reset = pass_reset(x, problem);
    return exchange_finish(x, RELEASE_ABORT);
}

/* Of a URL for the same client: to a proxy it is the service's. */
static uint16_t url_port(const struct exchange *x)
{
    const struct target *t = &x->routing.target;
    bool proxied = t->exposed ? t->exposed->proxied != NULL
                              : target_is_proxied(&x->join.request.head);

    return proxied && t->route.port ? t->route.port : x->client.from->listener_port;
}

static enum exchange_state refuse_stream(struct exchange *x, enum cause cause,
                                         const char *problem)
{
    struct refusal why;

    refusal_of_stream(&x->attempts.lease, cause, problem, &why);
    why.subject = x->routing.target.host;
    why.port = url_port(x);
    return exchange_refuse(x, &why);
}

static enum exchange_state retry(struct exchange *x, const char *problem)
{
    accounting_retry(x->id, x->attempts.count + 1, x->attempts.lease.endpoint, problem);
    attempts_fail(&x->attempts);
    join_restart(&x->join);
    return exchange_lease(x);
}

/* A gRPC client makes a status of the code of a pod that resets its stream; CANCEL after its
 * deadline is DEADLINE_EXCEEDED to it. */
static bool wants_reset(const struct exchange *x)
{
    return x->attempts.lease.message->reset_code && h2_owns(x->client.message) &&
           grpc_is_request(&x->join.request.head);
}

static enum exchange_state pass_early_reset(struct exchange *x, const char *problem)
{
    log_warn(x->id, "the pod reset the stream", LOG_S("reason", problem));
    x->client.message->ops->reset(x->client.message,
                                  x->attempts.lease.message->reset_code);
    x->result.keep = false;
    x->result.reset = true;
    return exchange_finish(x, RELEASE_ABORT);
}

static enum exchange_state no_response(struct exchange *x)
{
    const struct stream *pod = x->attempts.lease.stream;
    const char *problem = refusal_stream_problem(pod);
    bool delivered =
        join_was_sent(&x->join) && attempts_may_have_delivered(pod->end.verdict);
    bool idempotent = http1_idempotent(x->join.request.head.method);

    x->attempts.lease.unanswered = true;
    x->attempts.deliveries += delivered;
    if (request_is_kept(&x->join.request) &&
        attempts_may_repeat(&x->attempts, delivered, idempotent, x->serve->sched->now))
        return retry(x, problem);
    if (wants_reset(x))
        return pass_early_reset(x, problem);
    if (delivered && has_lost_pod(x))
        accounting_lost(x->id, false);
    return refuse_stream(x, CAUSE_POD_NO_RESPONSE, problem);
}

/* A server of HTTP/2 alone has not looked at a request of HTTP/1.  The upstream keeps what it
 * speaks, so that this happens once for each port of a pod, unless ALPN then chooses HTTP/1
 * again.  HTTP/2 goes to no host outside the cluster. */
static bool may_speak_http2(struct exchange *x)
{
    x->attempts.lease.speaks_http2 = true;
    return !x->attempts.lease.outside && x->attempts.in_http2 < IN_HTTP2_MAX &&
           request_may_go_in_http2(&x->client, &x->join.request.head) &&
           request_is_kept(&x->join.request) && !x->attempts.lease.is_shared;
}

static enum exchange_state retry_in_http2(struct exchange *x)
{
    x->attempts.in_http2++;
    attempts_withdraw(&x->attempts);
    join_restart(&x->join);
    return exchange_lease(x);
}

static enum exchange_state refuse_response(struct exchange *x)
{
    uint8_t first[DETECT_SERVER_MAX];
    const struct stream *pod = x->attempts.lease.stream;
    enum detected spoken =
        detect_server(first, bufq_copy(&pod->in, 0, first, sizeof(first)));
    if (spoken == DETECT_HTTP2 && may_speak_http2(x))
        return retry_in_http2(x);
    enum cause cause = spoken == DETECT_TLS               ? CAUSE_POD_SPEAKS_TLS
                       : spoken == DETECT_HTTP2           ? CAUSE_POD_SPEAKS_HTTP2
                       : x->join.response.ignores_upgrade ? CAUSE_POD_NOT_SWITCHED
                                                          : CAUSE_POD_NOT_HTTP1;

    return refuse_stream(x, cause, x->join.response.problem);
}

/* Before the request was sent: an exposed port is dialled when its client comes. */
static bool pod_sent_http2(const struct exchange *x)
{
    const struct stream *pod = x->attempts.lease.stream;
    uint8_t first[DETECT_SERVER_MAX];

    return pod->end.verdict == V_OPEN &&
           detect_server(first, bufq_copy(&pod->in, 0, first, sizeof(first))) ==
               DETECT_HTTP2;
}

/* The body of the request is malformed.  Once a response has begun there is no page. */
static enum exchange_state bad_request(struct exchange *x)
{
    if (!join_awaits_response(&x->join))
        return exchange_truncate(x);
    return exchange_refuse_and_close(
        x, &(struct refusal){ .cause = CAUSE_BODY_MALFORMED,
                              .problem = x->join.request.problem });
}

/* The deadline of a pod begins with the last byte it was sent. */
static void keep_deadline(struct exchange *x, uint64_t received_before)
{
    if (!join_awaits_response(&x->join)) {
        timer_set(&x->deadline, 0);
        if (!x->answered_at)
            x->answered_at = x->serve->sched->now;
    } else if (x->join.request.received != received_before)
        timer_set(&x->deadline, x->serve->config->response_timeout_ms);
}

static enum join_event run_join(struct exchange *x)
{
    const struct join_context context = {
        .config = x->serve->config,
        .client = x->client.message,
        .pod = x->attempts.lease.message,
        .target = &x->routing.target,
        .address = x->attempts.lease.outside ? NULL : x->client.from->address,
        .tls = x->client.from->tls && !x->attempts.lease.outside,
        .trace = trace_field(&x->trace),
        .draining = x->serve->draining,
        .scratch = &x->serve->response_head,
        .wake = &x->task,
    };

    return join_run(&x->join, &context);
}

enum exchange_state exchange_in_talk(struct exchange *x)
{
    uint64_t received_before = x->join.request.received;

    switch (run_join(x)) {
    case JOIN_WAIT:
        break;
    case JOIN_COMPLETE:
        return complete(x);
    case JOIN_NO_RESPONSE:
        return pod_sent_http2(x) ? refuse_response(x) : no_response(x);
    case JOIN_BAD_RESPONSE:
        return refuse_response(x);
    case JOIN_TRUNCATED:
        return exchange_truncate(x);
    case JOIN_SWITCHED:
        x->result.keep = false;
        return EXCHANGE_RELAY;
    case JOIN_BAD_REQUEST:
        return bad_request(x);
    }
    keep_deadline(x, received_before);
    return EXCHANGE_TALK;
}

enum exchange_state exchange_late_talk(struct exchange *x)
{
    return refuse_stream(x, CAUSE_POD_TIMEOUT, "no response within --response-timeout");
}

enum exchange_state exchange_in_relay(struct exchange *x)
{
    enum join_event event = join_relay(&x->join);

    if (event == JOIN_WAIT)
        return EXCHANGE_RELAY;
    x->result.reset = event == JOIN_TRUNCATED;
    return exchange_finish(x, x->result.reset ? RELEASE_ABORT : RELEASE_CLOSE);
}
