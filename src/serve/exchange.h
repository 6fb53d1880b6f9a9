/* serve/exchange.h - one request and its response
 *
 * Joins a request side and a response side, which run at the same time: the response may
 * come before the request has ended.  Owns routing, policy, retries, the lease and its
 * release mode, and our own pages; is free of framing.  Private to serve/.
 */
#pragma once

#include "base/log.h"
#include "serve/exchange_result.h"

struct attempts;
struct client_loan;
struct endpoint;
struct exchange;
struct exposed;
struct serve;

/* Begins with the first bytes of a request in the client's stream.  The stream is the
 * exchange's until it is over, when the client's owner wakes.  `first` has the lease that the
 * request uses first, which may still wait for its result; NULL: there is none. */
struct exchange *exchange_open(struct serve *serve, const struct client_loan *client,
                               struct log_id id, struct attempts *first);
/* While the head is read: refuse the request, so that the memory of its head is freed. */
void exchange_refuse_for_memory(struct exchange *x);
/* True: it is over, *ret is its result. */
bool exchange_is_over(const struct exchange *x, struct exchange_result *ret);
/* The lease of a CONNECT, to be adopted before the release, and where it leads; *ret is a
 * reference. */
struct attempts *exchange_take_connected(struct exchange *x, struct exposed **ret);
/* Of its lease, borrowed; NULL: none yet. */
const struct endpoint *exchange_endpoint(const struct exchange *x);
/* Is it under way to a namespace that is closed by now? */
bool exchange_reaches_closed(const struct exchange *x);
/* Ends it, if it is not over, without a response.  Its memory is kept for another one. */
void exchange_release(struct exchange *x);
/* Free what is kept for other exchanges. */
void exchange_trim(struct serve *serve);
