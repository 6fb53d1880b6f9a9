/* net/tls_certificate.c - facts of certificates as text for people */
#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"

const char *certificate_date(const ASN1_TIME *time, char *out, size_t room)
{
    struct tm at;

    if (!ASN1_TIME_to_tm(time, &at) || !strftime(out, room, "%Y-%m-%d %H:%M:%S UTC", &at))
        snprintf(out, room, "an unreadable date");
    return out;
}

static size_t put_name(char *out, size_t room, size_t used, const char *name, size_t len)
{
    int n = used + len + 2 < room ? snprintf(out + used, room - used, "%s%.*s",
                                             used ? ", " : "", (int)len, name)
                                  : 0;
    return used + (size_t)(n > 0 ? n : 0);
}

static size_t put_address(char *out, size_t room, size_t used, const ASN1_STRING *address)
{
    char text[INET6_ADDRSTRLEN];
    int len = ASN1_STRING_length(address);
    int family = len == 4 ? AF_INET : AF_INET6;

    if ((len != 4 && len != 16) ||
        !inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof(text)))
        return used;
    return put_name(out, room, used, text, strlen(text));
}

void certificate_names(const X509 *x, char *out, size_t room)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    size_t used = 0;

    out[0] = '\0';
    for (int n = 0; n < sk_GENERAL_NAME_num(names); n++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, n);
        if (g->type == GEN_DNS)
            used = put_name(out, room, used,
                            (const char *)ASN1_STRING_get0_data(g->d.dNSName),
                            (size_t)ASN1_STRING_length(g->d.dNSName));
        else if (g->type == GEN_IPADD)
            used = put_address(out, room, used, g->d.iPAddress);
    }
    GENERAL_NAMES_free(names);
    text_make_printable(out, false);
}

void certificate_digest(const X509 *x, uint8_t out[static TLS_SHA256_SIZE])
{
    unsigned len;

    if (!X509_digest(x, EVP_sha256(), out, &len) || len != TLS_SHA256_SIZE)
        abort(); /* out of memory */
}

static void print_name(const X509_NAME *name, char *out, size_t room)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;

    if (!bio)
        abort(); /* out of memory */
    X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    long len = BIO_get_mem_data(bio, &text);
    snprintf(out, room, "%.*s", (int)len, len > 0 ? text : "");
    if (!out[0])
        snprintf(out, room, "(none)");
    BIO_free(bio);
    ERR_clear_error();
    text_make_printable(out, false);
}

void certificate_describe(const X509 *x, struct tls_certificate *ret)
{
    uint8_t digest[TLS_SHA256_SIZE];

    print_name(X509_get_subject_name(x), ret->subject, sizeof(ret->subject));
    print_name(X509_get_issuer_name(x), ret->issuer, sizeof(ret->issuer));
    certificate_names(x, ret->names, sizeof(ret->names));
    certificate_date(X509_get0_notAfter(x), ret->expires, sizeof(ret->expires));
    certificate_digest(x, digest);
    for (size_t i = 0; i < sizeof(digest); i++)
        snprintf(ret->sha256 + 2 * i, 3, "%02x", digest[i]);
}
