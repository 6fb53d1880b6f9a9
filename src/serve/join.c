/* serve/join.c - the request and the response of an exchange, joined on one lease */
#include "serve/join.h"

#include "http/message.h"

void join_init(struct join *j, struct chunk_pool *pool)
{
    request_init(&j->request, pool);
    j->response = (struct response_side){ 0 };
    j->relay = (struct relay){ 0 };
}

void join_finish(struct join *j)
{
    request_finish(&j->request);
    response_finish(&j->response);
}

void join_clear(struct join *j)
{
    request_clear(&j->request);
    response_begin(&j->response);
    j->relay = (struct relay){ 0 };
}

void join_shrink(struct join *j)
{
    request_shrink(&j->request);
    response_shrink(&j->response);
}

void join_restart(struct join *j)
{
    request_restart(&j->request);
    response_begin(&j->response);
}

/* The connection ended while it was idle, or bytes came then: they are no response to this
 * request. */
static bool is_stale(const struct join *j, const struct stream *pod)
{
    return j->request.state == REQUEST_UNSENT &&
           (pod->end.verdict != V_OPEN || !bufq_empty(&pod->in));
}

static enum err run_request(struct join *j, const struct join_context *c)
{
    const struct forwarding forwarding = {
        .address = c->config->forwarded ? c->address : NULL,
        .tls = c->tls,
        .trace = c->trace,
    };

    return request_send(&j->request, c->client, c->pod, c->target, &forwarding);
}

/* From the first byte of a response on the request cannot be sent again. */
static enum response_event run_response(struct join *j, const struct join_context *c)
{
    bool began = j->response.began;
    const struct response_context context = {
        .config = c->config,
        .pod = c->pod,
        .client = c->client,
        .request = &j->request.head,
        .request_sent = j->request.state == REQUEST_SENT,
        .draining = c->draining,
        .tls = c->tls,
        .head = c->scratch,
    };

    enum response_event event = response_run(&j->response, &context);
    if (j->response.began != began && event != RESPONSE_BAD)
        request_stop_keeping(&j->request);
    return event;
}

void join_switch(struct join *j, struct stream *client, struct stream *pod,
                 const struct config *config, struct task *wake)
{
    stream_set_patience(pod, config->ping_timeout_ms);
    relay_start(&j->relay, client, pod, config->half_close, wake);
}

enum join_event join_run(struct join *j, const struct join_context *c)
{
    static const enum join_event events[] = {
        [RESPONSE_COMPLETE] = JOIN_COMPLETE, [RESPONSE_NONE] = JOIN_NO_RESPONSE,
        [RESPONSE_BAD] = JOIN_BAD_RESPONSE,  [RESPONSE_TRUNCATED] = JOIN_TRUNCATED,
        [RESPONSE_SWITCH] = JOIN_SWITCHED,
    };

    if (is_stale(j, c->pod->bytes))
        return JOIN_NO_RESPONSE;
    enum err e = run_request(j, c);
    enum response_event event = run_response(j, c);
    if (event == RESPONSE_SWITCH)
        join_switch(j, c->client->bytes, c->pod->bytes, c->config, c->wake);
    if (event != RESPONSE_WAIT)
        return events[event];
    return e ? JOIN_BAD_REQUEST : JOIN_WAIT;
}

enum join_event join_relay(struct join *j)
{
    relay_run(&j->relay);
    if (!relay_done(&j->relay))
        return JOIN_WAIT;
    return relay_clean(&j->relay) ? JOIN_COMPLETE : JOIN_TRUNCATED;
}

void join_end(struct join *j)
{
    relay_finish(&j->relay);
}

bool join_keeps_pod(const struct join *j, const struct stream *pod)
{
    return j->response.pod_keeps && request_is_flushed(&j->request, pod) &&
           bufq_empty(&pod->in) && pod->end.verdict == V_OPEN;
}

bool join_keeps_client(const struct join *j)
{
    return j->response.keep && j->request.state == REQUEST_SENT;
}

bool join_was_sent(const struct join *j)
{
    return j->request.state != REQUEST_UNSENT;
}

/* A client that sent Expect: 100-continue may be waiting for the pod. */
bool join_needs_client(const struct join *j, const struct stream *client)
{
    bool is_permitted =
        j->request.received || j->response.began || !j->request.head.expect_continue;

    return j->request.state == REQUEST_BODY && is_permitted && !client->paused &&
           bufq_empty(&client->in);
}

bool join_awaits_response(const struct join *j)
{
    return j->response.state == RESPONSE_HEAD;
}

uint64_t join_received(const struct join *j)
{
    return j->request.received + j->relay.up;
}

uint64_t join_passed(const struct join *j)
{
    return j->response.passed + j->relay.down;
}

uint64_t join_moved(const struct join *j)
{
    return join_received(j) + join_passed(j);
}

const struct http1_head *join_request(const struct join *j)
{
    return j->request.known ? &j->request.head : NULL;
}
