/* tests/unit/route/name_test.c - which names are names of the cluster, and which are not
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "route/name.h"

#include "base/own.h"

static struct str zone(void)
{
    return STR("cluster.local");
}

static void parse(const char *host, struct name *ret)
{
    name_parse(str_of(host), zone(), ret);
}

static void assert_str(struct str got, const char *wanted, const char *host)
{
    if (!str_eq(got, str_of(wanted)))
        fail_msg("%s: got \"%.*s\", not \"%s\"", host, STR_ARG(got), wanted);
}

static void assert_kind(const struct name *n, enum name_kind kind, const char *host)
{
    if (n->kind != kind)
        fail_msg("%s: kind %d, not %d (%s)", host, (int)n->kind, (int)kind,
                 n->problem ? n->problem : "no problem");
    if (kind == NAME_INVALID && !n->problem)
        fail_msg("%s: invalid without a word", host);
}

static void knows_every_form_of_a_service(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "web.shop.svc.cluster.local",
        "web.shop.svc.cluster.local.",
        "web.shop.svc",
        "web.shop.svc.localhost",
        "web.shop",
        "web.shop.",
        "web.shop.localhost",
        "WEB.Shop.SVC.Cluster.LOCAL",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name n;
        parse(hosts[i], &n);
        assert_kind(&n, NAME_SERVICE, hosts[i]);
        assert_str(n.service, "web", hosts[i]);
        assert_str(n.ns, "shop", hosts[i]);
        assert_true(str_empty(n.endpoint) && str_empty(n.port_name));
        assert_false(n.udp);
    }
}

static void knows_one_endpoint_of_a_service(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "db-0.db.shop.svc.cluster.local",
        "db-0.db.shop.svc",
        "DB-0.db.shop.svc.localhost.",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name n;
        parse(hosts[i], &n);
        assert_kind(&n, NAME_ENDPOINT, hosts[i]);
        assert_str(n.endpoint, "db-0", hosts[i]);
        assert_str(n.service, "db", hosts[i]);
        assert_str(n.ns, "shop", hosts[i]);
    }
}

static void knows_a_port_by_its_name(void **state)
{
    (void)state;
    struct name n;

    parse("_http-alt._tcp.web.shop.svc.cluster.local", &n);
    assert_kind(&n, NAME_SERVICE, "_tcp");
    assert_str(n.port_name, "http-alt", "_tcp");
    assert_str(n.service, "web", "_tcp");
    assert_false(n.udp);

    parse("_dns._udp.kube-dns.kube-system.svc", &n);
    assert_kind(&n, NAME_SERVICE, "_udp");
    assert_str(n.port_name, "dns", "_udp");
    assert_true(n.udp);
}

/* As in CoreDNS: a leading underscore is removed, and may be missing. */
static void underscores_of_a_port_may_be_left_out(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "_http._tcp.web.shop.svc.cluster.local",
        "http.tcp.web.shop.svc.cluster.local",
        "_http.tcp.web.shop.svc",
        "http._TCP.web.shop.svc.localhost",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name n;
        parse(hosts[i], &n);
        assert_kind(&n, NAME_SERVICE, hosts[i]);
        assert_str(n.port_name, "http", hosts[i]);
        assert_str(n.service, "web", hosts[i]);
        assert_false(n.udp);
    }
}

static void knows_any_pod_of_a_deployment(void **state)
{
    (void)state;
    static const struct {
        const char *host, *port;
    } cases[] = {
        { "web.shop.deploy", "" },
        { "web.shop.deploy.", "" },
        { "WEB.shop.Deploy.cluster.local", "" },
        { "web.shop.deploy.localhost", "" },
        { "_http._tcp.web.shop.deploy.localhost", "http" },
        { "http.tcp.web.shop.deploy", "http" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name n;
        parse(cases[i].host, &n);
        assert_kind(&n, NAME_DEPLOYMENT, cases[i].host);
        assert_str(n.service, "web", cases[i].host);
        assert_str(n.ns, "shop", cases[i].host);
        assert_str(n.port_name, cases[i].port, cases[i].host);
    }
}

static void a_namespace_may_be_called_deploy(void **state)
{
    (void)state;
    static const char *const hosts[] = { "web.deploy", "web.deploy.localhost",
                                         "web.deploy.svc", "web.deploy.svc.localhost" };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name n;
        parse(hosts[i], &n);
        assert_kind(&n, NAME_SERVICE, hosts[i]);
        assert_str(n.service, "web", hosts[i]);
        assert_str(n.ns, "deploy", hosts[i]);
    }
}

