/* tests/unit/net/tls_identity_test.c - what an identity is made of, and which servers it trusts
 *
 * Handshakes are between tls.c and a server of OpenSSL's, in memory.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "certificates.h"
#include "net/tls.h"
#include "playground/tls_server.h"

static struct issued ca, outsider, intermediate, user, server;
static struct loop *loop;
static struct task wake;

static void on_wake(struct task *task)
{
    (void)task;
}

static int begin(void **state)
{
    (void)state;
    ca = issue("authority", NULL, NULL, -DAY, DAY);
    outsider = issue("outsider", NULL, NULL, -DAY, DAY);
    intermediate = issue("intermediate", NULL, &ca, -DAY, DAY);
    user = issue("user", "DNS:user", &ca, -DAY, DAY);
    server = issue("server.in.subject", "DNS:api.test, DNS:*.wild.test, IP:127.0.0.1",
                   &intermediate, -DAY, DAY);
    loop = loop_create();
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    return 0;
}

static int end(void **state)
{
    (void)state;
    struct issued *all[] = { &ca, &outsider, &intermediate, &user, &server };
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        issued_finish(all[i]);
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}

/* A handshake with the server, which sends its intermediate certificate too; *why has the
 * reason why the client refused it. */
static bool accepts(struct tls_identity *identity, const char *host, struct diag *why)
{
    AUTO_FREE char *chain =
        xasprintf("%s%s", server.certificate_pem, intermediate.certificate_pem);
    AUTO_FREE char *name = tls_identity_name(identity, host);
    struct tls_server_settings s = { .certificate = chain, .key = server.key_pem };
    struct tls_context *there, *here = tls_context_of(identity, "http/1.1");
    struct stream_pair ends =
        mem_stream_pair(loop_sched(loop), loop_pool(loop), 64 * 1024);

    assert_int_equal(tls_server_context(&s, &there, why), OK);
    struct stream *client = tls_client_open(loop, here, ends.a, name);
    struct stream *peer =
        tls_server_open(loop_sched(loop), loop_pool(loop), there, ends.b);
    client->wake = peer->wake = &wake;
    sched_run(loop_sched(loop), loop_sched(loop)->now);
    bool ready = tls_ready(client) && !client->broken;
    diag_set(why, OK, "%s", client->end.why.text);
    stream_close(client);
    stream_close(peer);
    sched_run(loop_sched(loop), loop_sched(loop)->now);
    tls_context_unref(here);
    tls_context_unref(there);
    return ready;
}

static struct tls_identity *trusting(const char *pem, const char *server_name)
{
    struct tls_identity_settings s = { .ca = { pem, "ca" }, .server_name = server_name };
    struct tls_identity *identity = NULL;
    struct diag why = { "" };

    if (tls_identity_create(&s, &identity, NULL, &why))
        fail_msg("%s", why.text);
    return identity;
}

static void expect(const char *pem, const char *host, const char *refusal)
{
    AUTO(tls_identity_unrefp) struct tls_identity *identity = trusting(pem, NULL);
    struct diag why = { "" };

    if (accepts(identity, host, &why) == (refusal != NULL))
        fail_msg("%s: \"%s\"", host, why.text);
    if (refusal && !strstr(why.text, refusal))
        fail_msg("%s: \"%s\"", host, why.text);
}

static void trusts_a_certificate_wherever_it_stands_in_the_chain(void **state)
{
    (void)state;

    expect(ca.certificate_pem, "api.test", NULL);
    expect(intermediate.certificate_pem, "api.test", NULL);
    expect(server.certificate_pem, "api.test", NULL);
    expect(outsider.certificate_pem, "api.test",
           "the certificate of api.test is signed by an unknown authority");
    expect(user.certificate_pem, "api.test", "unknown authority");
}

static void verifies_names_as_go_does(void **state)
{
    (void)state;

    expect(ca.certificate_pem, "API.test", NULL);
    expect(ca.certificate_pem, "api.test.", NULL);
    expect(ca.certificate_pem, "127.0.0.1", NULL);
    expect(ca.certificate_pem, "a.wild.test", NULL);
    expect(ca.certificate_pem, "a.b.wild.test", "is for another name");
    expect(ca.certificate_pem, "wild.test", "is for another name");
    expect(ca.certificate_pem, "127.0.0.2",
           "the certificate of 127.0.0.2 is for another name (api.test, *.wild.test, "
           "127.0.0.1, not 127.0.0.2)");
    expect(ca.certificate_pem, "server.in.subject", "is for another name");
}

