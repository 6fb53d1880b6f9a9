/* tests/unit/kube/exec_credential_test.c - input and output of plugins, expiry of tokens,
 * answers of OIDC providers, impersonation */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>

#include "base/own.h"
#include "kube/exec_credential.h"
#include "kube/exec_words.h"
#include "kube/impersonation.h"
#include "kube/jwt.h"
#include "kube/oidc_answers.h"

#define HEAD "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" EXEC_API_V1 "\","

static void token_certificate_and_expiry_are_read(void **state)
{
    (void)state;
    struct secret s;
    struct diag why;

    assert_int_equal(
        exec_credential_parse(STR(" \n" HEAD
                                  "\"status\":{\"token\":\"t\",\"clientCertificateData\":"
                                  "\"c\",\"clientKeyData\":\"k\",\"expirationTimestamp\":"
                                  "\"2026-11-29T06:20:57Z\",\"more\":1}}\n"),
                              EXEC_API_V1, &s, &why),
        OK);
    assert_string_equal(s.token, "t");
    assert_string_equal(s.certificate, "c");
    assert_string_equal(s.key, "k");
    assert_int_equal(s.expires_at, 1795933257000);
    secret_finish(&s);
    assert_int_equal(
        exec_credential_parse(
            STR(HEAD "\"status\":{\"token\":\"t\",\"expirationTimestamp\":null}}"),
            EXEC_API_V1, &s, &why),
        OK);
    assert_true(s.expires_at == NEVER_EXPIRES);
    assert_null(s.certificate);
    secret_finish(&s);
}

static void every_cut_of_a_credential_is_refused(void **state)
{
    (void)state;
    static const char text[] = HEAD "\"status\":{\"token\":\"t\"}}";
    struct secret s;

    for (size_t len = 0; len < sizeof(text) - 1; len++) {
        struct diag why = { "" };
        assert_int_equal(
            exec_credential_parse((struct str){ text, len }, EXEC_API_V1, &s, &why),
            ERR_PROTO);
        assert_true(why.text[0]);
        assert_null(s.token);
    }
}

static void the_specification_names_the_cluster_where_it_is_asked_for(void **state)
{
    (void)state;
    struct kc_cluster cluster = { .server = (char *)"https://x/",
                                  .disable_compression = true,
                                  .exec_config = (char *)"{\"a\":1}" };
    struct kube_target t = { .cluster = &cluster,
                             .server = (char *)"https://x",
                             .tls_server_name = (char *)"y",
                             .proxy = (char *)"socks5://z",
                             .insecure = true };
    AUTO_FREE char *with = exec_credential_spec(EXEC_API_V1, true, &t);
    AUTO_FREE char *without = exec_credential_spec(EXEC_API_V1BETA1, false, NULL);

    assert_string_equal(without,
                        "{\"kind\":\"ExecCredential\",\"apiVersion\":"
                        "\"" EXEC_API_V1BETA1 "\",\"spec\":{\"interactive\":false}}");
    assert_string_equal(with,
                        "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" EXEC_API_V1
                        "\",\"spec\":{\"cluster\":{\"server\":\"https://x/\","
                        "\"tls-server-name\":\"y\",\"insecure-skip-tls-verify\":true,"
                        "\"proxy-url\":\"socks5://z\",\"disable-compression\":true,"
                        "\"config\":{\"a\":1}},\"interactive\":true}}");
}

/* ---- words ---- */

static void last_words(const char *const parts[], size_t count, char *out, size_t room)
{
    struct exec_words w;

    exec_words_begin(&w, "plugin", false);
    for (size_t i = 0; i < count; i++)
        exec_words_add(&w, str_of(parts[i]));
    exec_words_end(&w);
    exec_words_last(&w, out, room);
}

static void the_last_lines_that_fit_are_the_error(void **state)
{
    (void)state;
    static const char *const parts[] = { "first li", "ne\n\n  second\t",
                                         "line\r\nthird \x1b[1m", "line" };
    char out[64];

    last_words(parts, ARRAY_LEN(parts), out, sizeof(out));
    assert_string_equal(out, "first line second line third ?[1mline");
    last_words(parts, ARRAY_LEN(parts), out, 30);
    assert_string_equal(out, "second line third ?[1mline");
    last_words(parts, ARRAY_LEN(parts), out, 10);
    assert_string_equal(out, "third ?[1");
    last_words(parts, 0, out, sizeof(out));
    assert_string_equal(out, "");
}

static void the_error_output_that_is_kept_is_bounded(void **state)
{
    (void)state;
    static struct exec_words w;
    char out[EXEC_TAIL_MAX + 1];

    exec_words_begin(&w, "plugin", false);
    for (int i = 0; i < 100000; i++)
        exec_words_add(&w, STR("no end of it "));
    for (int i = 0; i < 1000; i++)
        exec_words_add(&w, STR("line\n"));
    exec_words_end(&w);
    exec_words_last(&w, out, sizeof(out));
    assert_in_range(strlen(out), EXEC_TAIL_MAX / 2, EXEC_TAIL_MAX);
}

