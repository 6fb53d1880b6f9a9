/* tests/unit/ca/authority_test.c - what a local authority is, and what OpenSSL lets it sign */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "base/own.h"
#include "ca/authority.h"
#include "net/tls.h"
#include "net/tls_ssl.h"

static struct authority *authority;
static X509 *certificate;
static EVP_PKEY *key;

static void read_text(const char *text)
{
    BIO *bio = BIO_new_mem_buf(text, -1);

    certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_true(certificate && key);
}

static int begin(void **state)
{
    (void)state;
    struct diag why;
    assert_int_equal(authority_make("cluster.local", &authority, &why), OK);
    AUTO_FREE char *text = authority_text(authority);
    read_text(text);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    authority_destroy(TAKE(authority));
    X509_free(TAKE(certificate));
    EVP_PKEY_free(TAKE(key));
    return 0;
}

static void extend(X509 *x, int nid, const char *value)
{
    X509V3_CTX context;

    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(e);
    assert_int_equal(X509_add_ext(x, e, -1), 1);
    X509_EXTENSION_free(e);
}

/* A certificate that a thief of the key could sign; its subject has the words of
 * `constraints`, because an authority and its leaf must differ in theirs. */
static X509 *sign(EVP_PKEY *subject_key, const char *names, const char *constraints,
                  X509 *issuer, EVP_PKEY *issuer_key)
{
    X509 *x = X509_new();

    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 7);
    X509_gmtime_adj(X509_getm_notBefore(x), -60);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_set_pubkey(x, subject_key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "O", MBSTRING_ASC,
                               (const unsigned char *)constraints, -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    extend(x, NID_basic_constraints, constraints);
    if (names)
        extend(x, NID_subject_alt_name, names);
    assert_true(X509_sign(x, issuer_key, EVP_sha256()) > 0);
    return x;
}

/* X509_V_OK or the error of `openssl verify`. */
static int verify(X509 *x, X509 *between)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    STACK_OF(X509) *untrusted = sk_X509_new_null();

    X509_STORE_add_cert(store, certificate);
    if (between)
        sk_X509_push(untrusted, between);
    X509_STORE_CTX_init(context, store, x, untrusted);
    X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER);
    int result =
        X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    sk_X509_free(untrusted);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return result;
}

static int verify_names(const char *names)
{
    X509 *x = sign(key, names, "critical,CA:FALSE", certificate, key);
    int result = verify(x, NULL);

    X509_free(x);
    return result;
}

static void names_of_the_cluster_verify(void **state)
{
    (void)state;
    assert_int_equal(verify_names("DNS:web.shop.svc.cluster.local"), X509_V_OK);
    assert_int_equal(verify_names("DNS:web-0.web.shop.svc.cluster.local"), X509_V_OK);
    assert_int_equal(verify_names("DNS:_http._tcp.web.shop.svc.cluster.local"),
                     X509_V_OK);
    assert_int_equal(verify_names("DNS:web-0.shop.pod.cluster.local"), X509_V_OK);
    assert_int_equal(verify_names("DNS:web.shop.deploy.cluster.local"), X509_V_OK);
    assert_int_equal(verify_names("DNS:web.shop.localhost"), X509_V_OK);
    assert_int_equal(verify_names("DNS:web.shop.svc"), X509_V_OK);
    assert_int_equal(verify_names("DNS:web.shop.svc.prod.k8s"), X509_V_OK);
}

static void no_other_name_verifies(void **state)
{
    (void)state;
    static const char *const names[] = {
        "DNS:example.com",
        "DNS:web.shop",
        "DNS:cluster.local.example.com",
        "DNS:notcluster.local",
        "DNS:dashboard.shop.cluster.local",
        "DNS:web.shop.notsvc.cluster.local",
        "DNS:cluster.local",
        "DNS:web.shop.svc.cluster.local,DNS:example.com",
        "IP:127.0.0.2",
        "IP:::1",
        "DNS:web.shop.localhost,IP:127.0.0.1",
        "email:me@example.com",
        "email:me@cluster.local",
        "URI:https://example.com/",
        "URI:https://web.shop.svc.cluster.local/",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_not_equal(verify_names(names[i]), X509_V_OK);
    assert_int_equal(verify_names("DNS:example.com"), X509_V_ERR_PERMITTED_VIOLATION);
    assert_int_equal(verify_names("IP:127.0.0.2"), X509_V_ERR_EXCLUDED_VIOLATION);
}

static void an_authority_below_it_does_not_verify(void **state)
{
    (void)state;
    EVP_PKEY *sub_key = EVP_EC_gen("P-256");
    X509 *sub = sign(sub_key, NULL, "critical,CA:TRUE", certificate, key);
    X509 *leaf =
        sign(sub_key, "DNS:web.shop.localhost", "critical,CA:FALSE", sub, sub_key);

    assert_int_equal(verify(leaf, sub), X509_V_ERR_PATH_LENGTH_EXCEEDED);
    X509_free(leaf);
    X509_free(sub);
    EVP_PKEY_free(sub_key);
}

static void its_constraints_are_critical(void **state)
{
    (void)state;
    int at = X509_get_ext_by_NID(certificate, NID_name_constraints, -1);

    assert_true(at >= 0);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(certificate, at)), 1);
    assert_int_equal(X509_get_pathlen(certificate), 0);
}

