/* tests/unit/dns/answer_test.c - the records for services, pods and zones, as ldns parses them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdbool.h>

#include <ldns/ldns.h>

#include "base/own.h"
#include "catalog/service.h"
#include "dns/answer.h"
#include "route/naming.h"

static struct naming naming;

/* --- addresses: 127.1.0.N, in the order of their look-ups --- */

static struct {
    char text[256]; /* the keys, joined */
    uint8_t next;
    enum err result;
    struct address_key owner;
    bool owned;
} book;

static enum err open_fake(void *owner, const struct address_key *key,
                          const struct service *service, struct in_addr *ret)
{
    (void)owner;
    (void)service;
    size_t len = strlen(book.text);

    snprintf(book.text + len, sizeof(book.text) - len, "%.*s/%.*s/%.*s/%.*s ",
             STR_ARG(key->cluster), STR_ARG(key->ns), STR_ARG(key->service),
             STR_ARG(key->pod));
    if (!book.result)
        *ret = (struct in_addr){ htonl(0x7f010000u + ++book.next) };
    return book.result;
}

static bool owner_fake(void *owner, struct in_addr address, struct address_key *ret)
{
    (void)owner;
    (void)address;
    *ret = book.owner;
    return book.owned;
}

static const struct address_source fake_addresses = { open_fake, owner_fake, NULL };

/* --- services --- */

/* clang-format off */
static struct service_port web_ports[] = {
    { .name = "http", .number = 80, .tcp = true },
    { .name = "dns", .number = 53, .tcp = false },
};
static uint16_t pod_ports[] = { 8080, 5353 };
static struct endpoint db_0 = { .ns = "shop", .pod = "db-0", .hostname = "db-0", .ip = "10.1.0.1",
                                .ready = true, .ports = pod_ports };
static struct endpoint db_1 = { .ns = "shop", .pod = "db-x7k", .ip = "10.1.0.2", .ready = true,
                                .ports = pod_ports };
static struct endpoint db_2 = { .ns = "shop", .pod = "db-2", .ip = "10.1.0.3", .ready = false,
                                .ports = pod_ports };
static struct endpoint *db_pods[] = { &db_0, &db_1, &db_2 };
static const struct service web = { .ns = "shop", .name = "web", .ports = web_ports, .port_count = 2,
                                    .endpoints = db_pods, .endpoint_count = 1 };
static const struct service db = { .ns = "shop", .name = "db", .headless = true, .ports = web_ports,
                                   .port_count = 2, .endpoints = db_pods, .endpoint_count = 3 };
static const struct service empty = { .ns = "shop", .name = "db", .headless = true, .ports = web_ports,
                                      .port_count = 2, .endpoints = db_pods + 2, .endpoint_count = 1 };
static const struct service portless = { .ns = "shop", .name = "db", .headless = true,
                                         .endpoints = db_pods, .endpoint_count = 3 };
static const struct service outside = { .ns = "shop", .name = "ext", .kind = SERVICE_EXTERNAL,
                                        .external_name = "example.com" };
static const struct service pod = { .ns = "shop", .name = "db-0", .kind = SERVICE_POD,
                                    .endpoints = db_pods, .endpoint_count = 1 };
/* clang-format on */

/* --- questions --- */

static bool no_label(const void *owner, struct str label)
{
    (void)owner;
    return str_eq(label, STR("prod"));
}

struct asked {
    struct dns_query query;
    struct zone zone;
    struct subject subject;
    struct dns_response response;
    struct answering answering;
    uint8_t room[DNS_UDP_MAX];
    ldns_pkt *packet;
};

static void ask(struct asked *a, const char *name, enum dns_type type)
{
    const struct zones zones = { &naming, no_label, NULL };

    memset(a, 0, sizeof(*a));
    memset(&book, 0, sizeof(book));
    a->query =
        (struct dns_query){ .has_question = true, .type = (uint16_t)type, .class = 1 };
    assert_true(dns_name_of(str_of(name), &a->query.name));
    zone_find(&zones, &a->query.name, &a->zone);
    if (a->zone.kind == ZONE_CLUSTER || a->zone.kind == ZONE_K8S)
        subject_read(&a->query.name, &a->zone, &a->subject);
    dns_response_begin(&a->response, &a->query, a->room, sizeof(a->room));
    a->answering = (struct answering){
        .response = &a->response,
        .query = &a->query,
        .zone = &a->zone,
        .name = dns_question_from(&a->query, 0),
        .serial = 7,
        .own = { htonl(INADDR_LOOPBACK) },
        .addresses = &fake_addresses,
    };
}