static void verifies_the_server_name_instead_of_the_host(void **state)
{
    (void)state;
    struct diag why = { "" };
    struct tls_identity *named = trusting(ca.certificate_pem, "api.test.");
    struct tls_identity *wrong = trusting(ca.certificate_pem, "other.test");

    assert_true(accepts(named, "10.0.0.1", &why));
    assert_false(accepts(wrong, "api.test", &why));
    assert_non_null(
        strstr(why.text, "the certificate of other.test is for another name"));
    tls_identity_unref(named);
    tls_identity_unref(wrong);
}

static void put_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void the_authorities_of_the_system_come_from_the_environment(void **state)
{
    (void)state;
    char folder[] = "/tmp/kube-tunnel-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *file = xasprintf("%s/any name", folder);
    AUTO_FREE char *list = xasprintf("/nonexistent:%s", folder);
    put_file(file, ca.certificate_pem);

    expect(NULL, "api.test", "unknown authority");
    setenv("SSL_CERT_FILE", file, 1);
    expect(NULL, "api.test", NULL);
    expect(outsider.certificate_pem, "api.test", "unknown authority");
    unsetenv("SSL_CERT_FILE");
    setenv("SSL_CERT_DIR", list, 1);
    expect(NULL, "api.test", NULL);
    unsetenv("SSL_CERT_DIR");
    unlink(file);
    rmdir(folder);
}

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static double ms_of_identities(unsigned count)
{
    double start = cpu_ms();

    for (unsigned i = 0; i < count; i++)
        tls_identity_unref(trusting(NULL, NULL));
    return cpu_ms() - start;
}

static void the_authorities_of_the_system_are_read_once(void **state)
{
    (void)state;
    char folder[] = "/tmp/kube-tunnel-test-XXXXXX";
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *file = xasprintf("%s/bundle", folder);
    FILE *f = fopen(file, "w");
    assert_non_null(f);
    for (int i = 0; i < 200; i++)
        fputs(ca.certificate_pem, f);
    assert_int_equal(fclose(f), 0);

    setenv("SSL_CERT_FILE", file, 1);
    double first = ms_of_identities(1), more = ms_of_identities(20);
    unsetenv("SSL_CERT_FILE");
    unlink(file);
    rmdir(folder);
    if (more > first * 5)
        fail_msg("%.1f ms, then %.1f ms for twenty", first, more);
}

static void skips_damaged_authorities_with_a_warning(void **state)
{
    (void)state;
    AUTO_FREE char *bundle = xasprintf(
        "# ours\n-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        "-----BEGIN EC PARAMETERS-----\nAAAA\n-----END EC PARAMETERS-----\n%s\n",
        ca.certificate_pem);
    struct tls_identity_settings s = { .ca = { bundle, "bundle" } };
    struct tls_identity *identity = NULL;
    struct texts warnings = { 0 };
    struct diag why = { "" };

    if (tls_identity_create(&s, &identity, &warnings, &why))
        fail_msg("%s", why.text);
    assert_true(accepts(identity, "api.test", &why));
    assert_int_equal(warnings.count, 2);
    assert_true(str_starts(str_of(warnings.at[0]),
                           STR("bundle: the certificate in line 2 is damaged (")));
    assert_true(str_starts(str_of(warnings.at[1]),
                           STR("bundle: the certificate in line 5 is damaged (")));
    texts_finish(&warnings);
    tls_identity_unref(identity);
}

static char *rsa_key(const EVP_CIPHER *cipher, bool traditional)
{
    BIO *bio = BIO_new(BIO_s_mem());
    EVP_PKEY *key = EVP_RSA_gen(2048);
    unsigned char password[] = "secret";
    char *at;
    int len = cipher ? 6 : 0;

    if (traditional)
        PEM_write_bio_PrivateKey_traditional(bio, key, cipher, password, len, NULL, NULL);
    else
        PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, (char *)password, len, NULL,
                                      NULL);
    long n = BIO_get_mem_data(bio, &at);
    char *text = xstrndup(at, (size_t)n);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return text;
}

