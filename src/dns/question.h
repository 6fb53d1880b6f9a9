/* dns/question.h - one question from its bytes to its response
 *
 * A question about a zone of ours is answered at once where the catalog knows the service;
 * otherwise it waits for the look-up, QUESTION_MS at most, and then fails (SERVFAIL).  Questions
 * about other zones are refused, or passed to dns/forward.h.
 *
 * At most QUESTIONS_MAX wait, and SOURCE_QUESTIONS_MAX of them for one address outside this
 * machine; more fail at once.  Their structs are kept for reuse: an answer that needs no
 * look-up allocates nothing.
 */
#pragma once

#include "dns/answer.h"
#include "dns/client.h"

struct clusters;
struct dns_forward;
struct loop;
struct naming;
struct questions;

#define QUESTION_MS 2000
#define QUESTIONS_MAX 256
#define SOURCE_QUESTIONS_MAX 16

/* What questions are answered with; borrowed until questions_destroy. */
struct questions_parts {
    struct loop *loop;
    struct clusters *clusters;
    const struct naming *naming;
    bool (*is_open)(void *owner, struct str ns); /* may this namespace be reached? */
    void *owner;
    const struct address_source *addresses;
    struct dns_forward *forward; /* or NULL */
};

struct questions *questions_create(const struct questions_parts *parts);
void questions_destroy(struct questions *all); /* NULL accepted; without a response */
void questions_set_forward(struct questions *all, struct dns_forward *forward);

/* bytes: one message.  The response may be sent before this returns.
 * ERR_PROTO: it is no question, and no response will be sent. */
enum err questions_ask(struct questions *all, const struct dns_client *client,
                       const uint8_t *bytes, size_t len);
/* Its client is gone: no response is sent. */
void questions_forget(struct questions *all, const void *transport);
size_t questions_waiting(const struct questions *all);
