/* tests/unit/exec/container_test.c - the variables of a container, as the kubelet makes them */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "exec/container.h"

/* The documents use ' for ", which JSON does not have. */
static json_t *json_of(const char *text)
{
    AUTO_FREE char *copy = xstrdup(text);

    for (char *c = copy; *c; c++)
        if (*c == '\'')
            *c = '"';
    json_t *json = json_loads(copy, JSON_ALLOW_NUL, NULL);
    if (!json)
        fail_msg("no JSON: %s", copy);
    return json;
}

#define OBJECTS                                                                          \
    "{'web': {'data': {'MODE': 'fast', 'PORT': '80', 'bad name': 'x', '1ST': 'y',"       \
    "'file.conf': 'a=b', 'USER_URL': '$(MODE)'}},"                                       \
    "'more': {'data': {'PORT': '81'}, 'binaryData': {'BIN': 'AAAA'}}}"
#define SECRETS                                                                          \
    "{'db': {'data': {'PASSWORD': 'czNjcmV0', 'NUL': 'YQBi', 'BROKEN': '%%%'}}}"

struct rig {
    json_t *pod, *config_maps, *secrets;
    struct variables variables;
    struct diag why;
    enum err result;
};

/* `container`: members of it; `pod`: of the pod. */
static struct rig evaluate_pod(const char *container, const char *pod, bool running,
                               bool with_secrets)
{
    struct rig r = { .config_maps = json_of(OBJECTS), .secrets = json_of(SECRETS) };
    AUTO_FREE char *text = xasprintf(
        "{%s'metadata': {'name': 'web-0', 'uid': 'u1', 'labels': {'app': 'web'}},"
        "'spec': {'nodeName': 'n1', 'containers': [{'name': 'web', %s},"
        "{'name': 'side', 'resources': {'limits': {'cpu': '250m'}}}]}}",
        pod, container);

    r.pod = json_of(text);
    variables_init(&r.variables);
    struct container_parts parts = { .pod = r.pod,
                                     .is_running = running,
                                     .ns = "shop",
                                     .config_maps = r.config_maps,
                                     .secrets = r.secrets,
                                     .with_secrets = with_secrets };
    assert_int_equal(container_find(r.pod, NULL, &parts.container, NULL), OK);
    r.result = container_variables(&parts, &r.variables, &r.why);
    return r;
}

static struct rig evaluate(const char *container)
{
    return evaluate_pod(container, "", false, true);
}

static void rig_finish(struct rig *r)
{
    variables_finish(&r->variables);
    json_decref(r->pod);
    json_decref(r->config_maps);
    json_decref(r->secrets);
}

static const char *omission_names[] = { "", "secret", "unknown", "name", "invalid" };

/* "A=1 B!secret", sorted as they were set. */
static void expect(const char *container, const char *expected)
{
    struct rig r = evaluate(container);
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (r.result)
        fprintf(out, "%s", r.why.text);
    for (size_t i = 0; !r.result && i < r.variables.count; i++) {
        const struct variable *v = r.variables.at[i];
        fprintf(out, "%s%s%s%s", i ? " " : "", v->name, v->omitted ? "!" : "=",
                v->omitted ? omission_names[v->omitted] : v->value);
    }
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
    rig_finish(&r);
}

static void value_of(const struct rig *r, const char *name, const char *expected)
{
    const struct variable *v = variables_get(&r->variables, str_of(name));

    assert_non_null(v);
    assert_int_equal(v->omitted, OMITTED_NOT);
    assert_string_equal(v->value, expected);
}

static void references_expand_as_in_the_kubelet(void **state)
{
    (void)state;
    expect("'env': [{'name': 'A', 'value': '1'}, {'name': 'B', 'value': '$(A)$(A)-$(C)'},"
           "{'name': 'C', 'value': '$$(A) $$$(A) $x $'}, {'name': 'D', 'value': '$(A'},"
           "{'name': 'E', 'value': '$($(A))$()'}, {'name': 'F'}, {'name': 'A', 'value': "
           "'2$(A)'}]",
           "A=21 B=11-$(C) C=$(A) $1 $x $ D=$(A E=$($(A))$() F=");
}

