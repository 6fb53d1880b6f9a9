/* serve/serve_state.h - what all sessions share
 *
 * The body of struct serve, for the modules of serve/.  Private to serve/.
 */
#pragma once

#include "config/config.h"
#include "http/h1.h"
#include "http/h2.h"
#include "serve/pressure.h"
#include "serve/recent.h"
#include "serve/target.h"
#include "serve/visitor.h"
#include "wire/http1.h"

struct admin;
struct clusters;
struct handover;
struct leaves;
struct naming;
struct outside_dialer;
struct observer;
struct otlp;
struct service_metrics;
struct access_log;
struct proxy_users;

struct serve {
    struct sched *sched;
    struct chunk_pool *pool;
    struct clusters *clusters;
    const struct config *config; /* a reference */
    struct naming *naming;
    struct admin *admin;
    const struct handover *handover;
    struct leaves *leaves; /* NULL: no TLS of clients ends here */

    struct list_node sessions;
    struct list_node raws; /* connections through listeners of one service port */
    size_t count;          /* of both */
    size_t refused;        /* ... of those, whose user may not connect */
    size_t clients_max;    /* max-connections, or what descriptors allow */
    size_t surplus_max;    /* beyond them, to be refused with a page */
    struct pressure pressure;
    bool in_pod;                     /* time-outs of clients that stall are shorter */
    struct proxy_users *proxy_users; /* owned; NULL: proxy clients need none */
    struct outside_dialer *outside;  /* NULL: hosts outside are not connected to */
    size_t outside_holds;  /* commands for which they are, whatever the setting */
    uint64_t next_outside; /* the number of the last such connection */
    uint64_t next_number;
    struct list_node free_exchanges; /* for the next requests */
    size_t free_count;
    struct list_node free_running; /* of streams.c: likewise, of HTTP/2 clients */
    size_t free_running_count;

    struct h1_servers h1;  /* what clients of HTTP/1 need while a request runs */
    struct h2_settings h2; /* likewise of HTTP/2 */

    struct recent recent;
    struct access_log *access_log;           /* borrowed; NULL: there is none */
    struct service_metrics *service_metrics; /* NULL: they are off */
    const struct observer *observer;         /* borrowed; NULL: none */
    struct otlp *traces;                     /* likewise */

    bool draining;
    struct timer drain_deadline;
    struct task *drained;

    struct http1_head
        response_head; /* scratch: of the response that is read in this turn */
};

/* The settings, names and labels by which targets are read and requests are checked.  from:
 * NULL if it does not matter which client sent them. */
/* Do proxy requests of the same user lead to hosts outside? */
bool serve_leads_outside(const struct serve *s);
struct rules serve_rules(const struct serve *s, const struct visitor *from);
void serve_metrics_register(void);
/* Where does TLS of this name's clients end?  AUTO: here, if the service has no TLS port. */
enum service_tls_mode serve_tls_mode(const struct serve *s, const struct name *name);
/* A lease for a client's TLS, or for a proxy request for port 443, has failed with `result`:
 * may its TLS end here instead (serve/terminate.h)? */
bool serve_may_end_tls(const struct serve *s, const struct route *route, enum err result);
/* A session or a raw connection was made, or is about to free itself. */
void serve_client_came(struct serve *s);
void serve_client_left(struct serve *s, const struct visitor *from);
