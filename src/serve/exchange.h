/* serve/exchange.h - one request and its answer
 *
 * Two small machines that run at the same time: sending carries the request to the pod, answering
 * carries the answer back, and the answer may come before the request has ended.  Private
 * to serve/.
 */
#pragma once

#include "base/log.h"
#include "net/peer.h"
#include "relay/relay.h"
#include "http/body.h"
#include "serve/exposed.h"
#include "http/head_text.h"
#include "serve/stall.h"
#include "serve/target.h"
#include "upstream/lease.h"

struct holder;
struct serve;

#define SURPLUS_MS 1000 /* a client that is one too many sends its request in this time */

/* The client, and the listener that accepted it. */
struct visitor {
    char address[46]; /* without a port */
    char account[46]; /* who shares one: the user of a local client, else the address */
    bool loopback;
    uint16_t listener_port;
    struct peer peer;
    bool refused;            /* its user may not connect: only a 403 is sent */
    struct exposed *exposed; /* NULL: an HTTP listener; else a reference, held here */
    bool paired;             /* a connection to a pod is for its own use (lease.pair) */
    bool surplus; /* one too many: only own pages are answered, the rest is a 503 */
};

enum sending_state {
    SENDING_HEAD,   /* nothing is sent on this lease */
    SENDING_REPLAY, /* sending again what an earlier lease took with it */
    SENDING_BODY,
    SENDING_DONE,
};

enum answering_state {
    ANSWERING_HEAD,
    ANSWERING_BODY,
    ANSWERING_DONE,
};

enum exchange_state {
    EXCHANGE_HEAD,  /* reading the request's head */
    EXCHANGE_ZONE,  /* waiting for the cluster's domain */
    EXCHANGE_LEASE, /* waiting for a stream to a pod */
    EXCHANGE_TALK,  /* sending and answering */
    EXCHANGE_RELAY, /* switched protocols: bytes both ways */
    EXCHANGE_DONE,  /* over: the session takes it from here */
};

struct exchange {
    struct serve *serve;
    struct task task;
    struct timer deadline;
    enum exchange_state state;
    struct list_node spare; /* of the serve, while nobody uses it */

    struct log_id id;
    uint64_t began;
    uint64_t leased_at,
        waited_ms;         /* for leases, earlier ones only: --wait is for all of them */
    struct stream *client; /* borrowed from the session until DONE */
    const struct visitor *from; /* likewise */
    struct task *owner;         /* wakes at DONE */
    struct holder *holder;      /* the session's; set after exchange_start */

    /* The request's head. */
    struct head_text text;
    bool known; /* `request` has been parsed */
    struct http1_head request;
    struct target target;
    struct naming_want zone; /* in ZONE */

    struct lease lease;
    bool adopted;              /* it was made before there was a request */
    unsigned attempts;         /* leases so far */
    unsigned deliveries;       /* ... that may have delivered it, and have failed */
    struct endpoint *avoid;    /* a reference: it failed this request */
    enum release_mode release; /* of the lease, at DONE */

    struct sending {
        enum sending_state state;
        struct body body;
        bool holding;     /* `held` is all of the body that was read */
        struct bufq held; /* for a repetition */
        size_t replayed;  /* bytes of `held` sent on this lease */
    } sending;

    struct answering {
        enum answering_state state;
        struct body body;
        bool began;            /* a byte of an answer has come */
        bool decode;           /* the client knows no chunks */
        bool pod_keeps;        /* the pod's connection serves on after it */
        uint32_t keep_ms;      /* and this long, it says */
        struct head_text text; /* a head that came in more than one chunk */
        size_t scanned;        /* of one that lies in the queue */
        const char *problem;
    } answering;

    struct stall stall; /* in TALK: of the client */
    struct relay relay;
    struct peer_watch peer; /* from the end of the client's input on */

    /* What became of it, for the session and the log. */
    int status; /* that the client was told; 0: nothing */
    bool
        paired; /* the pod may have authenticated the client's connection, not the request */
    bool keep; /* the connection may be used for another request */
    bool cut;  /* the answer's end would look like a proper one: reset */
    uint64_t bytes_in, bytes_out; /* of bodies */
};

/* One from the serve's spare list, or a new one. */
struct exchange *exchange_take(struct serve *serve);
/* Begin with the first bytes of a request in client->in; the client's wake is the
 * exchange's until DONE, when *owner wakes. */
void exchange_start(struct exchange *x, struct stream *client, const struct visitor *from,
                    struct log_id id, struct task *owner);
/* In HEAD: refuse the request, so that the memory of its head is freed. */
void exchange_refuse_for_memory(struct exchange *x);
/* Use this lease, which may not be answered yet, instead of a first one.  Just after
 * exchange_start; *lease is zeroed.  One that was never made is accepted, as none. */
void exchange_adopt(struct exchange *x, struct lease *lease, unsigned attempts);
/* Give up whatever runs: DONE, and nobody is told anything more. */
void exchange_abort(struct exchange *x);
/* Back to the spare list, aborted if it was not DONE. */
void exchange_release(struct exchange *x);
void exchange_destroy(struct exchange *x); /* of the spare list, at the end */

/* Bytes that a raw connection carried, at its end (serve/account.c). */
void account_raw(uint16_t cluster, uint64_t up, uint64_t down);

/* In the log and in numbers (serve/account.c). */
void exchange_metrics_register(void);
void exchange_log_incoming(const struct exchange *x);
void exchange_count_retry(const struct exchange *x);
void exchange_account(const struct exchange *x); /* at DONE */
struct str without_query(struct str path);

/* The two halves.  Both do what they can with what is there and never wait.
 *
 * sending_run: ERR_PROTO, ERR_LIMIT  the body is not what it should be
 *              ERR_EOF               the client ended in the middle of it */
void sending_begin(struct exchange *x); /* of a request that was just read */
void sending_again(struct exchange *x); /* from its start, on another lease */
MUST_CHECK enum err sending_run(struct exchange *x);
bool sending_flushed(const struct exchange *x); /* all of it has left us */
void sending_stop_holding(struct exchange *x); /* nothing will be repeated from here on */

#define DELIVERIES_MAX 3 /* of one request */

/* The pod's stream has failed before a byte of an answer: has it perhaps seen the request, and
 * may that be sent again?  Which it may when it was never delivered, or when that does no harm,
 * and all of it is at hand; so many times. */
bool repeat_after_delivery(const struct exchange *x);
bool repeat_is_allowed(const struct exchange *x);
const char *failure_reason(const struct stream *pod); /* for a person */

enum answer {
    ANSWER_WAIT,
    ANSWER_COMPLETE,
    ANSWER_NONE,   /* the stream ended before a byte of one */
    ANSWER_BAD,    /* answering.problem; the client has been told nothing */
    ANSWER_CUT,    /* it ended in the middle */
    ANSWER_SWITCH, /* 101, passed on */
};
void answering_begin(struct exchange *x);
enum answer answering_run(struct exchange *x);
