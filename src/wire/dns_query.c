/* wire/dns_query.c - decode queries; see wire/dns.h */
#include "wire/dns.h"

#include <stdbool.h> /* before ldns, which defines a bool of its own without it */

#include <ldns/ldns.h>

#define FLAG_RESPONSE 0x80
#define FLAG_RECURSION_DESIRED 0x01
#define FLAG_CHECKING_DISABLED 0x10
#define QUESTION_TAIL 4 /* type and class */
#define OPT_SIZE 11
#define EDNS_DNSSEC_OK 0x80
#define OPT_DNSSEC_OK 0x8000u
#define OPT_VERSION(flags) ((flags) >> 16 & 0xffu)

static uint16_t number_at(const uint8_t *in)
{
    return (uint16_t)(in[0] << 8 | in[1]);
}

static char lower_of(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (char)(byte + 'a' - 'A') : (char)byte;
}

struct str dns_label(const struct dns_name *n, size_t i)
{
    size_t at = n->at[i];
    return (struct str){ n->lower + at + 1, n->wire[at] };
}

/* Reads the name at the beginning of `in`, which may not be compressed. */
static bool read_name(const uint8_t *in, size_t len, struct dns_name *ret)
{
    size_t at = 0;

    ret->labels = 0;
    while (at < len && in[at]) {
        if (in[at] > DNS_LABEL_MAX || at + 1 + in[at] + 1 > DNS_NAME_ROOM)
            return false;
        ret->at[ret->labels++] = (uint8_t)at;
        at += 1u + in[at];
    }
    if (at >= len)
        return false;
    ret->len = (uint8_t)(at + 1);
    for (size_t i = 0; i < ret->len; i++) {
        ret->wire[i] = in[i];
        ret->lower[i] = lower_of(in[i]);
    }
    return true;
}

bool dns_name_of(struct str text, struct dns_name *ret)
{
    uint8_t wire[DNS_NAME_ROOM];
    size_t len = 0;

    while (text.len) {
        struct str label;
        text = str_cut(text, '.', &label);
        if (!label.len || label.len > DNS_LABEL_MAX || len + label.len + 2 > sizeof(wire))
            return false;
        wire[len++] = (uint8_t)label.len;
        memcpy(wire + len, label.at, label.len);
        len += label.len;
    }
    wire[len++] = 0;
    return read_name(wire, len, ret);
}

static bool is_host_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool dns_name_text(const struct dns_name *n, char out[static DNS_NAME_ROOM])
{
    size_t len = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n->labels; i++) {
        struct str label = dns_label(n, i);
        for (size_t at = 0; at < label.len; at++)
            if (!is_host_byte(label.at[at]))
                return false;
    }
    for (size_t i = 0; i < n->labels; i++) {
        struct str label = dns_label(n, i);
        if (i)
            out[len++] = '.';
        memcpy(out + len, label.at, label.len);
        len += label.len;
    }
    out[len] = '\0';
    return true;
}

/* RFC 6891, section 6.1: the class is the size, the TTL is version and flags. */
static void read_edns(const ldns_rr *record, struct dns_query *ret)
{
    uint16_t size = (uint16_t)ldns_rr_get_class(record);
    uint32_t flags = ldns_rr_ttl(record);

    if (ret->edns)
        ret->rcode = DNS_FORMERR; /* there is more than one */
    ret->edns = true;
    ret->dnssec_ok = flags & OPT_DNSSEC_OK;
    if (size > DNS_UDP_MIN)
        ret->udp_size = size;
    if (OPT_VERSION(flags) != 0 && ret->rcode == DNS_NOERROR)
        ret->rcode = DNS_BADVERS;
}

/* Record by record: ldns_wire2pkt keeps one TSIG record, and does not free those before it. */
static void read_additional(const uint8_t *in, size_t len, size_t at,
                            struct dns_query *ret)
{
    for (uint16_t i = 0; i < number_at(in + 10); i++) {
        ldns_rr *record = NULL;
        if (ldns_wire2rr(&record, in, len, &at, LDNS_SECTION_ADDITIONAL) !=
            LDNS_STATUS_OK) {
            ret->rcode = DNS_FORMERR;
            return;
        }
        if (ldns_rr_get_type(record) == LDNS_RR_TYPE_OPT)
            read_edns(record, ret);
        ldns_rr_free(record);
    }
}