static void names_may_consist_of_digits(void **state)
{
    (void)state;
    static const char *const hosts[] = { "1.2.svc.cluster.local", "1.2.localhost",
                                         "1.2.svc", "1.2.svc.localhost" };
    struct name n;

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        parse(hosts[i], &n);
        assert_kind(&n, NAME_SERVICE, hosts[i]);
        assert_str(n.service, "1", hosts[i]);
        assert_str(n.ns, "2", hosts[i]);
    }
    parse("web.2", &n);
    assert_kind(&n, NAME_SERVICE, "web.2");
    parse("1.2", &n);
    assert_kind(&n, NAME_OWN, "1.2"); /* resolvers take it for 1.0.0.2 */
    parse("2.0.shop.pod", &n);
    assert_kind(&n, NAME_POD, "2.0.shop.pod");
}

static void knows_a_pod_by_name_and_by_address(void **state)
{
    (void)state;
    static const struct {
        const char *host, *pod;
    } cases[] = {
        { "db-0.shop.pod.cluster.local", "db-0" },
        { "db-0.shop.pod", "db-0" },
        { "db-0.shop.pod.localhost", "db-0" },
        { "kube-proxy-n1.example.shop.pod", "kube-proxy-n1.example" },
        { "10-1-2-3.shop.pod.cluster.local", "10.1.2.3" },
        { "fd00--7.shop.pod", "fd00::7" },
        { "FD00--0.shop.pod", "fd00::" },
        { "fd00-0-0-0-0-0-0-8.shop.pod", "fd00::8" },
        { "10-1-2.shop.pod", "10-1-2" },
        { "10-1-2-333.shop.pod", "10-1-2-333" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name n;
        parse(cases[i].host, &n);
        assert_kind(&n, NAME_POD, cases[i].host);
        assert_str(n.endpoint, cases[i].pod, cases[i].host);
        assert_str(n.ns, "shop", cases[i].host);
    }
}

static void own_names_are_recognized(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "",       "localhost", "LocalHost.", "127.0.0.1",  "127.8.9.1",
        "0x7f.1", "127.1",     "2130706433", "0177.0.0.1", "10.0.0.1",
        "[::1]",  "::1",       "[fd00::1]",
    };

    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct name n;
        parse(hosts[i], &n);
        assert_kind(&n, NAME_OWN, hosts[i]);
    }
}

