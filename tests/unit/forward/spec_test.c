/* tests/unit/forward/spec_test.c - command lines and files of port-forward */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "forward/spec.h"

#include "base/own.h"

/* Each target as "kind/name@address,... local:remote ...", separated by "; ". */
static void print_specs(const struct forward_specs *specs, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < specs->count; i++) {
        const struct forward_spec *s = &specs->at[i];
        n += (size_t)snprintf(out + n, size - n, "%s%s%s%s/%s", i ? "; " : "",
                              s->ns ? s->ns : "", s->ns ? ":" : "",
                              forward_kind_name(s->kind), s->name);
        for (size_t j = 0; j < s->addresses.count; j++)
            if (strcmp(s->addresses.at[j], "localhost") != 0)
                n += (size_t)snprintf(out + n, size - n, "@%s", s->addresses.at[j]);
        for (size_t j = 0; j < s->port_count; j++) {
            const struct forward_port *p = &s->ports[j];
            n += p->same
                     ? (size_t)snprintf(out + n, size - n, " %s", p->remote)
                     : (size_t)snprintf(out + n, size - n, " %u:%s", p->local, p->remote);
        }
        assert_true(n < size);
    }
}

/* The words of a line, which are separated by blanks; a first word "-l" takes the next. */
static enum err parse_line(const char *line, struct forward_specs *ret, struct diag *why)
{
    AUTO_FREE char *copy = xstrdup(line);
    const char *words[32], *selector = NULL;
    struct texts none = { 0 };
    size_t count = 0, first = 0;

    for (char *at = strtok(copy, " "); at; at = strtok(NULL, " "))
        words[count++] = at;
    if (count > 1 && strcmp(words[0], "-l") == 0) {
        selector = words[1];
        first = 2;
    }
    return forward_words_parse(words + first, count - first, selector, &none, ret, why);
}

static void reads_command_lines_as_kubectl_does(void **state)
{
    (void)state;
    static const struct {
        const char *line, *specs;
    } cases[] = {
        { "db-0 5432", "pod/db-0 5432" },
        { "pod/db-0 5432:5432", "pod/db-0 5432" },
        { "po/db-0 :5432", "pod/db-0 0:5432" },
        { "Pods/db-0 0:5432", "pod/db-0 0:5432" },
        { "pods.v1./db-0 1:2", "pod/db-0 1:2" },
        { "pod 80", "pod/pod 80" },
        { "svc/web 8080:http https", "service/web 8080:http https" },
        { "service/web 1", "service/web 1" },
        { "services/web 65535", "service/web 65535" },
        { "deploy/web 8080:80", "deployment/web 8080:80" },
        { "deployment/web 8080:80", "deployment/web 8080:80" },
        { "deployments.apps/web 8080:80", "deployment/web 8080:80" },
        { "deployments.v1.apps/web 8080:80", "deployment/web 8080:80" },
        { "deploy.apps/web 8080:80", "deployment/web 8080:80" },
        { "rs/web-1 80", "replicaset/web-1 80" },
        { "sts/db 80", "statefulset/db 80" },
        { "ds/log 80", "daemonset/log 80" },
        { "job/once 80", "job/once 80" },
        { "jobs.batch/once 80", "job/once 80" },
        { "rc/old 80", "replicationcontroller/old 80" },
        { "svc/a 8080:80 svc/b 9090:90 91", "service/a 8080:80; service/b 9090:90 91" },
        { "a 80 pod/b 81", "pod/a 80; pod/b 81" },
        { "-l app=x 8080:80", "selector/app=x 8080:80" },
        { "-l app=x 8080:80 svc/b 81", "selector/app=x 8080:80; service/b 81" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct diag why = { "" };
        char text[512];
        if (parse_line(cases[i].line, &specs, &why))
            fail_msg("%s: %s", cases[i].line, why.text);
        print_specs(&specs, text, sizeof(text));
        assert_string_equal(text, cases[i].specs);
    }
}

static void refuses_command_lines_as_kubectl_does(void **state)
{
    (void)state;
    static const struct {
        const char *line, *error;
    } cases[] = {
        { "db-0", "TYPE/NAME and list of ports are required for port-forward" },
        { "svc/a 80 svc/b", "TYPE/NAME and list of ports are required" },
        { "-l app=x", "TYPE/NAME and list of ports are required for port-forward" },
        { "-l app=x svc/b 80", "TYPE/NAME and list of ports are required" },
        { "pod/ 80", "must have a single resource and name" },
        { "/db-0 80", "must have a single resource and name" },
        { "pod,svc/db-0 80", "must have a single resource and name" },
        { "pod/db-0/x 80", "may not have more than one slash" },
        { "foo/x 80", "the server doesn't have a resource type \"foo\"" },
        { "deployments.batch/web 80", "doesn't have a resource type" },
        { "deployments./web 80", "doesn't have a resource type" },
        { "pods./web 80", "doesn't have a resource type" },
        { "pods.v2./web 80", "doesn't have a resource type" },
        { "svc/we%62 80", "not the name of an object" },
        { "svc/../x 80", "may not have more than one slash" },
        { "db-0 1:2:3", "invalid port format '1:2:3'" },
        { "db-0 abc:80", "error parsing local port 'abc': invalid syntax" },
        { "db-0 -1:80", "error parsing local port '-1': invalid syntax" },
        { "db-0 70000:80", "error parsing local port '70000': value out of range" },
        { "db-0 80:70000", "error parsing remote port '70000': value out of range" },
        { "db-0 8080:0", "remote port must be > 0" },
        { "db-0 0", "remote port must be > 0" },
        { "db-0 80:", "error parsing remote port '': invalid syntax" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct diag why = { "" };
        if (!parse_line(cases[i].line, &specs, &why))
            fail_msg("accepted: %s", cases[i].line);
        if (!strstr(why.text, cases[i].error))
            fail_msg("%s: %s", cases[i].line, why.text);
    }
}

static void limits_targets_and_ports(void **state)
{
    (void)state;
    const char *words[FORWARD_TARGETS_MAX * 2 + 2];
    struct texts none = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(words); i += 2) {
        words[i] = "svc/a";
        words[i + 1] = "80";
    }
    for (size_t over = 0; over < 2; over++) {
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct diag why = { "" };
        size_t count = (FORWARD_TARGETS_MAX + over) * 2;
        enum err e = forward_words_parse(words, count, NULL, &none, &specs, &why);
        assert_int_equal(e != OK, over);
    }
    for (size_t i = 1; i < ARRAY_LEN(words); i++)
        words[i] = "80";
    for (size_t over = 0; over < 2; over++) {
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct diag why = { "" };
        size_t count = 1 + FORWARD_PORTS_MAX + over;
        enum err e = forward_words_parse(words, count, NULL, &none, &specs, &why);
        assert_int_equal(e != OK, over);
    }
}

static void reads_lists_of_addresses(void **state)
{
    (void)state;
    static const char *const bad[] = { "",           "foo",        "localhost,",
                                       "127.0.0.1 ", "[::1]",      "127.0.0.1:80",
                                       "LOCALHOST",  "example.org" };
    AUTO(texts_finish) struct texts t = { 0 };
    struct diag why = { "" };

    assert_int_equal(
        forward_addresses_add(&t, STR("localhost,10.0.0.1,::1,0.0.0.0"), &why), OK);
    assert_int_equal(t.count, 4);
    assert_string_equal(t.at[1], "10.0.0.1");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (!forward_addresses_add(&t, str_of(bad[i]), &why))
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(strstr(why.text, " is not a valid IP"));
    }
}

