/* tests/unit/dns/zone_test.c - names of questions, read as CoreDNS reads them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>

#include "base/own.h"
#include "dns/zone.h"
#include "route/naming.h"
#include "wire/dns.h"

static bool has_label(const void *owner, struct str label)
{
    (void)owner;
    return str_eq(label, STR("prod"));
}

static struct naming naming;

static void find(const char *text, struct dns_name *name, struct zone *ret)
{
    const struct zones zones = { &naming, has_label, NULL };

    assert_true(dns_name_of(str_of(text), name));
    zone_find(&zones, name, ret);
}

static const struct {
    const char *name;
    enum zone_kind zone;
    const char *cluster;
    enum subject_kind subject;
    const char *ns, *service, *endpoint, *port, *protocol, *pod;
} cases[] = {
    /* clang-format off */
    { "web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web" },
    { "WEB.shop.SVC.cluster.LOCAL", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web" },
    { "web.shop.svc.corp.example", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web" },
    { "db-0.db.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "db", "db-0" },
    { "_http._tcp.web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web", "", "http", "tcp" },
    { "http.udp.web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web", "", "http", "udp" },
    { "_._tcp.web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "shop", "web", "", "", "tcp" },
    { "a._http._tcp.web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "10-1-2-3.shop.pod.cluster.local", ZONE_CLUSTER, "", SUBJECT_POD, "shop", "", "", "", "", "10-1-2-3" },
    { "web-1.shop.pod.cluster.local", ZONE_CLUSTER, "", SUBJECT_POD, "shop", "", "", "", "", "web-1" },
    { "a.web-1.shop.pod.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NAMESPACE, "shop" },
    { "shop.pod.cluster.local", ZONE_CLUSTER, "", SUBJECT_NAMESPACE, "shop" },
    { "svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_EMPTY },
    { "pod.cluster.local", ZONE_CLUSTER, "", SUBJECT_EMPTY },
    { "cluster.local", ZONE_CLUSTER, "", SUBJECT_APEX },
    { "dns-version.cluster.local", ZONE_CLUSTER, "", SUBJECT_VERSION },
    { "ns.dns.cluster.local", ZONE_CLUSTER, "", SUBJECT_NAME_SERVER },
    { "dns.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web.shop.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web.shop.svc.prod.k8s", ZONE_CLUSTER, "prod", SUBJECT_SERVICE, "shop", "web" },
    { "prod.k8s", ZONE_CLUSTER, "prod", SUBJECT_APEX },
    { "k8s", ZONE_K8S, "", SUBJECT_APEX },
    { "web.shop.svc.other.k8s", ZONE_K8S, "", SUBJECT_NONE },
    { "example.com", ZONE_NONE, "", SUBJECT_NONE },
    { "local", ZONE_NONE, "", SUBJECT_NONE },
    { "xcluster.local", ZONE_NONE, "", SUBJECT_NONE },
    { "", ZONE_NONE, "", SUBJECT_NONE },
    /* names with a search domain at their end */
    { "web.shop.svc.cluster.local.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web.shop.svc.cluster.local.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web.shop.svc.cluster.local.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web.shop.svc.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_SERVICE, "svc", "shop", "web" },
    { "www.example.com.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    /* what Kubernetes gives no name to */
    { "web_1.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "-web.shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    { "web._shop.svc.cluster.local", ZONE_CLUSTER, "", SUBJECT_NONE },
    /* clang-format on */
};

static bool same(struct str is, const char *wanted)
{
    return str_eq(is, str_of(wanted));
}

static void reads_names_as_coredns_does(void **state)
{
    (void)state;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct dns_name name;
        struct zone zone;
        struct subject s = { .kind = SUBJECT_NONE };
        find(cases[i].name, &name, &zone);
        if (zone.kind == ZONE_CLUSTER || zone.kind == ZONE_K8S)
            subject_read(&name, &zone, &s);
        if (zone.kind != cases[i].zone || s.kind != cases[i].subject)
            fail_msg("%s: zone %d, subject %d", cases[i].name, zone.kind, s.kind);
        if (zone.kind == ZONE_CLUSTER && !same(zone.cluster, cases[i].cluster))
            fail_msg("%s: cluster %.*s", cases[i].name, STR_ARG(zone.cluster));
        bool right =
            s.kind == SUBJECT_NONE ||
            (same(s.ns, cases[i].ns) && same(s.service, cases[i].service) &&
             same(s.endpoint, cases[i].endpoint) && same(s.port, cases[i].port) &&
             same(s.protocol, cases[i].protocol) && same(s.pod, cases[i].pod));
        if (!right)
            fail_msg("%s: other labels", cases[i].name);
    }
}

static void a_dot_within_a_label_separates_nothing(void **state)
{
    (void)state;
    static const char wire[] = "\x08web.shop\3svc\7cluster\5local";
    uint8_t query[64] = { 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0 };
    const struct zones zones = { &naming, has_label, NULL };
    struct dns_query q;
    struct zone zone;
    struct subject s;

    memcpy(query + 12, wire, sizeof(wire));
    memcpy(query + 12 + sizeof(wire), "\0\1\0\1", 4);
    assert_int_equal(dns_query_decode(query, 12 + sizeof(wire) + 4, &q), OK);
    assert_int_equal(q.rcode, DNS_NOERROR);
    zone_find(&zones, &q.name, &zone);
    assert_int_equal(zone.kind, ZONE_CLUSTER);
    subject_read(&q.name, &zone, &s);
    assert_int_equal(s.kind, SUBJECT_NONE);
}

static void reverse_names_are_those_of_loopback_addresses(void **state)
{
    (void)state;
    struct dns_name name;
    struct zone zone;

    find("3.2.1.127.in-addr.arpa", &name, &zone);
    assert_int_equal(zone.kind, ZONE_REVERSE);
    assert_int_equal(ntohl(zone.address.s_addr), 0x7f010203);
    static const char *const others[] = {
        "1.0.0.10.in-addr.arpa",   "2.1.127.in-addr.arpa",     "256.2.1.127.in-addr.arpa",
        "03.2.1.127.in-addr.arpa", "a.3.2.1.127.in-addr.arpa", "3.2.1.127.ip6.arpa",
        "3.2.1.127.in-addr.local"
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        find(others[i], &name, &zone);
        if (zone.kind != ZONE_NONE)
            fail_msg("%s", others[i]);
    }
}

static void spells_addresses_with_dashes(void **state)
{
    (void)state;
    static const struct {
        const char *dashed, *address;
    } pairs[] = { { "10-1-2-3", "10.1.2.3" },
                  { "fd00--7", "fd00::7" },
                  { "fd00-1-2-3-4-5-6-7", "fd00:1:2:3:4:5:6:7" } };
    char out[DASHED_ROOM];

    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        assert_true(dashed_to_address(str_of(pairs[i].dashed), out));
        assert_string_equal(out, pairs[i].address);
        assert_true(address_to_dashed(pairs[i].address, out));
        assert_string_equal(out, pairs[i].dashed);
    }
    assert_true(address_to_dashed("fd00::", out));
    assert_string_equal(out, "fd00--0");
    assert_false(dashed_to_address(STR("web-1"), out));
    assert_false(dashed_to_address(STR("10-1-2-300"), out));
    assert_false(dashed_to_address(STR("a-b-c-d"), out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_names_as_coredns_does),
        cmocka_unit_test(a_dot_within_a_label_separates_nothing),
        cmocka_unit_test(reverse_names_are_those_of_loopback_addresses),
        cmocka_unit_test(spells_addresses_with_dashes),
    };
    naming_init(&naming, "cluster.local");
    naming.found_zone = xstrdup("corp.example");
    int failed = cmocka_run_group_tests_name("dns/zone", tests, NULL, NULL);
    naming_finish(&naming);
    return failed;
}