/* The answer, authority and additional sections as one text. */
static void assert_answer(struct asked *a, enum dns_rcode rcode, const char *expected)
{
    size_t len = dns_response_end(&a->response);

    assert_int_equal(ldns_wire2pkt(&a->packet, a->room, len), LDNS_STATUS_OK);
    AUTO_FREE char *answer = ldns_rr_list2str(ldns_pkt_answer(a->packet));
    AUTO_FREE char *authority = ldns_rr_list2str(ldns_pkt_authority(a->packet));
    AUTO_FREE char *additional = ldns_rr_list2str(ldns_pkt_additional(a->packet));
    AUTO_FREE char *all = xasprintf("%s%s%s", answer, authority, additional);
    for (char *tab; (tab = strchr(all, '\t'));)
        *tab = ' ';
    assert_string_equal(all, expected);
    assert_int_equal(ldns_pkt_get_rcode(a->packet), rcode);
    ldns_pkt_free(a->packet);
}

#define SOA                                                                              \
    "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 "    \
    "1800 86400 5\n"
#define WEB "web.shop.svc.cluster.local"
#define DB "db.shop.svc.cluster.local"

static void assert_service(const char *name, enum dns_type type, const struct service *s,
                           enum dns_rcode rcode, const char *expected, const char *keys)
{
    struct asked a;

    ask(&a, name, type);
    assert_int_equal(a.subject.kind, SUBJECT_SERVICE);
    assert_true(answer_service(&a.answering, &a.subject, s));
    assert_answer(&a, rcode, expected);
    assert_string_equal(book.text, keys);
}

static void a_service_has_one_address_and_a_short_ttl(void **state)
{
    (void)state;
    assert_service(WEB, DNS_A, &web, DNS_NOERROR, WEB ". 5 IN A 127.1.0.1\n",
                   "/shop/web/ ");
}

static void other_types_of_a_service_are_empty_and_open_nothing(void **state)
{
    (void)state;
    static const enum dns_type types[] = {
        DNS_AAAA, DNS_MX, DNS_TXT, DNS_CNAME, DNS_NS, DNS_SOA, DNS_PTR, (enum dns_type)65
    };

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        assert_service(WEB, types[i], &web, DNS_NOERROR, SOA, "");
}

static void a_port_that_a_service_lacks_does_not_exist(void **state)
{
    (void)state;
    assert_service("_http._tcp." WEB, DNS_A, &web, DNS_NOERROR,
                   "_http._tcp." WEB ". 5 IN A 127.1.0.1\n", "/shop/web/ ");
    assert_service("_http._udp." WEB, DNS_A, &web, DNS_NXDOMAIN, SOA, "");
    assert_service("_nope._tcp." WEB, DNS_AAAA, &web, DNS_NXDOMAIN, SOA, "");
    assert_service("_nope._tcp." WEB, DNS_SRV, &web, DNS_NXDOMAIN, SOA, "");
}

static void srv_records_of_a_service_have_its_ports(void **state)
{
    (void)state;
    assert_service("_http._tcp." WEB, DNS_SRV, &web, DNS_NOERROR,
                   "_http._tcp." WEB ". 5 IN SRV 0 100 80 " WEB ".\n" WEB
                   ". 5 IN A 127.1.0.1\n",
                   "/shop/web/ ");
    assert_service(WEB, DNS_SRV, &web, DNS_NOERROR,
                   WEB ". 5 IN SRV 0 50 80 " WEB ".\n" WEB ". 5 IN SRV 0 50 53 " WEB
                       ".\n" WEB ". 5 IN A 127.1.0.1\n",
                   "/shop/web/ ");
}

static void a_headless_service_has_the_addresses_of_its_ready_endpoints(void **state)
{
    (void)state;
    assert_service(DB, DNS_A, &db, DNS_NOERROR,
                   DB ". 5 IN A 127.1.0.1\n" DB ". 5 IN A 127.1.0.2\n",
                   "/shop/db/db-0 /shop/db/db-x7k ");
    assert_service(DB, DNS_A, &portless, DNS_NOERROR,
                   DB ". 5 IN A 127.1.0.1\n" DB ". 5 IN A 127.1.0.2\n",
                   "/shop/db/db-0 /shop/db/db-x7k ");
    assert_service(DB, DNS_A, &empty, DNS_NXDOMAIN, SOA, "");
}