static void unusable_certificates_and_keys_are_named(void **state)
{
    (void)state;
    AUTO_FREE char *rsa = rsa_key(NULL, false);
    AUTO_FREE char *encrypted = rsa_key(EVP_aes_128_cbc(), false);
    AUTO_FREE char *old_encrypted = rsa_key(EVP_aes_128_cbc(), true);
    const char *good = user.certificate_pem, *good_key = user.key_pem;
    const struct {
        const char *ca, *certificate, *key, *expected;
    } cases[] = {
        /* clang-format off */
        { "junk", NULL, NULL, "the ca: holds no PEM (no \"-----BEGIN\" line)" },
        { "", NULL, NULL, "the ca: holds no PEM (no \"-----BEGIN\" line)" },
        { "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", NULL, NULL,
          "the ca: the certificate in line 1 of the PEM is damaged" },
        { good_key, NULL, NULL, "the ca: holds a key where a certificate should be" },
        { NULL, "junk", good_key, "the certificate: holds no PEM" },
        { NULL, good_key, good_key, "the certificate: holds a key where a certificate should be" },
        { NULL, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", good_key,
          "the certificate: the certificate in line 1 of the PEM is damaged" },
        { NULL, good, NULL, "the certificate: there is no key for it" },
        { NULL, good, "junk", "the key: holds no PEM" },
        { NULL, good, good, "the key: holds a certificate where a key should be" },
        { NULL, good, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
          "the key: the key in line 1 of the PEM is damaged" },
        { NULL, good, "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n",
          "the key: the key in line 1 of the PEM is damaged (not base64)" },
        { NULL, good, ca.key_pem, "the key: the key does not belong to the client certificate" },
        { NULL, good, rsa, "the key: the key is of type rsaEncryption and the certificate's of type id-ecPublicKey" },
        { NULL, good, encrypted, "the key: the key is encrypted" },
        { NULL, good, old_encrypted, "the key: the key is encrypted" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tls_identity *identity = NULL;
        struct diag why = { "" };
        struct tls_identity_settings s = { .ca = { cases[i].ca, "the ca" },
                                           .certificate = { cases[i].certificate,
                                                            "the certificate" },
                                           .key = { cases[i].key, "the key" } };

        assert_int_equal(tls_identity_create(&s, &identity, NULL, &why), ERR_TLS);
        assert_null(identity);
        if (!str_starts(str_of(why.text), str_of(cases[i].expected)))
            fail_msg("%zu: \"%s\"", i, why.text);
    }
}

/* Both in one text, as some tools write them, and a chain. */
static void finds_certificate_and_key_among_other_blocks(void **state)
{
    (void)state;
    AUTO_FREE char *both = xasprintf("Bag Attributes\r\n%s\n%s%s", user.key_pem,
                                     user.certificate_pem, ca.certificate_pem);
    struct tls_identity_settings s = { .ca = { ca.certificate_pem, "ca" },
                                       .certificate = { both, "certificate" },
                                       .key = { both, "key" } };
    struct tls_identity *identity = NULL;
    struct diag why = { "" };

    if (tls_identity_create(&s, &identity, NULL, &why))
        fail_msg("%s", why.text);
    long long left = tls_identity_expiry(identity) - (long long)time(NULL);
    assert_in_range(left, DAY - 60, DAY + 60);
    assert_true(accepts(identity, "api.test", &why));
    tls_identity_unref(identity);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trusts_a_certificate_wherever_it_stands_in_the_chain),
        cmocka_unit_test(verifies_names_as_go_does),
        cmocka_unit_test(verifies_the_server_name_instead_of_the_host),
        cmocka_unit_test(the_authorities_of_the_system_come_from_the_environment),
        cmocka_unit_test(the_authorities_of_the_system_are_read_once),
        cmocka_unit_test(skips_damaged_authorities_with_a_warning),
        cmocka_unit_test(unusable_certificates_and_keys_are_named),
        cmocka_unit_test(finds_certificate_and_key_among_other_blocks),
    };
    return cmocka_run_group_tests_name("net/tls_identity", tests, begin, end);
}
