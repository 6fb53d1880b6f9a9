/* wire/dns.h - DNS messages (RFC 1035): decode queries, encode responses
 *
 * Bytes to structs and back, on ldns where records have to be parsed.  No sockets and no state.
 *
 * A query is accepted only in the form that resolvers send: one question without a compressed
 * name, no answers, at most DNS_ADDITIONAL_MAX additional records and DNS_QUERY_MAX bytes.  All
 * of this is checked before ldns parses a byte.
 *
 * A response is written into memory of the caller and never exceeds its limit: a record that
 * does not fit is left out as a whole, and the response is marked as truncated.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define DNS_HEAD 12
#define DNS_NAME_ROOM 255 /* of a name on the wire, with the empty label at its end */
#define DNS_LABELS_MAX 127
#define DNS_LABEL_MAX 63
#define DNS_QUERY_MAX 1232
#define DNS_ADDITIONAL_MAX 4
#define DNS_UDP_MIN 512  /* what a client without EDNS accepts */
#define DNS_UDP_MAX 1232 /* no datagram of ours is larger, so that none is fragmented */

enum dns_type {
    DNS_A = 1,
    DNS_NS = 2,
    DNS_CNAME = 5,
    DNS_SOA = 6,
    DNS_PTR = 12,
    DNS_HINFO = 13,
    DNS_MX = 15,
    DNS_TXT = 16,
    DNS_AAAA = 28,
    DNS_SRV = 33,
    DNS_OPT = 41,
    DNS_IXFR = 251,
    DNS_AXFR = 252,
    DNS_ANY = 255,
};

#define DNS_CLASS_IN 1

enum dns_rcode {
    DNS_NOERROR = 0,
    DNS_FORMERR = 1,
    DNS_SERVFAIL = 2,
    DNS_NXDOMAIN = 3,
    DNS_NOTIMP = 4,
    DNS_REFUSED = 5,
    DNS_BADVERS = 16,
};

/* A name without compression. */
struct dns_name {
    uint8_t len;                 /* bytes of `wire`, with the final empty label */
    uint8_t labels;              /* without the empty one */
    uint8_t at[DNS_LABELS_MAX];  /* where each label begins: its length */
    uint8_t wire[DNS_NAME_ROOM]; /* as it was sent */
    char lower[DNS_NAME_ROOM];   /* the same with a-z for A-Z */
};

/* Label i in lower case, 0 is the leftmost; borrowed.  It may have any bytes. */
struct str dns_label(const struct dns_name *n, size_t i);
/* Makes a name of text such as "web.shop.svc"; false: it is none. */
bool dns_name_of(struct str text, struct dns_name *ret);
/* Is it the name of a host: labels of letters, digits, "-" and "_"?  Then it is written to `out`
 * in lower case without a final dot; else "".  room: at least DNS_NAME_ROOM. */
bool dns_name_text(const struct dns_name *n, char out[static DNS_NAME_ROOM]);

struct dns_query {
    uint16_t id;
    uint8_t opcode;
    bool recursion_desired, checking_disabled;
    bool
        has_question; /* the fields of the question are valid, and the response repeats it */
    struct dns_name name;
    uint16_t type, class;
    bool edns;
    bool dnssec_ok;
    uint16_t udp_size;    /* what the client accepts; at least DNS_UDP_MIN */
    enum dns_rcode rcode; /* not DNS_NOERROR: refuse it with this */
};

/* OK: *ret is filled in, and is answered or refused with its rcode.
 * ERR_PROTO: no response may be sent: it is shorter than a head, or a response. */
MUST_CHECK enum err dns_query_decode(const uint8_t *in, size_t len,
                                     struct dns_query *ret);

/* --- questions passed on to another server --- */

#define DNS_PASSED_ROOM (DNS_HEAD + DNS_NAME_ROOM + 4 + 11)

/* The same question with another id, for another server; EDNS options are not passed on.
 * Returns its size. */
size_t dns_query_encode(const struct dns_query *q, uint16_t id,
                        uint8_t out[static DNS_PASSED_ROOM]);
/* Is it the reply to this query: a response with its id and its question, to the byte? */
bool dns_is_reply(const uint8_t *reply, size_t len, const uint8_t *query,
                  size_t query_len);
/* Makes it the reply to a query with this id. */
void dns_set_id(uint8_t *message, uint16_t id);

/* --- responses --- */

enum dns_section { DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };
#define DNS_SECTIONS 3

/* A name in a response: `labels` ("ns.dns", without a final dot), and then the name that begins
 * at `tail` of the message; tail 0: the root. */
struct dns_spelled {
    struct str labels;
    uint16_t tail;
};

struct dns_response {
    uint8_t *room; /* the caller's */
    size_t limit, len;
    bool truncated, authoritative, recursion_available;
    enum dns_rcode rcode;
    uint16_t counts[DNS_SECTIONS];
    uint16_t id; /* the rest is private: copied from the query */
    uint8_t opcode;
    bool recursion_desired, checking_disabled, edns, dnssec_ok, has_question;
};

/* Sections are written in their order.  limit: at least DNS_UDP_MIN, at most 65535. */
void dns_response_begin(struct dns_response *r, const struct dns_query *q, uint8_t *room,
                        size_t limit);
/* The question's name from label i on; i 0: the whole name. */
struct dns_spelled dns_question_from(const struct dns_query *q, size_t i);

/* Each adds a record, or returns false: it did not fit.  If it belongs to the answer the
 * response is truncated, and takes no more records. */
bool dns_add_a(struct dns_response *r, enum dns_section section, struct dns_spelled owner,
               uint32_t ttl, struct in_addr address);
/* A CNAME, NS or PTR. */
bool dns_add_name(struct dns_response *r, enum dns_section section,
                  struct dns_spelled owner, enum dns_type type, uint32_t ttl,
                  struct dns_spelled target);
struct dns_srv {
    uint16_t priority, weight, port;
    struct dns_spelled target; /* written without compression, as RFC 2782 has it */
};
/* *ret_target is the target's place in the message. */
bool dns_add_srv(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                 const struct dns_srv *srv, uint16_t *ret_target);
bool dns_add_txt(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                 struct str text);
bool dns_add_hinfo(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                   struct str cpu, struct str os);
struct dns_soa {
    struct dns_spelled server, mailbox;
    uint32_t serial, refresh, retry, expire, minimum;
};
bool dns_add_soa(struct dns_response *r, enum dns_section section,
                 struct dns_spelled owner, uint32_t ttl, const struct dns_soa *soa);

/* Writes the head and the OPT record; returns the size of the message. */
size_t dns_response_end(struct dns_response *r);