static void it_covers_three_labels_and_more(void **state)
{
    (void)state;
    static const char *const covered[] = { "web.shop.localhost",
                                           "web.shop.svc",
                                           "web.shop.svc.cluster.local",
                                           "web-0.shop.pod.cluster.local",
                                           "web.shop.deploy.cluster.local",
                                           "web.shop.svc.prod.k8s",
                                           "WEB.Shop.LocalHost" };
    static const char *const others[] = { "web.shop",
                                          "web.localhost",
                                          "localhost",
                                          "cluster.local",
                                          "example.com",
                                          "a.b.example.com",
                                          "a.b.notlocalhost",
                                          "a.b.svcx",
                                          "",
                                          "a.b.cluster.local",
                                          "a.b.notsvc.cluster.local",
                                          "svc.cluster.local" };

    for (size_t i = 0; i < ARRAY_LEN(covered); i++)
        assert_true(authority_covers(authority, str_of(covered[i])));
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(authority_covers(authority, str_of(others[i])));
}

static X509 *issued(const char *host, struct tls_context **ret)
{
    *ret = authority_issue(authority, str_of(host));
    assert_non_null(*ret);
    return SSL_CTX_get0_certificate((*ret)->ssl);
}

static void a_leaf_verifies_for_its_host_only(void **state)
{
    (void)state;
    struct tls_context *context;
    X509 *x = issued("web.shop.svc.cluster.local", &context);

    assert_int_equal(verify(x, NULL), X509_V_OK);
    assert_int_equal(X509_check_host(x, "web.shop.svc.cluster.local", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "api.shop.svc.cluster.local", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ca(x), 0);
    tls_context_unref(context);
}

static void a_leaf_ends_after_seven_days(void **state)
{
    (void)state;
    struct tls_context *context;
    X509 *x = issued("web.shop.localhost", &context);
    time_t six = time(NULL) + 6 * 86400 + 3600, seven = time(NULL) + 7 * 86400 + 60;

    assert_true(X509_cmp_time(X509_get0_notAfter(x), &six) > 0);
    assert_true(X509_cmp_time(X509_get0_notAfter(x), &seven) < 0);
    tls_context_unref(context);
}

static void a_host_is_one_name_whatever_its_bytes(void **state)
{
    (void)state;
    struct tls_context *context;
    X509 *x = issued("a,DNS:example.com.shop.localhost", &context);

    assert_int_equal(X509_check_host(x, "example.com", 0, 0, NULL), 0);
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    GENERAL_NAMES_free(names);
    tls_context_unref(context);
}

static void it_is_read_as_it_was_written(void **state)
{
    (void)state;
    AUTO_FREE char *text = authority_text(authority);
    AUTO(authority_destroyp) struct authority *again = NULL;
    struct diag why;

    assert_int_equal(authority_read(text, "cluster.local", "x.pem", &again, &why), OK);
    assert_string_equal(authority_certificate(again), authority_certificate(authority));
    assert_string_equal(authority_fingerprint(again), authority_fingerprint(authority));
    assert_true(authority_expiry(again) > time(NULL) + 4 * 365 * 86400LL);
    assert_true(authority_expiry(again) < time(NULL) + 6 * 365 * 86400LL);
}

static void expect_unread(const char *text, const char *domain, const char *words)
{
    struct authority *none = NULL;
    struct diag why = { "" };

    assert_int_equal(authority_read(text, domain, "x.pem", &none, &why), ERR_TLS);
    assert_null(none);
    assert_non_null(strstr(why.text, "x.pem"));
    if (!strstr(why.text, words))
        fail_msg("\"%s\" is not in: %s", words, why.text);
}

static void another_authority_is_not_read(void **state)
{
    (void)state;
    AUTO_FREE char *text = authority_text(authority);
    AUTO(authority_destroyp) struct authority *other = NULL;
    struct diag why;

    expect_unread(text, "corp.internal", "constrained to \"corp.internal\"");
    expect_unread("", "cluster.local", "no PEM");
    expect_unread(authority_certificate(authority), "cluster.local", "key");
    assert_int_equal(authority_make("cluster.local", &other, &why), OK);
    AUTO_FREE char *theirs = authority_text(other);
    AUTO_FREE char *mixed = xasprintf("%s%s", authority_certificate(authority),
                                      strstr(theirs, "-----BEGIN PRIVATE KEY"));
    expect_unread(mixed, "cluster.local", "key");
}

static void a_certificate_without_constraints_is_not_read(void **state)
{
    (void)state;
    X509 *x = sign(key, NULL, "critical,CA:TRUE,pathlen:0", certificate, key);
    BIO *bio = BIO_new(BIO_s_mem());
    char *at;

    PEM_write_bio_X509(bio, x);
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &at);
    AUTO_FREE char *text = xstrndup(at, (size_t)n);
    expect_unread(text, "cluster.local", "not a local CA");
    BIO_free(bio);
    X509_free(x);
}