static bool has_legal_counts(const uint8_t *in)
{
    return number_at(in + 4) == 1 && !number_at(in + 6) && !number_at(in + 8) &&
           number_at(in + 10) <= DNS_ADDITIONAL_MAX;
}

static void read_question(const uint8_t *in, size_t len, struct dns_query *ret)
{
    if (len > DNS_QUERY_MAX || !has_legal_counts(in) ||
        !read_name(in + DNS_HEAD, len - DNS_HEAD, &ret->name) ||
        len - DNS_HEAD < ret->name.len + (size_t)QUESTION_TAIL) {
        ret->rcode = DNS_FORMERR;
        return;
    }
    const uint8_t *tail = in + DNS_HEAD + ret->name.len;
    ret->has_question = true;
    ret->type = number_at(tail);
    ret->class = number_at(tail + 2);
    if (number_at(in + 10))
        read_additional(in, len, DNS_HEAD + ret->name.len + (size_t)QUESTION_TAIL, ret);
}

enum err dns_query_decode(const uint8_t *in, size_t len, struct dns_query *ret)
{
    if (len < DNS_HEAD || (in[2] & FLAG_RESPONSE))
        return ERR_PROTO;
    ret->id = number_at(in);
    ret->opcode = in[2] >> 3 & 0xf;
    ret->recursion_desired = in[2] & FLAG_RECURSION_DESIRED;
    ret->checking_disabled = in[3] & FLAG_CHECKING_DISABLED;
    ret->has_question = ret->edns = ret->dnssec_ok = false;
    ret->type = ret->class = 0;
    ret->udp_size = DNS_UDP_MIN;
    ret->rcode = DNS_NOERROR;
    if (ret->opcode != 0)
        ret->rcode = DNS_NOTIMP;
    else
        read_question(in, len, ret);
    return OK;
}

static void store_number(uint8_t *at, uint16_t n)
{
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
}

void dns_set_id(uint8_t *message, uint16_t id)
{
    store_number(message, id);
}

size_t dns_query_encode(const struct dns_query *q, uint16_t id,
                        uint8_t out[static DNS_PASSED_ROOM])
{
    size_t len = DNS_HEAD;

    memset(out, 0, DNS_PASSED_ROOM);
    store_number(out, id);
    out[2] = q->recursion_desired ? FLAG_RECURSION_DESIRED : 0;
    out[3] = q->checking_disabled ? FLAG_CHECKING_DISABLED : 0;
    store_number(out + 4, 1);
    memcpy(out + len, q->name.wire, q->name.len);
    len += q->name.len;
    store_number(out + len, q->type);
    store_number(out + len + 2, q->class);
    len += QUESTION_TAIL;
    if (!q->edns)
        return len;
    store_number(out + 10, 1);
    store_number(out + len + 1, DNS_OPT);
    store_number(out + len + 3, DNS_UDP_MAX);
    out[len + 7] = q->dnssec_ok ? EDNS_DNSSEC_OK : 0;
    return len + OPT_SIZE;
}

bool dns_is_reply(const uint8_t *reply, size_t len, const uint8_t *query,
                  size_t query_len)
{
    struct dns_name name;

    if (len < DNS_HEAD || !(reply[2] & FLAG_RESPONSE) ||
        !read_name(query + DNS_HEAD, query_len - DNS_HEAD, &name))
        return false;
    size_t question = name.len + (size_t)QUESTION_TAIL;
    return number_at(reply) == number_at(query) && (reply[2] >> 3 & 0xf) == 0 &&
           number_at(reply + 4) == 1 && len >= DNS_HEAD + question &&
           memcmp(reply + DNS_HEAD, query + DNS_HEAD, question) == 0;
}