static void paths_lead_to_the_group_of_each_kind(void **state)
{
    (void)state;
    AUTO_FREE char *deploy = forward_kind_path(FORWARD_DEPLOYMENT, "shop", "web");
    AUTO_FREE char *pods = forward_kind_path(FORWARD_SELECTOR, "shop", "");

    assert_string_equal(deploy, "/apis/apps/v1/namespaces/shop/deployments/web");
    assert_string_equal(pods, "/api/v1/namespaces/shop/pods");
}

/* --- files --- */

static void reads_the_file_of_a_team(void **state)
{
    (void)state;
    AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
    struct texts none = { 0 };
    struct diag why = { "" };
    char text[512];
    static const char file[] = "# of the shop's team\n"
                               "forwards:\n"
                               "  - target: svc/web\n"
                               "    ports: [ 8080:http, \"8443:443\" ]\n"
                               "  - selector: app in (db, cache)\n"
                               "    namespace: shop\n"
                               "    address: 127.0.0.2\n"
                               "    ports:\n"
                               "      - 5432\n";

    enum err e = forward_file_parse(str_of(file), "team.yaml", &none, &specs, &why);
    if (e)
        fail_msg("%s", why.text);
    print_specs(&specs, text, sizeof(text));
    assert_string_equal(text, "service/web 8080:http 8443:443; "
                              "shop:selector/app in (db, cache)@127.0.0.2 5432");
    assert_string_equal(specs.at[1].origin, "team.yaml:5");
}

