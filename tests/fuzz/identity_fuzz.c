/* tests/fuzz/identity_fuzz.c - any bytes as authorities, certificate, key and server name
 *
 * Four texts with NUL between them.  "@ca", "@cert" and "@key" stand for good ones.  The
 * result is an error that begins with the name of one of the texts, or an identity that
 * OpenSSL takes.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "playground/ca.h"
#include "net/tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct local_ca *ca;
static struct identity good;

static void make_good(void)
{
    struct certificate_request request = { .common_name = "user", .days = 1 };

    if (!ca && (local_ca_create("authority", &ca, NULL) ||
                local_ca_issue(ca, &request, &good, NULL)))
        abort();
}

/* NULL for nothing. */
static char *text_of(struct str part)
{
    if (str_eq(part, STR("@ca")))
        return xstrdup(local_ca_certificate(ca));
    if (str_eq(part, STR("@cert")))
        return xstrdup(good.certificate);
    if (str_eq(part, STR("@key")))
        return xstrdup(good.key);
    return str_empty(part) ? NULL : str_dup(part);
}

static bool begins_with_a_name(const char *why)
{
    return str_starts(str_of(why), STR("the ca: ")) ||
           str_starts(str_of(why), STR("the certificate: ")) ||
           str_starts(str_of(why), STR("the key: "));
}

static void check_identity(struct tls_identity *i)
{
    AUTO_FREE char *name = tls_identity_name(i, "host.test.");

    assert(name);
    tls_context_unref(tls_context_of(i, "http/1.1"));
    tls_context_unref(tls_context_of_proxy(i));
    tls_identity_unref(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = { (const char *)bytes, len }, part[4];
    struct texts warnings = { 0 };
    struct tls_identity *i = NULL;
    struct diag why = { "" };
    char *texts[4];

    make_good();
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    for (size_t n = 0; n < ARRAY_LEN(part); n++) {
        rest = str_cut(rest, '\0', &part[n]);
        texts[n] = text_of(part[n]);
    }
    struct tls_identity_settings s = { .ca = { texts[0], "the ca" },
                                       .certificate = { texts[1], "the certificate" },
                                       .key = { texts[2], "the key" },
                                       .server_name = texts[3] };
    enum err e = tls_identity_create(&s, &i, &warnings, &why);
    assert(e == OK || (e == ERR_TLS && !i && begins_with_a_name(why.text)));
    assert(warnings.count <= 16);
    if (i)
        check_identity(i);
    texts_finish(&warnings);
    for (size_t n = 0; n < ARRAY_LEN(texts); n++)
        free(texts[n]);
    return 0;
}