static void env_replaces_what_envFrom_has(void **state)
{
    (void)state;
    expect("'envFrom': [{'configMapRef': {'name': 'more'}}, {'prefix': 'W_', "
           "'configMapRef': {'name': 'more'}}, {'configMapRef': {'name': 'no', "
           "'optional': true}},"
           "{'secretRef': {'name': 'no', 'optional': true}}],"
           "'env': [{'name': 'PORT', 'value': '$(PORT)0'}, {'name': 'X', 'value': "
           "'$(W_PORT)'}]",
           "PORT=810 W_PORT=81 X=81");
}

static void envFrom_is_not_expanded_and_drops_invalid_names(void **state)
{
    struct rig r = evaluate("'envFrom': [{'configMapRef': {'name': 'web'}}]");

    (void)state;
    value_of(&r, "USER_URL", "$(MODE)");
    value_of(&r, "file.conf", "a=b");
    assert_int_equal(variables_get(&r.variables, STR("bad name"))->omitted,
                     OMITTED_INVALID);
    assert_int_equal(variables_get(&r.variables, STR("1ST"))->omitted, OMITTED_INVALID);
    rig_finish(&r);
}

static void keys_are_read_from_config_maps_and_secrets(void **state)
{
    (void)state;
    expect(
        "'env': [{'name': 'M', 'valueFrom': {'configMapKeyRef': {'name': 'web', 'key': "
        "'MODE'}}},"
        "{'name': 'P', 'valueFrom': {'secretKeyRef': {'name': 'db', 'key': 'PASSWORD'}}},"
        "{'name': 'O', 'valueFrom': {'secretKeyRef': {'name': 'db', 'key': 'no', "
        "'optional': true}}},"
        "{'name': 'N', 'valueFrom': {'configMapKeyRef': {'name': 'no', 'key': 'x', "
        "'optional': true}}},"
        "{'name': 'Z', 'valueFrom': {'secretKeyRef': {'name': 'db', 'key': 'NUL'}}},"
        "{'name': 'B', 'valueFrom': {'secretKeyRef': {'name': 'db', 'key': 'BROKEN'}}},"
        "{'name': 'URL', 'value': 'x:$(P)@db'}]",
        "M=fast P=s3cret Z!invalid B!invalid URL=x:s3cret@db");
}

static void missing_objects_and_keys_are_errors(void **state)
{
    (void)state;
    expect("'envFrom': [{'configMapRef': {'name': 'no'}}]",
           "the container needs the ConfigMap no, which does not exist");
    expect("'env': [{'name': 'A', 'valueFrom': {'secretKeyRef': {'name': 'gone', 'key': "
           "'k'}}}]",
           "the container needs the Secret gone, which does not exist");
    expect("'env': [{'name': 'A', 'valueFrom': {'configMapKeyRef': {'name': 'web', "
           "'key': 'k'}}}]",
           "the container needs the key k of the ConfigMap web, which does not exist");
}

static void secrets_and_what_they_are_in_are_left_out_by_default(void **state)
{
    struct rig r = evaluate_pod("'envFrom': [{'secretRef': {'name': 'db'}}],"
                                "'env': [{'name': 'P', 'valueFrom': {'secretKeyRef': "
                                "{'name': 'db', 'key': 'PASSWORD'}}},"
                                "{'name': 'URL', 'value': 'x:$(P)'}, {'name': 'TWO', "
                                "'value': '$(URL)'}, {'name': 'C', 'value': '$$(P)'}]",
                                "", false, false);
    static const char *const left[] = { "Secret db", "P", "URL", "TWO" };

    (void)state;
    assert_int_equal(r.result, OK);
    for (size_t i = 0; i < ARRAY_LEN(left); i++) {
        const struct variable *v = variables_get(&r.variables, str_of(left[i]));
        assert_non_null(v);
        assert_int_equal(v->omitted, OMITTED_SECRET);
        assert_null(v->value);
    }
    value_of(&r, "C", "$(P)");
    rig_finish(&r);
}

static const char fields[] =
    "'env': [{'name': 'NS', 'valueFrom': {'fieldRef': {'fieldPath': "
    "'metadata.namespace'}}},"
    "{'name': 'POD', 'valueFrom': {'fieldRef': {'fieldPath': 'metadata.name'}}},"
    "{'name': 'IP', 'valueFrom': {'fieldRef': {'fieldPath': 'status.podIP'}}},"
    "{'name': 'IPS', 'valueFrom': {'fieldRef': {'fieldPath': 'status.podIPs'}}},"
    "{'name': 'NODE', 'valueFrom': {'fieldRef': {'fieldPath': 'spec.nodeName'}}},"
    "{'name': 'ACCOUNT', 'valueFrom': {'fieldRef': {'fieldPath': "
    "'spec.serviceAccountName'}}},"
    "{'name': 'APP', 'valueFrom': {'fieldRef': {'fieldPath': "
    "'metadata.labels[\\u0027app\\u0027]'}}},"
    "{'name': 'TIER', 'valueFrom': {'fieldRef': {'fieldPath': "
    "'metadata.labels[\\u0027tier\\u0027]'}}},"
    "{'name': 'ODD', 'valueFrom': {'fieldRef': {'fieldPath': 'spec.secret'}}}]";