static void other_names_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *host, *problem;
    } cases[] = {
        { "www.example.com", "not a name of the cluster" },
        { "cluster.local", "not a name of the cluster" },
        { "svc.cluster.local", "not a name of the cluster" },
        { "web.shop.cluster.local", "not a name of the cluster" },
        { "web.shop.svc.other.zone", "not a name of the cluster" },
        { "web", "no namespace" },
        { "web.svc", "no namespace" },
        { "web.pod", "no namespace" },
        { "web.svc.cluster.local", "no namespace" },
        { "web.pod.cluster.local", "no namespace" },
        { "foo.localhost", "<service>.<namespace>.localhost" },
        { "localhost.localhost", "<service>.<namespace>.localhost" },
        { "db-0.db.shop.prod.localhost", "too many labels" },
        { "web.svc.prod.k8s", "no namespace" },
        { "web.deploy.prod.k8s", "no namespace" },
        { "web.shop.prod.k8s", "not a name of the cluster" },
        { "web.shop.svc.k8s", "not a name of the cluster" },
        { "web.shop.svc._prod.k8s", "not a name of the cluster" },
        { "a.b.c.d.e.svc.prod.k8s", "too many labels" },
        { "web.shop.svc..", "an empty label" },
        { "web.shop..", "an empty label" },
        { ".", "an empty label" },
        { ".web.shop", "an empty label" },
        { "web..shop", "an empty label" },
        { "-web.shop", "hyphen" },
        { "web-.shop", "hyphen" },
        { "w_b.shop", "a byte that no host name has" },
        { "web shop.x", "a byte that no host name has" },
        { "w\303\251b.shop", "a byte that no host name has" },
        { "user@web.shop", "a byte that no host name has" },
        { "_.shop", "a byte that no host name has" },
        { "_web.shop", "an underscore" },
        { "web._shop.svc", "an underscore" },
        { "_db.shop.pod", "an underscore" },
        { "_http.web.shop.svc", "_<port>._tcp" },
        { "_http._quic.web.shop.svc", "its protocol" },
        { "a.db-0.db.shop.svc", "its protocol" },
        { "web.deploy.cluster.local", "not a name of the cluster" },
        { "x.web.shop.deploy", "<deployment>.<namespace>.deploy" },
        { "a.b.web.shop.deploy", "its protocol" },
        { "a.b.c.d.e.deploy", "<deployment>.<namespace>.deploy" },
        { "_web.shop.deploy", "an underscore" },
        { "a.b.c.d.e.svc", "too many labels" },
        { "[::1", "in brackets" },
        { "[]", "in brackets" },
        { "[10.0.0.1]", "in brackets" },
        { "[::1]]", "in brackets" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name n;
        parse(cases[i].host, &n);
        assert_kind(&n, NAME_INVALID, cases[i].host);
        if (!strstr(n.problem, cases[i].problem))
            fail_msg("%s: \"%s\", not \"%s\"", cases[i].host, n.problem,
                     cases[i].problem);
    }
}

/* A label of `len` bytes, then ".shop". */
static void parse_long_label(size_t len, struct name *ret)
{
    char host[128];

    memset(host, 'a', len);
    strcpy(host + len, ".shop");
    parse(host, ret);
}

