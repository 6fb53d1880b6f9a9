#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/own.h"
#include "playground/ca.h"

static int setup(void **state)
{
    struct local_ca *ca;
    if (local_ca_create("test CA", &ca, NULL))
        return -1;
    *state = ca;
    return 0;
}

static int teardown(void **state)
{
    local_ca_destroy(*state);
    return 0;
}

static X509 *parse(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(x);
    return x;
}

static bool key_fits(X509 *x, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    bool fits = X509_check_private_key(x, key) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return fits;
}

/* Whether the authority has signed it, for this purpose. */
static bool trusted(const struct local_ca *ca, X509 *leaf, int purpose)
{
    X509 *root = parse(local_ca_certificate(ca));
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *check = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, root);
    X509_STORE_CTX_init(check, store, leaf, NULL);
    X509_STORE_CTX_set_purpose(check, purpose);
    bool ok = X509_verify_cert(check) == 1;
    X509_STORE_CTX_free(check);
    X509_STORE_free(store);
    X509_free(root);
    return ok;
}

static void a_server_is_trusted_by_its_names(void **state)
{
    const char *const names[] = { "localhost", "127.0.0.1", "::1", NULL };
    struct identity i;
    assert_int_equal(
        local_ca_issue(
            *state,
            &(struct certificate_request){
                .common_name = "server", .names = names, .server = true, .days = 1 },
            &i, NULL),
        OK);
    X509 *x = parse(i.certificate);
    assert_true(key_fits(x, i.key));
    assert_true(trusted(*state, x, X509_PURPOSE_SSL_SERVER));
    assert_false(trusted(*state, x, X509_PURPOSE_SSL_CLIENT));
    assert_int_equal(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "other", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(x, "127.0.0.2", 0), 0);
    X509_free(x);
    identity_finish(&i);
}

static void a_client_is_named_by_its_subject(void **state)
{
    struct identity i;
    char name[64];
    assert_int_equal(local_ca_issue(*state,
                                    &(struct certificate_request){ .common_name = "dev",
                                                                   .organization = "crew",
                                                                   .days = 1 },
                                    &i, NULL),
                     OK);
    X509 *x = parse(i.certificate);
    assert_true(trusted(*state, x, X509_PURPOSE_SSL_CLIENT));
    assert_false(trusted(*state, x, X509_PURPOSE_SSL_SERVER));
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name,
                              sizeof(name));
    assert_string_equal(name, "dev");
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_organizationName, name,
                              sizeof(name));
    assert_string_equal(name, "crew");
    X509_free(x);
    identity_finish(&i);
}

static void a_certificate_of_another_authority_is_refused(void **state)
{
    struct local_ca *other;
    struct identity i;
    const struct certificate_request request = { .common_name = "server",
                                                 .server = true,
                                                 .days = 1 };
    assert_int_equal(local_ca_create("test CA", &other, NULL), OK);
    assert_int_equal(local_ca_issue(other, &request, &i, NULL), OK);
    X509 *x = parse(i.certificate);
    assert_false(trusted(*state, x, X509_PURPOSE_SSL_SERVER));
    X509_free(x);
    identity_finish(&i);
    local_ca_destroy(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_server_is_trusted_by_its_names, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_is_named_by_its_subject, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_certificate_of_another_authority_is_refused,
                                        setup, teardown),
    };
    return cmocka_run_group_tests_name("playground/ca", tests, NULL, NULL);
}