static void srv_records_of_a_headless_service_have_each_endpoints_ports(void **state)
{
    (void)state;
    assert_service("_http._tcp." DB, DNS_SRV, &db, DNS_NOERROR,
                   "_http._tcp." DB ". 5 IN SRV 0 50 8080 db-0." DB ".\n_http._tcp." DB
                   ". 5 IN SRV 0 50 8080 10-1-0-2." DB ".\ndb-0." DB
                   ". 5 IN A 127.1.0.1\n10-1-0-2." DB ". 5 IN A 127.1.0.2\n",
                   "/shop/db/db-0 /shop/db/db-x7k ");
}

static void an_endpoint_is_named_by_hostname_pod_or_address(void **state)
{
    (void)state;
    assert_service("db-0." DB, DNS_A, &db, DNS_NOERROR, "db-0." DB ". 5 IN A 127.1.0.1\n",
                   "/shop/db/db-0 ");
    assert_service("10-1-0-2." DB, DNS_A, &db, DNS_NOERROR,
                   "10-1-0-2." DB ". 5 IN A 127.1.0.1\n", "/shop/db/db-x7k ");
    assert_service("db-x7k." DB, DNS_A, &db, DNS_NOERROR,
                   "db-x7k." DB ". 5 IN A 127.1.0.1\n", "/shop/db/db-x7k ");
    assert_service("10-1-0-1." DB, DNS_A, &db, DNS_NXDOMAIN, SOA,
                   "");                                            /* has a host name */
    assert_service("db-2." DB, DNS_A, &db, DNS_NXDOMAIN, SOA, ""); /* not ready */
    assert_service("db-9." DB, DNS_AAAA, &db, DNS_NXDOMAIN, SOA, "");
    assert_service("db-0." WEB, DNS_A, &web, DNS_NOERROR,
                   "db-0." WEB ". 5 IN A 127.1.0.1\n", "/shop/web/db-0 ");
}

/* Static pods have the name of their node at the end. */
static void a_pod_with_dots_in_its_name_has_its_address_by_ip(void **state)
{
    (void)state;
    static struct endpoint etcd = { .ns = "shop",
                                    .pod = "etcd-ip-10-0-0-1.ec2.internal",
                                    .ip = "10.0.0.1",
                                    .ready = true,
                                    .ports = pod_ports };
    static struct endpoint *pods[] = { &etcd };
    static const struct service s = { .ns = "shop",
                                      .name = "db",
                                      .headless = true,
                                      .ports = web_ports,
                                      .port_count = 2,
                                      .endpoints = pods,
                                      .endpoint_count = 1 };
    static const struct service alone = { .ns = "shop",
                                          .name = "etcd",
                                          .kind = SERVICE_POD,
                                          .endpoints = pods,
                                          .endpoint_count = 1 };
    struct asked a;

    assert_service(DB, DNS_A, &s, DNS_NOERROR, DB ". 5 IN A 127.1.0.1\n",
                   "/shop/db/10-0-0-1 ");
    assert_service("_http._tcp." DB, DNS_SRV, &s, DNS_NOERROR,
                   "_http._tcp." DB ". 5 IN SRV 0 100 8080 10-0-0-1." DB ".\n10-0-0-1." DB
                   ". 5 IN A 127.1.0.1\n",
                   "/shop/db/10-0-0-1 ");
    ask(&a, "10-0-0-1.shop.pod.cluster.local", DNS_A);
    answer_pod(&a.answering, &a.subject, &alone);
    assert_answer(&a, DNS_NOERROR, "10-0-0-1.shop.pod.cluster.local. 5 IN A 127.1.0.1\n");
    assert_string_equal(book.text, "/shop//10-0-0-1 ");
}

static void an_address_that_cannot_be_had_is_a_failure_of_the_server(void **state)
{
    (void)state;
    struct asked a;

    ask(&a, WEB, DNS_A);
    book.result = ERR_IN_USE;
    assert_true(answer_service(&a.answering, &a.subject, &web));
    assert_answer(&a, DNS_SERVFAIL, SOA);
}