static void limits_labels_to_63_bytes(void **state)
{
    (void)state;
    struct name n;

    parse_long_label(62, &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    parse_long_label(63, &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    parse_long_label(64, &n);
    assert_int_equal(n.kind, NAME_INVALID);
    assert_string_equal(n.problem, "a label longer than 63 bytes");
}

/* A pod whose name has as many short labels as fit, so that all is `len` bytes long. */
static void parse_long_name(size_t len, bool dot, struct name *ret)
{
    char host[1024];
    const char *end = ".shop.pod";

    for (size_t i = 0; i < len; i++)
        host[i] = i % 2 ? '.' : 'a';
    host[len - strlen(end) - 1] = 'b';
    strcpy(host + len - strlen(end), end);
    if (dot)
        strcat(host, ".");
    parse(host, ret);
}

static void limits_names_to_253_bytes(void **state)
{
    (void)state;
    struct name n;

    parse_long_name(252, false, &n);
    assert_int_equal(n.kind, NAME_POD);
    parse_long_name(253, true, &n);
    assert_int_equal(n.kind, NAME_POD);
    for (size_t len = 254; len < 600; len++) {
        parse_long_name(len, len % 2, &n);
        assert_int_equal(n.kind, NAME_INVALID);
        assert_string_equal(n.problem, "longer than 253 bytes");
    }
}

static void any_zone_is_accepted(void **state)
{
    (void)state;
    struct name n;

    name_parse(STR("web.shop.svc.k8s"), STR("k8s"), &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    name_parse(STR("web.shop.svc.a.b.c.d"), STR("A.b.C.d."), &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    name_parse(STR("web.shop.svc.cluster.local"), STR("k8s"), &n);
    assert_int_equal(n.kind, NAME_INVALID);
    name_parse(STR("web.shop.svc"), STR(""), &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    name_parse(STR("k8s"), STR("k8s"), &n);
    assert_int_equal(n.kind, NAME_INVALID);
}

static void shows_only_what_can_be_printed(void **state)
{
    (void)state;
    struct name n;

    name_parse((struct str){ "A\0\033\n<.b", 7 }, zone(), &n);
    assert_int_equal(n.kind, NAME_INVALID);
    assert_string_equal(n.text, "a??"
                                "?<.b");
}

static void a_copy_does_not_refer_to_the_original(void **state)
{
    (void)state;
    struct name a, b;

    parse("_http._tcp.web.shop.svc", &a);
    name_copy(&b, &a);
    memset(&a, 'x', sizeof(a));
    assert_str(b.service, "web", "copy");
    assert_str(b.ns, "shop", "copy");
    assert_str(b.port_name, "http", "copy");
    assert_str(b.endpoint, "", "copy");

    parse("10-1-2-3.shop.pod", &a);
    name_copy(&b, &a);
    memset(&a, 'x', sizeof(a));
    assert_str(b.endpoint, "10.1.2.3", "copy");
}

static void splits_an_authority(void **state)
{
    (void)state;
    static const struct {
        const char *authority, *host;
        uint16_t port;
    } cases[] = {
        { "web.shop", "web.shop", 0 },
        { "web.shop:80", "web.shop", 80 },
        { "web.shop:", "web.shop", 0 },
        { "web.shop:65535", "web.shop", 65535 },
        { "[::1]", "[::1]", 0 },
        { "[::1]:8080", "[::1]", 8080 },
        { "[::1]:", "[::1]", 0 },
        { "", "", 0 },
        { "web.shop:00080", "web.shop", 80 },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str host;
        uint16_t port;
        if (authority_split(str_of(cases[i].authority), &host, &port) != OK)
            fail_msg("%s refused", cases[i].authority);
        assert_str(host, cases[i].host, cases[i].authority);
        assert_int_equal(port, cases[i].port);
    }
}

static void refuses_a_malformed_authority(void **state)
{
    (void)state;
    static const char *const cases[] = {
        ":80",     ":",        "web:0",     "web:65536", "web:99999999999999999999",
        "web:8o",  "web:+80",  "web: 80",   "web:80:80", "::1",
        "[::1",    "[::1]80",  "[::1]x:80", "[]",        "[]:80",
        "[::1]:0", "[::1]:-1",
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str host = STR("kept");
        uint16_t port = 7;
        if (authority_split(str_of(cases[i]), &host, &port) != ERR_PROTO)
            fail_msg("%s taken", cases[i]);
        assert_str(host, "kept", cases[i]);
        assert_int_equal(port, 7);
    }
}

static void every_form_may_name_its_cluster(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        enum name_kind kind;
        enum name_suffix suffix;
        const char *first, *ns, *cluster; /* service, or what endpoint has */
    } cases[] = {
        /* clang-format off */
        { "web.shop.prod.localhost", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "shop", "prod" },
        { "WEB.Shop.PROD.Localhost.", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "shop", "prod" },
        { "web.svc.prod.localhost", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "svc", "prod" },
        { "web.pod.prod.localhost", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "pod", "prod" },
        { "web.shop.deploy.prod.k8s", NAME_DEPLOYMENT, NAME_SUFFIX_K8S, "web", "shop", "prod" },
        { "web.deploy.prod.localhost", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "deploy", "prod" },
        { "web.shop.deploy.localhost", NAME_DEPLOYMENT, NAME_SUFFIX_SVC_LOCALHOST, "web", "shop", "" },
        { "web.shop.svc.prod.localhost", NAME_SERVICE, NAME_SUFFIX_SVC_LOCALHOST, "web", "shop", "prod" },
        { "web.shop.svc.prod.k8s", NAME_SERVICE, NAME_SUFFIX_K8S, "web", "shop", "prod" },
        { "db-0.db.shop.svc.prod.k8s", NAME_ENDPOINT, NAME_SUFFIX_K8S, "db-0", "shop", "prod" },
        { "db-0.db.shop.svc.prod.localhost", NAME_ENDPOINT, NAME_SUFFIX_SVC_LOCALHOST, "db-0", "shop", "prod" },
        { "_http._tcp.web.shop.svc.prod.k8s", NAME_SERVICE, NAME_SUFFIX_K8S, "web", "shop", "prod" },
        { "web-abc.shop.pod.prod.k8s", NAME_POD, NAME_SUFFIX_K8S, "web-abc", "shop", "prod" },
        { "10-1-2-3.shop.pod.prod.localhost", NAME_POD, NAME_SUFFIX_SVC_LOCALHOST, "10.1.2.3", "shop", "prod" },
        /* ... and these have no label of a cluster. */
        { "web.shop.svc.localhost", NAME_SERVICE, NAME_SUFFIX_SVC_LOCALHOST, "web", "shop", "" },
        { "web.svc.svc.localhost", NAME_SERVICE, NAME_SUFFIX_SVC_LOCALHOST, "web", "svc", "" },
        { "web.shop.pod.localhost", NAME_POD, NAME_SUFFIX_SVC_LOCALHOST, "web", "shop", "" },
        { "web.shop.localhost", NAME_SERVICE, NAME_SUFFIX_LOCALHOST, "web", "shop", "" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct name n, copy;
        const char *host = cases[i].host;
        parse(host, &n);
        name_copy(&copy, &n);
        memset(&n, 0, sizeof(n));
        assert_kind(&copy, cases[i].kind, host);
        assert_int_equal(copy.suffix, cases[i].suffix);
        bool service = cases[i].kind == NAME_SERVICE || cases[i].kind == NAME_DEPLOYMENT;
        assert_str(service ? copy.service : copy.endpoint, cases[i].first, host);
        assert_str(copy.ns, cases[i].ns, host);
        assert_str(copy.cluster, cases[i].cluster, host);
    }
}

/* If the cluster's domain looks like the label of a cluster, it is the domain. */
static void the_zone_is_read_before_a_cluster(void **state)
{
    (void)state;
    struct name n;

    name_parse(STR("web.shop.svc.prod.k8s"), STR("prod.k8s"), &n);
    assert_int_equal(n.kind, NAME_SERVICE);
    assert_int_equal(n.suffix, NAME_SUFFIX_ZONE);
    assert_true(str_empty(n.cluster));
}

static void the_host_under_localhost_names_the_service(void **state)
{
    (void)state;
    static const struct {
        const char *service, *ns, *host;
    } cases[] = {
        { "web", "shop", "web.shop.localhost" },
        { "web", "svc", "web.svc.svc.localhost" },
        { "web", "pod", "web.pod.svc.localhost" },
        { "svc", "svc", "svc.svc.svc.localhost" },
        { "web", "localhost", "web.localhost.localhost" },
        { "cluster", "local", "cluster.local.localhost" },
        { "svc", "shop", "svc.shop.localhost" },
        { "web", "deploy", "web.deploy.localhost" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *host =
            name_under_localhost(cases[i].service, cases[i].ns, zone());
        assert_string_equal(host, cases[i].host);
        struct name n;
        parse(host, &n);
        assert_kind(&n, NAME_SERVICE, host);
        assert_str(n.service, cases[i].service, host);
        assert_str(n.ns, cases[i].ns, host);
    }
    assert_null(name_under_localhost("no service", "shop", zone()));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_every_form_of_a_service),
        cmocka_unit_test(knows_one_endpoint_of_a_service),
        cmocka_unit_test(knows_a_port_by_its_name),
        cmocka_unit_test(underscores_of_a_port_may_be_left_out),
        cmocka_unit_test(knows_any_pod_of_a_deployment),
        cmocka_unit_test(a_namespace_may_be_called_deploy),
        cmocka_unit_test(names_may_consist_of_digits),
        cmocka_unit_test(knows_a_pod_by_name_and_by_address),
        cmocka_unit_test(own_names_are_recognized),
        cmocka_unit_test(other_names_are_refused),
        cmocka_unit_test(limits_labels_to_63_bytes),
        cmocka_unit_test(limits_names_to_253_bytes),
        cmocka_unit_test(any_zone_is_accepted),
        cmocka_unit_test(shows_only_what_can_be_printed),
        cmocka_unit_test(a_copy_does_not_refer_to_the_original),
        cmocka_unit_test(splits_an_authority),
        cmocka_unit_test(refuses_a_malformed_authority),
        cmocka_unit_test(every_form_may_name_its_cluster),
        cmocka_unit_test(the_zone_is_read_before_a_cluster),
        cmocka_unit_test(the_host_under_localhost_names_the_service),
    };
    return cmocka_run_group_tests_name("route/name", tests, NULL, NULL);
}
