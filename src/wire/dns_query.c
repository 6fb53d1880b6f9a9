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

/* The fields of an OPT record.  `additional`: the number of records in the head; ldns takes the
 * OPT records out of the section. */
static void read_edns(const ldns_pkt *packet, uint16_t additional, struct dns_query *ret)
{
    size_t options = additional - (size_t)ldns_pkt_arcount(packet);

    if (options > 1)
        ret->rcode = DNS_FORMERR;
    if (options != 1)
        return;
    ret->edns = true;
    ret->dnssec_ok = ldns_pkt_edns_do(packet);
    if (ldns_pkt_edns_udp_size(packet) > DNS_UDP_MIN)
        ret->udp_size = ldns_pkt_edns_udp_size(packet);
    if (ldns_pkt_edns_version(packet) != 0)
        ret->rcode = DNS_BADVERS;
}

static void read_additional(const uint8_t *in, size_t len, struct dns_query *ret)
{
    ldns_pkt *packet = NULL;

    if (ldns_wire2pkt(&packet, in, len) != LDNS_STATUS_OK)
        ret->rcode = DNS_FORMERR;
    else
        read_edns(packet, number_at(in + 10), ret);
    if (packet)
        ldns_pkt_free(packet);
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
        read_additional(in, len, ret);
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