static void an_external_name_is_followed_by_the_caller(void **state)
{
    (void)state;
    struct asked a;
    static const enum dns_type followed[] = { DNS_A, DNS_AAAA, DNS_CNAME };

    for (size_t i = 0; i < ARRAY_LEN(followed); i++) {
        ask(&a, "ext.shop.svc.cluster.local", followed[i]);
        assert_false(answer_service(&a.answering, &a.subject, &outside));
        answer_alias(&a.answering, (struct dns_spelled){ STR("example.com"), 0 });
        assert_answer(&a, DNS_NOERROR,
                      "ext.shop.svc.cluster.local. 5 IN CNAME example.com.\n");
    }
    ask(&a, "ext.shop.svc.cluster.local", DNS_MX);
    assert_true(answer_service(&a.answering, &a.subject, &outside));
    assert_answer(&a, DNS_NOERROR, SOA);
    static const char *const parts[] = { "db-0", "_http._tcp", "_._tcp" };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        AUTO_FREE char *name = xasprintf("%s.ext.shop.svc.cluster.local", parts[i]);
        ask(&a, name, DNS_A);
        assert_true(answer_service(&a.answering, &a.subject, &outside));
        assert_answer(&a, DNS_NXDOMAIN, SOA);
    }
}

static void a_pod_has_one_address_however_it_is_named(void **state)
{
    (void)state;
    static const char *const names[] = { "db-0", "10-1-0-1" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct asked a;
        AUTO_FREE char *name = xasprintf("%s.shop.pod.cluster.local", names[i]);
        AUTO_FREE char *expected = xasprintf("%s. 5 IN A 127.1.0.1\n", name);
        ask(&a, name, DNS_A);
        answer_pod(&a.answering, &a.subject, &pod);
        assert_answer(&a, DNS_NOERROR, expected);
        assert_string_equal(book.text, "/shop//db-0 ");
        ask(&a, name, DNS_AAAA);
        answer_pod(&a.answering, &a.subject, &pod);
        assert_answer(&a, DNS_NOERROR, SOA);
        assert_string_equal(book.text, "");
    }
}

static const struct {
    const char *name;
    enum dns_type type;
    enum dns_rcode rcode;
    const char *expected;
} fixed[] = {
    /* clang-format off */
    { "cluster.local", DNS_A, DNS_NOERROR, SOA },
    { "svc.cluster.local", DNS_AAAA, DNS_NOERROR, SOA },
    { "pod.cluster.local", DNS_TXT, DNS_NOERROR, SOA },
    { "web.shop.svc.cluster.local.shop.svc.cluster.local", DNS_A, DNS_NXDOMAIN, SOA },
    { "dns-version.cluster.local", DNS_TXT, DNS_NOERROR,
      "dns-version.cluster.local. 28800 IN TXT \"1.1.0\"\n" },
    { "dns-version.cluster.local", DNS_A, DNS_NOERROR, SOA },
    { "cluster.local", DNS_SOA, DNS_NOERROR, SOA },
    { "cluster.local", DNS_NS, DNS_NOERROR,
      "cluster.local. 5 IN NS ns.dns.cluster.local.\nns.dns.cluster.local. 5 IN A 127.0.0.1\n" },
    { "ns.dns.cluster.local", DNS_A, DNS_NOERROR, "ns.dns.cluster.local. 5 IN A 127.0.0.1\n" },
    { "ns.dns.cluster.local", DNS_AAAA, DNS_NOERROR, SOA },
    { "k8s", DNS_A, DNS_NOERROR, "k8s. 5 IN SOA ns.dns.k8s. hostmaster.k8s. 7 7200 1800 86400 5\n" },
    { "a.b.svc.other.k8s", DNS_A, DNS_NXDOMAIN,
      "k8s. 5 IN SOA ns.dns.k8s. hostmaster.k8s. 7 7200 1800 86400 5\n" },
    { "svc.prod.k8s", DNS_A, DNS_NOERROR,
      "prod.k8s. 5 IN SOA ns.dns.prod.k8s. hostmaster.prod.k8s. 7 7200 1800 86400 5\n" },
    /* clang-format on */
};