static void names_file_and_line_of_an_error(void **state)
{
    (void)state;
    static const struct {
        const char *file, *error;
    } cases[] = {
        { "", "t: it has no forwards" },
        { "forwards: []\n", "t: it has no forwards" },
        { "- a\n", "t:1: expected a mapping" },
        { "forwards: web\n", "t:1: expected a list" },
        { "forward: []\n", "t:1: unknown key \"forward\"" },
        { "forwards:\n- target: svc/a\n", "t:2: ports are needed" },
        { "forwards:\n- ports: [1]\n", "t:2: either target or selector" },
        { "forwards:\n- target: a\n  selector: b\n  ports: [1]\n", "t:2: either target" },
        { "forwards:\n- target: a\n  port: 80\n", "t:3: unknown key \"port\"" },
        { "forwards:\n- target: x/a\n  ports: [1]\n", "t:2: target: the server doesn't" },
        { "forwards:\n- target: a\n  ports: [x:1]\n", "t:2: ports: error parsing local" },
        { "forwards:\n- target: a\n  ports: 1\n", "t:3: expected a list" },
        { "forwards:\n- target:\n  ports: [1]\n", "t:2: target: a value is needed" },
        { "forwards:\n- target: [a]\n  ports: [1]\n", "t:2: expected text" },
        { "forwards:\n- target: a\n  namespace: a/b\n  ports: [1]\n", "t:2: namespace:" },
        { "forwards:\n- target: a\n  address: x\n  ports: [1]\n",
          "t:3: address: x is not" },
        { "forwards:\n- target: a\n  command: rm\n  ports: [1]\n", "t:3: unknown key" },
        { "forwards:\n- target: a\n  context: c\n  ports: [1]\n", "t:3: unknown key" },
        { "forwards:\n- {target: a, ports: [1]}\n---\na: b\n", "a second document" },
        { "forwards:\n- selector: \"a\\tb\"\n  ports: [1]\n", "t:2: selector: not a" },
        { "forwards:\n- target: \"a\n", "t:" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct texts none = { 0 };
        struct diag why = { "" };
        if (!forward_file_parse(str_of(cases[i].file), "t", &none, &specs, &why))
            fail_msg("accepted: %s", cases[i].file);
        if (!strstr(why.text, cases[i].error))
            fail_msg("%s: %s", cases[i].file, why.text);
    }
}

static void a_file_names_only_loopback_addresses_unless_the_user_does(void **state)
{
    (void)state;
    static const char *const others[] = { "0.0.0.0", "::", "10.0.0.1",
                                          "::ffff:10.0.0.1" };
    static const char *const loopback[] = { "127.0.0.1", "127.9.9.9", "::1",
                                            "localhost" };

    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        AUTO_FREE char *file = xasprintf(
            "forwards:\n- target: a\n  address: \"%s\"\n  ports: [1]\n", others[i]);
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        AUTO(texts_finish) struct texts allowed = { 0 };
        struct diag why = { "" };
        assert_int_equal(forward_file_parse(str_of(file), "t", &allowed, &specs, &why),
                         ERR_CONFIG);
        assert_non_null(strstr(why.text, "t:3: address: a file may name loopback"));
        forward_specs_finish(&specs);
        texts_add(&allowed, xstrdup(others[i]));
        assert_int_equal(forward_file_parse(str_of(file), "t", &allowed, &specs, &why),
                         OK);
        assert_string_equal(specs.at[0].addresses.at[0], others[i]);
    }
    for (size_t i = 0; i < ARRAY_LEN(loopback); i++) {
        AUTO_FREE char *file = xasprintf(
            "forwards:\n- target: a\n  address: \"%s\"\n  ports: [1]\n", loopback[i]);
        AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
        struct texts none = { 0 };
        struct diag why = { "" };
        assert_int_equal(forward_file_parse(str_of(file), "t", &none, &specs, &why), OK);
    }
}

static void a_file_without_an_address_uses_those_of_the_command_line(void **state)
{
    (void)state;
    static const char file[] = "forwards: [ { target: a, ports: [ 1 ] } ]\n";
    AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
    AUTO(texts_finish) struct texts allowed = { 0 };
    struct diag why = { "" };

    texts_add(&allowed, xstrdup("0.0.0.0"));
    texts_add(&allowed, xstrdup("::1"));
    assert_int_equal(forward_file_parse(str_of(file), "t", &allowed, &specs, &why), OK);
    assert_int_equal(specs.at[0].addresses.count, 2);
    assert_string_equal(specs.at[0].addresses.at[1], "::1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_command_lines_as_kubectl_does),
        cmocka_unit_test(refuses_command_lines_as_kubectl_does),
        cmocka_unit_test(limits_targets_and_ports),
        cmocka_unit_test(reads_lists_of_addresses),
        cmocka_unit_test(paths_lead_to_the_group_of_each_kind),
        cmocka_unit_test(reads_the_file_of_a_team),
        cmocka_unit_test(names_file_and_line_of_an_error),
        cmocka_unit_test(a_file_names_only_loopback_addresses_unless_the_user_does),
        cmocka_unit_test(a_file_without_an_address_uses_those_of_the_command_line),
    };
    return cmocka_run_group_tests_name("forward/spec", tests, NULL, NULL);
}
