/* dns/forward.h - passes questions about other zones on to one server (--dns-forward)
 *
 * Each question has a socket of its own, which receives from that server only, and an id from
 * the kernel's random numbers; the kernel chooses its port at random.  A reply must have the id
 * and the question; another datagram is counted and ignored.  Nothing of a reply is remembered.
 *
 * A question over UDP is sent twice at most, and one over TCP is passed on over TCP.  Without a
 * reply within FORWARD_MS the response is SERVFAIL.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct dns_client;
struct dns_forward;
struct dns_query;
struct loop;

#define FORWARD_MAX 128 /* questions without a reply */
#define FORWARD_AGAIN_MS 1500
#define FORWARD_MS 4000

struct dns_forward *dns_forward_create(struct loop *loop,
                                       const struct sockaddr_storage *server);
void dns_forward_destroy(struct dns_forward *f); /* NULL accepted */

/* Its response is sent later, but not from within this call.  False: too many have no reply, or
 * there is no descriptor. */
bool dns_forward_ask(struct dns_forward *f, const struct dns_client *client,
                     const struct dns_query *query);
/* As questions_forget. */
void dns_forward_forget(struct dns_forward *f, const void *transport);
