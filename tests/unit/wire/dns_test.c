/* tests/unit/wire/dns_test.c - queries as resolvers and attackers send them; responses as ldns
 * parses them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdbool.h>
#include <ldns/ldns.h>

#include "base/own.h"
#include "wire/dns.h"

#define HEAD(questions, answers, authority, additional)                                  \
    "\x12\x34\x01\x00\0" questions "\0" answers "\0" authority "\0" additional
#define WEB "\3Web\4shop\3svc\7cluster\5local\0"
#define IN_A "\0\1\0\1"
#define OPT(size, version) "\0\0\x29" size "\0" version "\x80\0\0\0"

static enum err decode(const char *text, size_t len, struct dns_query *ret)
{
    memset(ret, 0xa5, sizeof(*ret));
    return dns_query_decode((const uint8_t *)text, len, ret);
}

#define DECODE(text, ret) decode(text, sizeof(text) - 1, ret)

static void reads_a_question(void **state)
{
    (void)state;
    struct dns_query q;
    char text[DNS_NAME_ROOM];

    assert_int_equal(DECODE(HEAD("\1", "\0", "\0", "\0") WEB IN_A, &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_true(q.has_question);
    assert_true(q.recursion_desired);
    assert_false(q.edns);
    assert_int_equal(q.id, 0x1234);
    assert_int_equal(q.type, DNS_A);
    assert_int_equal(q.class, DNS_CLASS_IN);
    assert_int_equal(q.udp_size, 512);
    assert_int_equal(q.name.labels, 5);
    assert_true(str_eq(dns_label(&q.name, 0), STR("web")));
    assert_true(str_eq(dns_label(&q.name, 4), STR("local")));
    assert_true(dns_name_text(&q.name, text));
    assert_string_equal(text, "web.shop.svc.cluster.local");
}

static void reads_edns_and_ignores_its_options(void **state)
{
    (void)state;
    struct dns_query q;

    assert_int_equal(
        DECODE(HEAD("\1", "\0", "\0", "\1") WEB IN_A OPT("\x10\0", "\0"), &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_true(q.edns);
    assert_true(q.dnssec_ok);
    assert_int_equal(q.udp_size, 4096);

    static const char cookie[] =
        HEAD("\1", "\0", "\0", "\1") WEB IN_A "\0\0\x29\0\x64\0\0\0\0\0\x0c\0\x0a\0\x08"
                                              "12345678";
    assert_int_equal(decode(cookie, sizeof(cookie) - 1, &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_true(q.edns);
    assert_false(q.dnssec_ok);
    assert_int_equal(q.udp_size, 512); /* 100 is less than any client accepts */
}

/* A record of type 250 with this many bytes of data. */
#define TSIG(size) "\1k\0\0\xfa\0\xff\0\0\0\0\0" size
#define TSIG_DATA                                                                        \
    "\x08hmac-md5\7sig-alg\3reg\3int\0\0\0\0\0\0\0\1\x2c\0\x04MACX\x12\x34\0\0\0\0"