static void running_pod_has_all_fields(void **state)
{
    struct rig r = evaluate_pod(fields,
                                "'status': {'podIP': '10.0.0.9', 'podIPs': [{'ip': "
                                "'10.0.0.9'}, {'ip': 'fd00::9'}]},",
                                true, true);

    (void)state;
    assert_int_equal(r.result, OK);
    value_of(&r, "NS", "shop");
    value_of(&r, "POD", "web-0");
    value_of(&r, "IP", "10.0.0.9");
    value_of(&r, "IPS", "10.0.0.9,fd00::9");
    value_of(&r, "NODE", "n1");
    value_of(&r, "ACCOUNT", "default");
    value_of(&r, "APP", "web");
    value_of(&r, "TIER", "");
    assert_int_equal(variables_get(&r.variables, STR("ODD"))->omitted, OMITTED_UNKNOWN);
    rig_finish(&r);
}

static void template_lacks_what_only_a_pod_has(void **state)
{
    static const char *const unknown[] = { "POD", "IP", "IPS", "NODE", "TIER", "ODD" };
    struct rig r = evaluate(fields);

    (void)state;
    value_of(&r, "NS", "shop");
    value_of(&r, "APP", "web");
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++)
        assert_int_equal(variables_get(&r.variables, str_of(unknown[i]))->omitted,
                         OMITTED_UNKNOWN);
    rig_finish(&r);
}

#define AMOUNT(name, resource, more)                                                     \
    "{'name': '" name "', 'valueFrom': {'resourceFieldRef': {'resource': '" resource     \
    "'" more "}}}"

static void amounts_of_resources_are_rounded_up(void **state)
{
    (void)state;
    expect(
        "'resources': {'limits': {'cpu': '1500m', 'memory': '64Mi'}, 'requests': "
        "{'memory': '1e3'}},"
        "'env': [" AMOUNT("C", "limits.cpu", "") "," AMOUNT("M", "limits.memory", "") "," AMOUNT("K", "limits.memory", ", 'divisor': '1Mi'") "," AMOUNT("T", "limits.cpu", ", 'divisor': '1m'") "," AMOUNT(
            "R", "requests.cpu",
            "") "," AMOUNT("Q", "requests.memory",
                           "") "," AMOUNT("S", "limits.ephemeral-storage",
                                          "") "," AMOUNT("E",
                                                         "requests.ephemeral-storage",
                                                         "") "," AMOUNT("O", "limits.cpu",
                                                                        ", "
                                                                        "'containerNam"
                                                                        "e': 'side', "
                                                                        "'divisor': "
                                                                        "'1m'") "," AMOUNT("X",
                                                                                           "limits.cpu",
                                                                                           ", 'containerName': 'none'") "," AMOUNT("B",
                                                                                                                                   "limits.cpu",
                                                                                                                                   ", 'divisor': 'x'") "]",
        "C=2 M=67108864 K=64 T=1500 R=2 Q=1000 S!unknown E=0 O=250 X!unknown "
        "B!unknown");
}

static void expansion_is_bounded(void **state)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)state;
    fputs("'env': [{'name': 'A0', 'value': '0123456789'}", out);
    for (int i = 1; i < 60; i++)
        fprintf(out, ",{'name': 'A%d', 'value': '$(A%d)$(A%d)$(A%d)'}", i, i - 1, i - 1,
                i - 1);
    fputs("]", out);
    fclose(out);
    struct rig r = evaluate(text);
    assert_int_equal(r.result, OK);
    assert_int_equal(strlen(variables_get(&r.variables, STR("A8"))->value), 65610);
    assert_int_equal(variables_get(&r.variables, STR("A9"))->omitted, OMITTED_INVALID);
    assert_int_equal(variables_get(&r.variables, STR("A59"))->omitted, OMITTED_INVALID);
    rig_finish(&r);
}

