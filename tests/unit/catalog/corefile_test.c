/* tests/unit/catalog/corefile_test.c - the domain in CoreDNS' configuration */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/corefile.h"

#include "base/own.h"

/* As kubeadm, k3s, RKE2, EKS and OpenShift write it, shortened. */
#define SERVER(kubernetes)                                                               \
    ".:53 {\n    errors\n    health {\n       lameduck 5s\n    }\n    "                  \
    "ready\n" kubernetes                                                                 \
    "    prometheus :9153\n    forward . /etc/resolv.conf {\n       max_concurrent "     \
    "1000\n    }\n    cache 30\n}\n"

static void the_domain_of_the_kubernetes_plugin_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *zone; /* NULL: there is none */
    } cases[] = {
        { SERVER("    kubernetes cluster.local in-addr.arpa ip6.arpa {\n       pods "
                 "insecure\n       fallthrough in-addr.arpa ip6.arpa\n       ttl 30\n    "
                 "}\n"),
          "cluster.local" },
        { SERVER("    kubernetes Corp.Example. in-addr.arpa {\n    }\n"),
          "corp.example" },
        { SERVER("\tkubernetes in-addr.arpa ip6.arpa corp.example\r\n"), "corp.example" },
        { SERVER("    kubernetes k8s # cluster.local\n"), "k8s" },
        { "cluster.example:53 {\n  kubernetes\n}\n", "cluster.example" },
        { "dns://cluster.example.:1053 10.in-addr.arpa {\n  kubernetes {\n  }\n}\n",
          "cluster.example" },
        { ". {\n kubernetes a.b {\n }\n}\nother {\n kubernetes c.d\n}\n", "a.b" },
        { "# .:53 {\n#  kubernetes no.no\n.:53 {\n  log\n  kubernetes a.b\n}", "a.b" },
        { "(snippet) {\n  errors\n}\n.:53 {\n  import snippet\n  kubernetes a.b {\n  "
          "}\n}",
          "a.b" },
        { SERVER("    kubernetes in-addr.arpa ip6.arpa {\n    }\n"), NULL },
        { SERVER("    kubernetes {$CLUSTER_DOMAIN} in-addr.arpa {\n    }\n"), NULL },
        { SERVER("    kubernetes evil_zone {\n    }\n"), NULL },
        { SERVER("    forward . 1.1.1.1\n"), NULL },
        { ".:53 {\n  kubernetes\n}\n", NULL },
        { "kubernetes a.b\n", NULL },
        { ".:53 {\n  rewrite {\n    kubernetes a.b\n  }\n}\n", NULL },
        { "} } }\n.:53 {\n kubernetes a.b\n}", "a.b" },
        { "", NULL },
        { "{", NULL },
        { "kubernetes", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char zone[ZONE_ROOM] = "untouched";
        bool found = corefile_zone(str_of(cases[i].text), zone);
        if (found != (cases[i].zone != NULL))
            fail_msg("case %zu: %s", i, found ? zone : "not found");
        if (found)
            assert_string_equal(zone, cases[i].zone);
    }
}

static void a_domain_has_at_most_253_bytes(void **state)
{
    (void)state;
    char zone[ZONE_ROOM], text[2048] = ".:53 {\n kubernetes ";
    size_t at = strlen(text);

    for (size_t i = 0; i < 253; i++)
        text[at + i] = i % 2 ? '.' : 'a';
    memcpy(text + at + 253, "\n}\n", 4);
    assert_true(corefile_zone(str_of(text), zone));
    assert_int_equal(strlen(zone), 253);
    memcpy(text + at + 253, ".a\n}\n", 6);
    assert_false(corefile_zone(str_of(text), zone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_domain_of_the_kubernetes_plugin_is_found),
        cmocka_unit_test(a_domain_has_at_most_253_bytes),
    };
    return cmocka_run_group_tests_name("catalog/corefile", tests, NULL, NULL);
}