/* LeakSanitizer finds what is not freed. */
static void ignores_signatures(void **state)
{
    (void)state;
    struct dns_query q;

    assert_int_equal(DECODE(HEAD("\1", "\0", "\0", "\3") WEB IN_A TSIG("\x2e")
                                TSIG_DATA TSIG("\x2e") TSIG_DATA TSIG("\x2e") TSIG_DATA,
                            &q),
                     OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_false(q.edns);
    assert_int_equal(DECODE(HEAD("\1", "\0", "\0", "\2") WEB IN_A OPT("\x10\0", "\0")
                                TSIG("\x2e") TSIG_DATA,
                            &q),
                     OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_true(q.edns);
}

static const struct {
    const char *why;
    const char *wire;
    size_t len;
    enum dns_rcode rcode;
    bool has_question;
} refused[] = {
#define CASE(why, text, rcode, has_question)                                             \
    {                                                                                    \
        why, text, sizeof(text) - 1, rcode, has_question                                 \
    }
    /* clang-format off */
    CASE("an update", "\x12\x34\x28\0\0\1\0\0\0\0\0\0" WEB IN_A, DNS_NOTIMP, false),
    CASE("no question", HEAD("\0", "\0", "\0", "\0"), DNS_FORMERR, false),
    CASE("two questions", HEAD("\2", "\0", "\0", "\0") WEB IN_A WEB IN_A, DNS_FORMERR, false),
    CASE("an answer", HEAD("\1", "\1", "\0", "\0") WEB IN_A, DNS_FORMERR, false),
    CASE("an authority", HEAD("\1", "\0", "\1", "\0") WEB IN_A, DNS_FORMERR, false),
    CASE("five additional records", HEAD("\1", "\0", "\0", "\5") WEB IN_A, DNS_FORMERR, false),
    CASE("a pointer to itself", HEAD("\1", "\0", "\0", "\0") "\xc0\x0c" IN_A, DNS_FORMERR, false),
    CASE("a compressed name", HEAD("\1", "\0", "\0", "\0") "\3web\xc0\x0c" IN_A, DNS_FORMERR, false),
    CASE("a label of 64 bytes", HEAD("\1", "\0", "\0", "\0")
         "\x40" "0123456789012345678901234567890123456789012345678901234567890123\0" IN_A,
         DNS_FORMERR, false),
    CASE("a name without an end", HEAD("\1", "\0", "\0", "\0") "\3web", DNS_FORMERR, false),
    CASE("a label that is cut", HEAD("\1", "\0", "\0", "\0") "\3we", DNS_FORMERR, false),
    CASE("no type", HEAD("\1", "\0", "\0", "\0") WEB "\0", DNS_FORMERR, false),
    CASE("a missing additional record", HEAD("\1", "\0", "\0", "\1") WEB IN_A, DNS_FORMERR, true),
    CASE("a loop in an additional record", HEAD("\1", "\0", "\0", "\1") "\1a\0" IN_A
         "\xc0\x13\0\1\0\1\0\0\0\0\0\0", DNS_FORMERR, true),
    CASE("two OPT records", HEAD("\1", "\0", "\0", "\2") WEB IN_A OPT("\4\xd0", "\0")
         OPT("\4\xd0", "\0"), DNS_FORMERR, true),
    CASE("another version of EDNS", HEAD("\1", "\0", "\0", "\1") WEB IN_A OPT("\4\xd0", "\1"),
         DNS_BADVERS, true),
/* clang-format on */
#undef CASE
};

static void refuses_what_no_resolver_sends(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        struct dns_query q;
        uint8_t room[DNS_UDP_MIN];
        struct dns_response r;
        enum err e = decode(refused[i].wire, refused[i].len, &q);
        if (e || q.rcode != refused[i].rcode || q.has_question != refused[i].has_question)
            fail_msg("%s: rcode %u", refused[i].why, q.rcode);
        dns_response_begin(&r, &q, room, sizeof(room));
        size_t len = dns_response_end(&r);
        if (len > refused[i].len + 11)
            fail_msg("%s: %zu bytes for %zu", refused[i].why, len, refused[i].len);
    }
}

static void returns_no_question_to_be_answered_for_responses_and_fragments(void **state)
{
    (void)state;
    struct dns_query q;

    assert_int_equal(DECODE("\x12\x34\x81\x80\0\1\0\0\0\0\0\0" WEB IN_A, &q), ERR_PROTO);
    for (size_t len = 0; len < DNS_HEAD; len++)
        assert_int_equal(decode(HEAD("\1", "\0", "\0", "\0"), len, &q), ERR_PROTO);
}

static void bounds_names_and_queries(void **state)
{
    (void)state;
    char wire[DNS_QUERY_MAX + 1] = HEAD("\1", "\0", "\0", "\0");
    struct dns_query q;

    /* 255 bytes: three labels of 63, one of 61, and the end */
    size_t at = DNS_HEAD;
    for (int i = 0; i < 4; i++) {
        char len = i < 3 ? 63 : 61;
        wire[at] = len;
        memset(wire + at + 1, 'a', (size_t)len);
        at += 1u + (size_t)len;
    }
    wire[at] = 0;
    memcpy(wire + at + 1, IN_A, 4);
    assert_int_equal(decode(wire, at + 5, &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_int_equal(q.name.len, 255);
    assert_int_equal(decode(wire, DNS_QUERY_MAX, &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    assert_int_equal(decode(wire, DNS_QUERY_MAX + 1, &q), OK);
    assert_int_equal(q.rcode, DNS_FORMERR);

    wire[DNS_HEAD + 3 * 64] = 62;
    memset(wire + DNS_HEAD + 3 * 64 + 1, 'a', 62);
    memset(wire + at + 1, 0, 1);
    memcpy(wire + at + 2, IN_A, 4);
    assert_int_equal(decode(wire, at + 6, &q), OK);
    assert_int_equal(q.rcode, DNS_FORMERR);
}

static void keeps_bytes_that_no_host_has_out_of_text(void **state)
{
    (void)state;
    struct dns_query q;
    char text[DNS_NAME_ROOM];

    assert_int_equal(DECODE(HEAD("\1", "\0", "\0", "\0") "\3a.b\2c\n\0" IN_A, &q), OK);
    assert_int_equal(q.name.labels, 2);
    assert_false(dns_name_text(&q.name, text));
    assert_string_equal(text, "");
}

static void makes_names_of_text(void **state)
{
    (void)state;
    struct dns_name n;

    assert_true(dns_name_of(STR("a.bc"), &n));
    assert_int_equal(n.labels, 2);
    assert_memory_equal(n.wire, "\1a\2bc", 6);
    assert_false(dns_name_of(STR("a..b"), &n));
    assert_false(dns_name_of(STR(".a"), &n));
}

/* --- responses --- */

static struct dns_query web_query(bool edns)
{
    struct dns_query q;
    enum err e =
        edns ? DECODE(HEAD("\1", "\0", "\0", "\1") WEB IN_A OPT("\4\xd0", "\0"), &q)
             : DECODE(HEAD("\1", "\0", "\0", "\0") WEB IN_A, &q);
    assert_int_equal(e, OK);
    return q;
}

static ldns_pkt *parsed(struct dns_response *r)
{
    ldns_pkt *packet = NULL;
    size_t len = dns_response_end(r);

    assert_int_equal(ldns_wire2pkt(&packet, r->room, len), LDNS_STATUS_OK);
    return packet;
}

static void assert_record(const ldns_rr_list *list, size_t i, const char *expected)
{
    AUTO_FREE char *text = ldns_rr2str(ldns_rr_list_rr(list, i));
    assert_string_equal(text, expected);
}

static void writes_each_record_as_ldns_reads_it(void **state)
{
    (void)state;
    struct dns_query q = web_query(true);
    uint8_t room[DNS_UDP_MAX];
    struct dns_response r;
    struct dns_spelled whole = dns_question_from(&q, 0), zone = dns_question_from(&q, 3);
    uint16_t target;

    dns_response_begin(&r, &q, room, sizeof(room));
    r.authoritative = true;
    struct in_addr address = { htonl(0x7f010203) };
    assert_true(dns_add_a(&r, DNS_ANSWER, whole, 5, address));
    struct dns_srv srv = { 0, 50, 80, { STR("a-b.web.shop.svc"), zone.tail } };
    assert_true(dns_add_srv(&r, whole, 5, &srv, &target));
    assert_true(dns_add_txt(&r, whole, 28800, STR("1.1.0")));
    assert_true(dns_add_hinfo(&r, whole, 8482, STR("RFC8482"), STR("")));
    assert_true(dns_add_name(&r, DNS_ANSWER, whole, DNS_CNAME, 5,
                             (struct dns_spelled){ STR("example.com"), 0 }));
    struct dns_soa soa = { { STR("ns.dns"), zone.tail },
                           { STR("hostmaster"), zone.tail },
                           7,
                           7200,
                           1800,
                           86400,
                           5 };
    assert_true(dns_add_soa(&r, DNS_AUTHORITY, zone, 5, &soa));
    assert_true(dns_add_a(&r, DNS_ADDITIONAL, (struct dns_spelled){ .tail = target }, 5,
                          address));
    ldns_pkt *p = parsed(&r);
    assert_true(ldns_pkt_aa(p));
    assert_true(ldns_pkt_rd(p));
    assert_false(ldns_pkt_ra(p));
    assert_int_equal(ldns_pkt_id(p), 0x1234);
    assert_int_equal(ldns_pkt_edns_udp_size(p), DNS_UDP_MAX);
    const ldns_rr_list *answer = ldns_pkt_answer(p);
    assert_record(answer, 0, "Web.shop.svc.cluster.local.\t5\tIN\tA\t127.1.2.3\n");
    assert_record(answer, 1,
                  "Web.shop.svc.cluster.local.\t5\tIN\tSRV\t0 50 80 "
                  "a-b.web.shop.svc.cluster.local.\n");
    assert_record(answer, 2, "Web.shop.svc.cluster.local.\t28800\tIN\tTXT\t\"1.1.0\"\n");
    assert_record(answer, 3,
                  "Web.shop.svc.cluster.local.\t8482\tIN\tHINFO\t\"RFC8482\" \"\"\n");
    assert_record(answer, 4, "Web.shop.svc.cluster.local.\t5\tIN\tCNAME\texample.com.\n");
    assert_record(ldns_pkt_authority(p), 0,
                  "cluster.local.\t5\tIN\tSOA\tns.dns.cluster.local. "
                  "hostmaster.cluster.local. 7 7200 1800 86400 5\n");
    assert_record(ldns_pkt_additional(p), 0,
                  "a-b.web.shop.svc.cluster.local.\t5\tIN\tA\t127.1.2.3\n");
    ldns_pkt_free(p);
}

/* A target in RFC 2782 is not compressed. */
static void writes_srv_targets_whole(void **state)
{
    (void)state;
    struct dns_query q = web_query(false);
    uint8_t room[DNS_UDP_MIN];
    struct dns_response r;
    uint16_t target;
    struct dns_srv srv = { .target = dns_question_from(&q, 0) };

    dns_response_begin(&r, &q, room, sizeof(room));
    assert_true(dns_add_srv(&r, dns_question_from(&q, 0), 5, &srv, &target));
    assert_memory_equal(room + target, WEB, sizeof(WEB) - 1);
}

static void truncates_at_each_limit_without_half_a_record(void **state)
{
    (void)state;

    for (int edns = 0; edns < 2; edns++) {
        for (size_t limit = DNS_UDP_MIN; limit < DNS_UDP_MIN + 40; limit++) {
            struct dns_query q = web_query(edns);
            uint8_t room[DNS_UDP_MIN + 40];
            struct dns_response r;
            size_t fits = 0;
            dns_response_begin(&r, &q, room, limit);
            while (dns_add_a(&r, DNS_ANSWER, dns_question_from(&q, 0), 5,
                             (struct in_addr){ 1 }))
                fits++;
            assert_true(r.truncated);
            size_t head = DNS_HEAD + sizeof(WEB) - 1 + 4 + (edns ? 11 : 0);
            assert_int_equal(fits, (limit - head) / 16);
            assert_false(dns_add_txt(&r, dns_question_from(&q, 0), 5, STR("")));
            ldns_pkt *p = parsed(&r);
            assert_true(ldns_pkt_tc(p));
            assert_int_equal(ldns_rr_list_rr_count(ldns_pkt_answer(p)), fits);
            ldns_pkt_free(p);
        }
    }
}

/* An additional record that does not fit is no reason to ask again over TCP. */
static void leaves_out_additional_records_silently(void **state)
{
    (void)state;
    struct dns_query q = web_query(false);
    uint8_t room[DNS_UDP_MIN];
    struct dns_response r;

    dns_response_begin(&r, &q, room, sizeof(room));
    while (
        dns_add_a(&r, DNS_ADDITIONAL, dns_question_from(&q, 0), 5, (struct in_addr){ 1 }))
        ;
    assert_false(r.truncated);
}

static void writes_the_upper_bits_of_badvers_into_opt(void **state)
{
    (void)state;
    struct dns_query q = web_query(true);
    uint8_t room[DNS_UDP_MIN];
    struct dns_response r;

    q.rcode = DNS_BADVERS;
    dns_response_begin(&r, &q, room, sizeof(room));
    ldns_pkt *p = parsed(&r);
    assert_int_equal(ldns_pkt_get_rcode(p), 0);
    assert_int_equal(ldns_pkt_edns_extended_rcode(p), 1);
    ldns_pkt_free(p);
}

/* --- questions passed on --- */

static void a_question_is_passed_on_without_options(void **state)
{
    (void)state;
    static const char cookie[] =
        HEAD("\1", "\0", "\0", "\1") WEB IN_A "\0\0\x29\x10\0\0\0\x80\0\0\x0c\0\x0a\0\x08"
                                              "12345678";
    uint8_t out[DNS_PASSED_ROOM];
    struct dns_query q, again;

    assert_int_equal(decode(cookie, sizeof(cookie) - 1, &q), OK);
    size_t len = dns_query_encode(&q, 0xbeef, out);
    assert_int_equal(len, DNS_HEAD + sizeof(WEB) - 1 + 4 + 11);
    assert_int_equal(dns_query_decode(out, len, &again), OK);
    assert_int_equal(again.rcode, DNS_NOERROR);
    assert_int_equal(again.id, 0xbeef);
    assert_true(again.recursion_desired && again.edns && again.dnssec_ok);
    assert_int_equal(again.udp_size, DNS_UDP_MAX);
    assert_memory_equal(again.name.wire, WEB, sizeof(WEB) - 1);
    q = web_query(false);
    assert_int_equal(dns_query_encode(&q, 1, out), DNS_HEAD + sizeof(WEB) - 1 + 4);
}

static void a_reply_has_id_and_question_of_its_query(void **state)
{
    (void)state;
    struct dns_query q = web_query(true);
    uint8_t query[DNS_PASSED_ROOM], reply[DNS_UDP_MIN];
    struct dns_response r;

    size_t query_len = dns_query_encode(&q, q.id, query);
    dns_response_begin(&r, &q, reply, sizeof(reply));
    size_t len = dns_response_end(&r);
    assert_true(dns_is_reply(reply, len, query, query_len));
    static const size_t parts[] = {
        0, 1, 4, 5, DNS_HEAD + 1, DNS_HEAD + 28, DNS_HEAD + 30
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        reply[parts[i]] ^= 1;
        assert_false(dns_is_reply(reply, len, query, query_len));
        reply[parts[i]] ^= 1;
    }
    reply[2] ^= 0x80; /* a query */
    assert_false(dns_is_reply(reply, len, query, query_len));
    reply[2] ^= 0x80 ^ 0x08; /* another opcode */
    assert_false(dns_is_reply(reply, len, query, query_len));
    reply[2] ^= 0x08;
    for (size_t cut = 0; cut < DNS_HEAD + sizeof(WEB) - 1 + 4; cut++)
        assert_false(dns_is_reply(reply, cut, query, query_len));
    dns_set_id(reply, 0xbeef);
    assert_false(dns_is_reply(reply, len, query, query_len));
    assert_int_equal(reply[0], 0xbe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_question),
        cmocka_unit_test(reads_edns_and_ignores_its_options),
        cmocka_unit_test(ignores_signatures),
        cmocka_unit_test(refuses_what_no_resolver_sends),
        cmocka_unit_test(returns_no_question_to_be_answered_for_responses_and_fragments),
        cmocka_unit_test(bounds_names_and_queries),
        cmocka_unit_test(keeps_bytes_that_no_host_has_out_of_text),
        cmocka_unit_test(makes_names_of_text),
        cmocka_unit_test(writes_each_record_as_ldns_reads_it),
        cmocka_unit_test(writes_srv_targets_whole),
        cmocka_unit_test(truncates_at_each_limit_without_half_a_record),
        cmocka_unit_test(leaves_out_additional_records_silently),
        cmocka_unit_test(writes_the_upper_bits_of_badvers_into_opt),
        cmocka_unit_test(a_question_is_passed_on_without_options),
        cmocka_unit_test(a_reply_has_id_and_question_of_its_query),
    };
    return cmocka_run_group_tests_name("wire/dns", tests, NULL, NULL);
}