static void too_many_variables_are_an_error(void **state)
{
    struct variables v;
    enum err e = OK;
    size_t count = 0;

    (void)state;
    variables_init(&v);
    for (; !e && count <= VARIABLES_MAX + 1; count++) {
        AUTO_FREE char *name = xasprintf("A%zu", count);
        e = variables_set(&v, str_of(name), STR("x"), OMITTED_NOT, NULL);
    }
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal(count, VARIABLES_MAX + 1);
    variables_finish(&v);
    AUTO_FREE char *large = xcalloc(1, VALUE_MAX + 1);
    memset(large, 'x', VALUE_MAX);
    variables_init(&v);
    e = OK;
    for (count = 0; !e && count < 32; count++) {
        AUTO_FREE char *name = xasprintf("A%zu", count);
        e = variables_set(&v, str_of(name), str_of(large), OMITTED_NOT, NULL);
    }
    assert_int_equal(e, ERR_LIMIT);
    assert_int_equal(count, VARIABLES_BYTES / VALUE_MAX + 1);
    variables_finish(&v);
}

static void container_is_the_named_the_default_or_the_first(void **state)
{
    json_t *deployment = json_of(
        "{'spec': {'template': {'metadata': {'annotations': "
        "{'kubectl.kubernetes.io/default-container': 'b'}}, 'spec': {'containers': "
        "[{'name': 'a'}, {'name': 'b'}], 'initContainers': [{'name': 'c'}]}}}}");
    json_t *job = json_of("{'spec': {'jobTemplate': {'spec': {'template': {'spec': "
                          "{'containers': [{'name': 'j'}]}}}}}}");
    json_t *service = json_of("{'spec': {'ports': []}}");
    const json_t *pod = container_pod(deployment), *found;
    struct diag why = { "" };

    (void)state;
    assert_int_equal(container_find(pod, NULL, &found, NULL), OK);
    assert_string_equal(json_string_value(json_object_get(found, "name")), "b");
    assert_int_equal(container_find(pod, "a", &found, NULL), OK);
    assert_string_equal(json_string_value(json_object_get(found, "name")), "a");
    assert_int_equal(container_find(pod, "c", &found, NULL), OK);
    assert_int_equal(container_find(pod, "x", &found, &why), ERR_NOT_FOUND);
    assert_string_equal(why.text, "no container \"x\"; there are: a b");
    assert_int_equal(container_find(container_pod(job), NULL, &found, NULL), OK);
    assert_null(container_pod(service));
    json_decref(deployment);
    json_decref(job);
    json_decref(service);
}

static void references_are_listed_once(void **state)
{
    struct texts maps = { 0 }, secrets = { 0 };
    json_t *container = json_of(
        "{'envFrom': [{'configMapRef': {'name': 'a'}}, {'secretRef': {'name': 's'}}],"
        "'env': [{'name': 'X', 'valueFrom': {'configMapKeyRef': {'name': 'a', 'key': "
        "'k'}}},"
        "{'name': 'Y', 'valueFrom': {'secretKeyRef': {'name': 't', 'key': 'k'}}}]}");

    (void)state;
    container_references(container, &maps, &secrets);
    assert_int_equal(maps.count, 1);
    assert_string_equal(maps.at[0], "a");
    assert_int_equal(secrets.count, 2);
    assert_string_equal(secrets.at[1], "t");
    texts_finish(&maps);
    texts_finish(&secrets);
    json_decref(container);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_expand_as_in_the_kubelet),
        cmocka_unit_test(env_replaces_what_envFrom_has),
        cmocka_unit_test(envFrom_is_not_expanded_and_drops_invalid_names),
        cmocka_unit_test(keys_are_read_from_config_maps_and_secrets),
        cmocka_unit_test(missing_objects_and_keys_are_errors),
        cmocka_unit_test(secrets_and_what_they_are_in_are_left_out_by_default),
        cmocka_unit_test(running_pod_has_all_fields),
        cmocka_unit_test(template_lacks_what_only_a_pod_has),
        cmocka_unit_test(amounts_of_resources_are_rounded_up),
        cmocka_unit_test(expansion_is_bounded),
        cmocka_unit_test(too_many_variables_are_an_error),
        cmocka_unit_test(container_is_the_named_the_default_or_the_first),
        cmocka_unit_test(references_are_listed_once),
    };
    return cmocka_run_group_tests_name("exec/container", tests, NULL, NULL);
}