static void some_names_are_answered_without_the_cluster(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        struct asked a;
        ask(&a, fixed[i].name, fixed[i].type);
        assert_true(answer_fixed(&a.answering, &a.subject));
        assert_true(a.response.authoritative);
        assert_answer(&a, fixed[i].rcode, fixed[i].expected);
    }
    struct asked a;
    ask(&a, "shop.svc.cluster.local", DNS_A);
    assert_false(answer_fixed(&a.answering, &a.subject));
    ask(&a, WEB, DNS_A);
    assert_false(answer_fixed(&a.answering, &a.subject));
}

static void a_question_for_all_records_gets_one_small_record(void **state)
{
    (void)state;
    struct asked a;

    ask(&a, WEB, DNS_ANY);
    answer_any(&a.answering);
    assert_answer(&a, DNS_NOERROR,
                  WEB ". 8482 IN HINFO \"ANY obsoleted\" \"See RFC 8482\"\n");
}

static void assert_reverse(struct address_key owner, const char *name)
{
    AUTO_FREE char *expected = xasprintf("3.2.1.127.in-addr.arpa. 5 IN PTR %s\n", name);
    struct asked a;

    ask(&a, "3.2.1.127.in-addr.arpa", DNS_PTR);
    book.owner = owner;
    book.owned = true;
    assert_true(answer_reverse(&a.answering, "cluster.local"));
    assert_answer(&a, DNS_NOERROR, expected);
}

static void reverse_names_have_the_name_of_the_owner(void **state)
{
    (void)state;
    struct address_key key = { .ns = STR("shop"), .service = STR("web") };
    struct asked a;

    assert_reverse(key, "web.shop.svc.cluster.local.");
    key.cluster = STR("prod");
    assert_reverse(key, "web.shop.svc.prod.k8s.");
    key.pod = STR("web-1");
    assert_reverse(key, "web-1.web.shop.svc.prod.k8s.");
    key.service = STR("");
    assert_reverse(key, "web-1.shop.pod.prod.k8s.");
    ask(&a, "3.2.1.127.in-addr.arpa", DNS_PTR);
    assert_false(answer_reverse(&a.answering, "cluster.local"));
}

/* More addresses than fit, each of them whole. */
static void a_long_answer_is_truncated(void **state)
{
    (void)state;
    static struct endpoint *many[200];
    struct asked a;

    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = &db_0;
    struct service large = db;
    large.endpoints = many;
    large.endpoint_count = ARRAY_LEN(many);
    ask(&a, DB, DNS_A);
    assert_true(answer_service(&a.answering, &a.subject, &large));
    assert_false(a.response.truncated);
    assert_int_equal(a.response.counts[DNS_ANSWER], SERVICE_SUBSET);

    ask(&a, DB, DNS_A);
    a.response.limit = DNS_UDP_MIN;
    assert_true(answer_service(&a.answering, &a.subject, &large));
    assert_true(a.response.truncated);
    size_t shown = a.response.counts[DNS_ANSWER];
    assert_in_range(shown, 20, 31);
    assert_int_equal(book.next, shown + 1); /* no addresses are opened in vain */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_has_one_address_and_a_short_ttl),
        cmocka_unit_test(other_types_of_a_service_are_empty_and_open_nothing),
        cmocka_unit_test(a_port_that_a_service_lacks_does_not_exist),
        cmocka_unit_test(srv_records_of_a_service_have_its_ports),
        cmocka_unit_test(a_headless_service_has_the_addresses_of_its_ready_endpoints),
        cmocka_unit_test(srv_records_of_a_headless_service_have_each_endpoints_ports),
        cmocka_unit_test(an_endpoint_is_named_by_hostname_pod_or_address),
        cmocka_unit_test(a_pod_with_dots_in_its_name_has_its_address_by_ip),
        cmocka_unit_test(an_address_that_cannot_be_had_is_a_failure_of_the_server),
        cmocka_unit_test(an_external_name_is_followed_by_the_caller),
        cmocka_unit_test(a_pod_has_one_address_however_it_is_named),
        cmocka_unit_test(some_names_are_answered_without_the_cluster),
        cmocka_unit_test(a_question_for_all_records_gets_one_small_record),
        cmocka_unit_test(reverse_names_have_the_name_of_the_owner),
        cmocka_unit_test(a_long_answer_is_truncated),
    };
    naming_init(&naming, "cluster.local");
    int failed = cmocka_run_group_tests_name("dns/answer", tests, NULL, NULL);
    naming_finish(&naming);
    return failed;
}
