/* tests/fuzz/dns_fuzz.c - DNS queries: what is decoded holds its bounds, and each response to it
 * stays within its limit and is one that ldns can parse */
#include <assert.h>
#include <stdbool.h> /* before ldns */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "wire/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_name(const struct dns_name *n)
{
    size_t at = 0;

    assert(n->len >= 1 && n->wire[n->len - 1] == 0);
    for (size_t i = 0; i < n->labels; i++) {
        struct str label = dns_label(n, i);
        assert(n->at[i] == at && label.len >= 1 && label.len <= DNS_LABEL_MAX);
        at += 1 + label.len;
        assert(at < n->len);
    }
    assert(at + 1 == n->len);
}

static void parse_again(const uint8_t *message, size_t len, bool has_question)
{
    ldns_pkt *packet = NULL;
    ldns_status s = ldns_wire2pkt(&packet, message, len);

    assert(s == LDNS_STATUS_OK);
    assert(ldns_pkt_qr(packet));
    assert(ldns_pkt_qdcount(packet) == has_question);
    ldns_pkt_free(packet);
}

static void respond(const struct dns_query *q, size_t limit, size_t records)
{
    uint8_t *room = xmalloc(limit);
    struct dns_response r;
    uint16_t target = 0;

    dns_response_begin(&r, q, room, limit);
    for (size_t i = 0; q->has_question && i < records; i++) {
        struct dns_spelled whole = dns_question_from(q, 0);
        struct dns_spelled zone = dns_question_from(q, i);
        struct dns_srv srv = { 0, 1, 80, { STR("ns.dns"), zone.tail } };
        struct dns_soa soa = { .server = { STR("ns.dns"), zone.tail }, .mailbox = whole };
        dns_add_a(&r, DNS_ANSWER, whole, 5, (struct in_addr){ 0 });
        dns_add_srv(&r, whole, 5, &srv, &target);
        dns_add_name(&r, DNS_ANSWER, zone, DNS_CNAME, 5, whole);
        dns_add_txt(&r, zone, 5, STR("1.1.0"));
        dns_add_soa(&r, DNS_AUTHORITY, zone, 5, &soa);
        assert(r.len <= limit);
    }
    size_t size = dns_response_end(&r);
    assert(size <= limit);
    parse_again(room, size, q->has_question);
    free(room);
}

/* The input as the reply to a question that was passed on; and that question is one. */
static void pass_on(const struct dns_query *q, const uint8_t *bytes, size_t len)
{
    uint8_t sent[DNS_PASSED_ROOM];
    struct dns_query again;

    if (!q->has_question)
        return;
    size_t size = dns_query_encode(q, q->id, sent);
    assert(size <= sizeof(sent));
    enum err e = dns_query_decode(sent, size, &again);
    assert(e == OK && again.rcode == DNS_NOERROR && again.id == q->id &&
           again.type == q->type && again.edns == q->edns &&
           again.name.len == q->name.len);
    assert(!dns_is_reply(sent, size, sent, size));
    sent[2] |= 0x80;
    assert(dns_is_reply(sent, size, sent, size));
    if (dns_is_reply(bytes, len, sent, size))
        assert(len >= DNS_HEAD + q->name.len + 4u);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dns_query q;
    char text[DNS_NAME_ROOM];

    if (dns_query_decode(bytes, len, &q)) {
        static const uint8_t sent[] = "\x12\x34\1\0\0\1\0\0\0\0\0\0\1a\1b\0\0\1\0\1";
        if (dns_is_reply(bytes, len, sent, sizeof(sent) - 1))
            assert(len >= sizeof(sent) - 1);
        return 0;
    }
    assert(q.udp_size >= DNS_UDP_MIN);
    if (q.has_question) {
        check_name(&q.name);
        if (dns_name_text(&q.name, text)) {
            struct dns_name again;
            bool ok = dns_name_of(str_of(text), &again);
            assert(ok && again.len == q.name.len && again.labels == q.name.labels);
            assert(memcmp(again.wire, q.name.lower, again.len) == 0);
        }
    }
    pass_on(&q, bytes, len);
    respond(&q, DNS_UDP_MIN, 0);
    respond(&q, DNS_UDP_MIN, 40);
    respond(&q, 4096, 100);
    return 0;
}
