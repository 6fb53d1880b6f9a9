/* serve/join.h - the request and the response of an exchange, joined on one lease
 *
 * Runs the request side and the response side at each wake-up.  Neither waits for the other,
 * so a response that comes before the request has ended is no special case.  Reports what
 * has become of them; decides nothing about retries, pages or deadlines.  Private to serve/.
 */
#pragma once

#include "relay/relay.h"
#include "serve/request_side.h"
#include "serve/response_side.h"

enum join_event {
    JOIN_WAIT,
    JOIN_COMPLETE,    /* the response is; the request need not be */
    JOIN_NO_RESPONSE, /* the pod's stream ended before a byte of one */
    JOIN_BAD_RESPONSE, /* response.problem has the reason; nothing was sent to the client */
    JOIN_TRUNCATED,    /* the response ended in the middle */
    JOIN_SWITCHED,     /* 101 was passed on: other bytes follow both ways */
    JOIN_BAD_REQUEST, /* request.problem has the reason why its body cannot be sent */
};

struct join {
    struct request_side request;
    struct response_side response;
    struct relay relay; /* after JOIN_SWITCHED */
};

/* Borrowed for one call. */
struct join_context {
    const struct config *config;
    struct message_stream *client, *pod;
    const struct target *target;
    const char *address; /* the client's, for Forwarded */
    bool tls;            /* TLS of the client ends here */
    struct str trace;    /* traceparent for the pod; empty: the client's */
    bool draining;       /* the client's connection is not kept */
    struct http1_head *scratch;
    struct task *wake; /* for both streams, after JOIN_SWITCHED */
};

void join_init(struct join *j, struct chunk_pool *pool);
void join_finish(struct join *j);
void join_clear(struct join *j);  /* for the next request */
void join_shrink(struct join *j); /* free what is more than is worth keeping for it */

/* Send the request from its start, on another lease. */
void join_restart(struct join *j);
enum join_event join_run(struct join *j, const struct join_context *c);

/* As after a switch of protocols, where the client has asked for one in another way. */
void join_switch(struct join *j, struct stream *client, struct stream *pod,
                 const struct config *config, struct task *wake);
/* After JOIN_SWITCHED or join_switch, at each wake-up: bytes both ways.
 * JOIN_WAIT; JOIN_COMPLETE: both ended in order; JOIN_TRUNCATED: one did not. */
enum join_event join_relay(struct join *j);
/* The streams go back to their owners; what was counted stays until join_clear. */
void join_end(struct join *j);

/* After JOIN_COMPLETE of join_run: can the pod's connection be used again?  Only when both
 * messages are complete and nothing is left in either direction. */
bool join_keeps_pod(const struct join *j, const struct stream *pod);
/* ... and the client's? */
bool join_keeps_client(const struct join *j);
/* After JOIN_NO_RESPONSE: the pod may have the request, as far as is known here. */
bool join_was_sent(const struct join *j);
/* The client has to send more of the body, and there is room for it. */
bool join_needs_client(const struct join *j, const struct stream *client);
/* The head of a response is waited for. */
bool join_awaits_response(const struct join *j);
/* Bytes of bodies and of switched protocols so far. */
uint64_t join_received(const struct join *j); /* from the client */
uint64_t join_passed(const struct join *j);   /* to the client */
uint64_t join_moved(const struct join *j);    /* the sum */
/* The request's head; NULL: it is not parsed yet. */
const struct http1_head *join_request(const struct join *j);