/* Self-signed by the key of `authority`, with these constraints; as text, with the key. */
static char *authority_with(const char *constraints)
{
    X509 *x = sign(key, NULL, "critical,CA:TRUE,pathlen:0", certificate, key);
    BIO *bio = BIO_new(BIO_s_mem());
    char *at;

    extend(x, NID_name_constraints, constraints);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    PEM_write_bio_X509(bio, x);
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &at);
    char *text = xstrndup(at, (size_t)n);
    BIO_free(bio);
    X509_free(x);
    return text;
}

#define EARLIER                                                                          \
    "critical,permitted;DNS:%s,permitted;DNS:localhost,permitted;DNS:svc,"               \
    "permitted;DNS:k8s,permitted;email:invalid,permitted;URI:invalid,"                   \
    "excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:0:0:0:0:0:0:0:0/0:0:0:0:0:0:0:0"

/* It was permitted the whole domain; it signs no more than a new one. */
static void an_authority_of_an_earlier_version_is_read(void **state)
{
    (void)state;
    AUTO_FREE char *constraints = xasprintf(EARLIER, "cluster.local");
    AUTO_FREE char *text = authority_with(constraints);
    AUTO(authority_destroyp) struct authority *earlier = NULL;
    struct diag why;

    assert_int_equal(authority_read(text, "cluster.local", "x.pem", &earlier, &why), OK);
    assert_true(authority_covers(earlier, STR("web.shop.svc.cluster.local")));
    assert_false(authority_covers(earlier, STR("a.b.cluster.local")));

    AUTO_FREE char *wider = xasprintf(EARLIER, "local");
    AUTO_FREE char *wide = authority_with(wider);
    expect_unread(wide, "cluster.local", "not a local CA");
}

static void a_domain_of_one_label_gets_no_authority(void **state)
{
    (void)state;
    static const char *const domains[] = { "com", "com." };
    struct authority *none;
    struct diag why;

    for (size_t i = 0; i < ARRAY_LEN(domains); i++) {
        assert_int_equal(authority_make(domains[i], &none, &why), ERR_CONFIG);
        assert_non_null(strstr(why.text, "only one label"));
    }
}

static void a_domain_that_is_none_gets_no_authority(void **state)
{
    (void)state;
    static const char *const domains[] = {
        "", ".local", "a,DNS:b", "../x", "A.b", "a b"
    };
    struct authority *none;
    struct diag why;

    for (size_t i = 0; i < ARRAY_LEN(domains); i++)
        assert_int_equal(authority_make(domains[i], &none, &why), ERR_CONFIG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(names_of_the_cluster_verify),
        TEST(no_other_name_verifies),
        TEST(an_authority_below_it_does_not_verify),
        TEST(its_constraints_are_critical),
        TEST(it_covers_three_labels_and_more),
        TEST(a_leaf_verifies_for_its_host_only),
        TEST(a_leaf_ends_after_seven_days),
        TEST(a_host_is_one_name_whatever_its_bytes),
        TEST(it_is_read_as_it_was_written),
        TEST(another_authority_is_not_read),
        TEST(a_certificate_without_constraints_is_not_read),
        TEST(an_authority_of_an_earlier_version_is_read),
        TEST(a_domain_of_one_label_gets_no_authority),
        TEST(a_domain_that_is_none_gets_no_authority),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