/* ---- tokens and providers ---- */

static void expiry_of_a_token_is_read(void **state)
{
    (void)state;
    int64_t ms = 0;

    /* {"alg":"none"} . {"exp":1700000000} and {"exp":1.7e9,"a":"??>"} */
    assert_int_equal(
        jwt_expiry(STR("eyJhbGciOiJub25lIn0.eyJleHAiOjE3MDAwMDAwMDB9."), &ms), OK);
    assert_int_equal(ms, 1700000000000);
    assert_int_equal(jwt_expiry(STR("e30.eyJleHAiOjEuN2U5LCJhIjoiPz8-In0.c2ln"), &ms),
                     OK);
    assert_int_equal(ms, 1700000000000);
    static const char *const bad[] = { "",
                                       ".",
                                       "a.b",
                                       "abc",
                                       "e30.e30.",
                                       "e30.!!.x",
                                       "e30..x",
                                       "e30.eyJleHAiOiJ4In0.x",
                                       "e30.eyJleHAiOi0xfQ.x",
                                       "e30.eyJleHAiOjFlMzB9.x" };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(jwt_expiry(str_of(bad[i]), &ms), ERR_PROTO);
}

static void forms_are_escaped(void **state)
{
    (void)state;
    const char *const names[] = { "a", "b", "c" };
    const char *const values[] = { "x y&z", NULL, "\xc3\xa4+" };
    AUTO_FREE char *form = oidc_form(names, values, 3);

    assert_string_equal(form, "a=x%20y%26z&c=%C3%A4%2B");
}

static void answers_of_a_provider_are_checked(void **state)
{
    (void)state;
    struct oidc_tokens t = { 0 };
    struct diag why;
    char *endpoint = NULL;

    assert_int_equal(oidc_read_tokens(200, STR("{\"id_token\":\"a.b.c\"}"), &t, &why),
                     OK);
    assert_string_equal(t.id, "a.b.c");
    assert_null(t.refresh);
    oidc_tokens_finish(&t);
    assert_int_equal(oidc_read_tokens(200, STR("{\"access_token\":\"a\"}"), &t, &why),
                     ERR_PROTO);
    assert_int_equal(oidc_read_tokens(200, STR("{\"id_token\":\"a\\nb\"}"), &t, &why),
                     ERR_PROTO);
    assert_int_equal(
        oidc_read_tokens(400, STR("{\"error\":\"invalid_grant\"}"), &t, &why), ERR_GONE);
    assert_int_equal(oidc_read_tokens(502, STR("<html>"), &t, &why), ERR_CREDENTIALS);
    static const char plain[] = "{\"token_endpoint\":\"http://x/\"}";
    assert_int_equal(oidc_read_discovery(str_of(plain), true, &endpoint, &why),
                     ERR_PROTO);
    assert_int_equal(oidc_read_discovery(str_of(plain), false, &endpoint, &why), OK);
    assert_string_equal(endpoint, "http://x/");
    free(endpoint);
    assert_int_equal(oidc_read_discovery(STR("{\"token_endpoint\":\"file:///x\"}"), false,
                                         &endpoint, &why),
                     ERR_PROTO);
}

/* ---- impersonation ---- */

static void impersonation_becomes_header_fields(void **state)
{
    (void)state;
    char *groups[] = { (char *)"g1", (char *)"g2" };
    char *values[] = { (char *)"v1", (char *)"v2" };
    struct kc_extra extra = { (char *)"example.com/a b%", { values, 2 } };
    struct kc_user u = { .as = (char *)"jane",
                         .as_uid = (char *)"7",
                         .as_groups = { groups, 2 },
                         .as_extra = { &extra, 1 } };
    static const char *const expected[] = {
        "Impersonate-User: jane",
        "Impersonate-Uid: 7",
        "Impersonate-Group: g1",
        "Impersonate-Group: g2",
        "Impersonate-Extra-example.com%2Fa%20b%25: v1",
        "Impersonate-Extra-example.com%2Fa%20b%25: v2",
    };
    struct texts fields = { 0 };
    struct diag why;

    assert_int_equal(impersonation_check(&u, &why), OK);
    impersonation_fields(&u, &fields);
    assert_int_equal(fields.count, ARRAY_LEN(expected));
    for (size_t i = 0; i < fields.count; i++)
        assert_string_equal(fields.at[i], expected[i]);
    texts_finish(&fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_certificate_and_expiry_are_read),
        cmocka_unit_test(every_cut_of_a_credential_is_refused),
        cmocka_unit_test(the_specification_names_the_cluster_where_it_is_asked_for),
        cmocka_unit_test(the_last_lines_that_fit_are_the_error),
        cmocka_unit_test(the_error_output_that_is_kept_is_bounded),
        cmocka_unit_test(expiry_of_a_token_is_read),
        cmocka_unit_test(forms_are_escaped),
        cmocka_unit_test(answers_of_a_provider_are_checked),
        cmocka_unit_test(impersonation_becomes_header_fields),
    };
    return cmocka_run_group_tests_name("kube/exec_credential", tests, NULL, NULL);
}
