/* net/tls_pem.c - certificates and keys out of PEM text */
#include "net/tls_pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>

/* One block between its BEGIN and END lines. */
struct block {
    char *name, *header;
    unsigned char *bytes;
    long len;
    unsigned line; /* of its BEGIN, from 1 */
    bool damaged;
};

struct blocks {
    BIO *bio;
    const char *text;
    struct block now;
};

const char *tls_reason(const char *otherwise)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    ERR_clear_error();
    return reason ? reason : otherwise;
}

static void clear_block(struct block *b)
{
    OPENSSL_free(b->name);
    OPENSSL_free(b->header);
    if (b->bytes)
        OPENSSL_cleanse(b->bytes, (size_t)b->len);
    OPENSSL_free(b->bytes);
    *b = (struct block){ 0 };
}

static void blocks_finish(struct blocks *b)
{
    clear_block(&b->now);
    BIO_free(b->bio);
    ERR_clear_error();
}

static struct blocks blocks_of(const char *text)
{
    struct blocks b = { .bio = BIO_new_mem_buf(text, -1), .text = text };

    if (!b.bio)
        abort(); /* out of memory */
    return b;
}

/* The line number of the next BEGIN after the BIO's position. */
static unsigned next_line(const struct blocks *b)
{
    size_t left = (size_t)BIO_pending(b->bio);
    size_t len = strlen(b->text);
    const char *from = b->text + len - left;
    const char *begin = strstr(from, "-----BEGIN ");
    unsigned line = 1;

    for (const char *at = b->text; begin && at < begin; at++)
        line += *at == '\n';
    return line;
}

/* False: there are no more. */
static bool next_block(struct blocks *b)
{
    clear_block(&b->now);
    b->now.line = next_line(b);
    ERR_clear_error();
    if (PEM_read_bio(b->bio, &b->now.name, &b->now.header, &b->now.bytes, &b->now.len))
        return true;
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    ERR_clear_error();
    b->now.damaged = reason != PEM_R_NO_START_LINE;
    return b->now.damaged;
}

static bool is_certificate(const struct block *b)
{
    return b->name && (strcmp(b->name, PEM_STRING_X509) == 0 ||
                       strcmp(b->name, PEM_STRING_X509_OLD) == 0);
}

static bool is_key(const struct block *b)
{
    return b->name && str_ends(str_of(b->name), STR("PRIVATE KEY"));
}

static X509 *certificate_of(const struct block *b)
{
    const unsigned char *at = b->bytes;

    return d2i_X509(NULL, &at, b->len);
}

static void warn(struct texts *warnings, const struct tls_pem *pem, const struct block *b,
                 const char *reason)
{
    if (warnings && warnings->count < 16)
        texts_add(
            warnings,
            xasprintf("%s: the certificate in line %u is damaged (%s); it is skipped",
                      pem->name, b->line, reason));
}

/* The error if no block of the wanted kind was found. */
static enum err nothing(const struct tls_pem *pem, const char *wanted, bool other,
                        const char *what_other, struct diag *why)
{
    if (other)
        return diag_set(why, ERR_TLS, "%s: holds %s where %s should be", pem->name,
                        what_other, wanted);
    if (!strstr(pem->text, "-----BEGIN "))
        return diag_set(why, ERR_TLS, "%s: holds no PEM (no \"-----BEGIN\" line)",
                        pem->name);
    return diag_set(why, ERR_TLS, "%s: holds no %s", pem->name, wanted);
}

static enum err damaged(const struct tls_pem *pem, unsigned line, const char *what,
                        const char *reason, struct diag *why)
{
    return diag_set(why, ERR_TLS, "%s: the %s in line %u of the PEM is damaged (%s)",
                    pem->name, what, line, reason);
}

enum err pem_read_authorities(const struct tls_pem *pem, X509_STORE *into,
                              struct texts *warnings, struct diag *why)
{
    AUTO(blocks_finish) struct blocks b = blocks_of(pem->text);
    unsigned count = 0, bad_line = 0;
    const char *bad_reason = NULL;
    bool has_key = false;

    while (next_block(&b)) {
        X509 *x = is_certificate(&b.now) ? certificate_of(&b.now) : NULL;
        has_key |= is_key(&b.now);
        if (!x && !b.now.damaged && !is_certificate(&b.now))
            continue;
        const char *reason = x ? NULL : tls_reason("not base64");
        if (reason) {
            bad_line = bad_line ? bad_line : b.now.line;
            bad_reason = bad_reason ? bad_reason : reason;
            warn(warnings, pem, &b.now, reason);
            continue;
        }
        X509_STORE_add_cert(into, x);
        X509_free(x);
        count++;
    }
    if (count)
        return OK;
    return bad_line ? damaged(pem, bad_line, "certificate", bad_reason, why)
                    : nothing(pem, "a certificate", has_key, "a key", why);
}

static void free_chain(STACK_OF(X509) * *chain)
{
    sk_X509_pop_free(*chain, X509_free);
}

enum err pem_read_chain(const struct tls_pem *pem, STACK_OF(X509) * *ret,
                        struct diag *why)
{
    AUTO(blocks_finish) struct blocks b = blocks_of(pem->text);
    AUTO(free_chain) STACK_OF(X509) *chain = sk_X509_new_null();
    bool has_key = false;

    while (next_block(&b)) {
        has_key |= is_key(&b.now);
        if (!b.now.damaged && !is_certificate(&b.now))
            continue;
        X509 *x = b.now.damaged ? NULL : certificate_of(&b.now);
        if (!x)
            return damaged(pem, b.now.line, "certificate", tls_reason("not base64"), why);
        sk_X509_push(chain, x);
    }
    if (sk_X509_num(chain) == 0)
        return nothing(pem, "a certificate", has_key, "a key", why);
    *ret = TAKE(chain);
    return OK;
}

static bool is_encrypted(const struct block *b)
{
    return str_starts(str_of(b->name), STR("ENCRYPTED")) ||
           (b->header && strstr(b->header, "ENCRYPTED"));
}

static enum err key_of(const struct tls_pem *pem, const struct block *b, EVP_PKEY **ret,
                       struct diag *why)
{
    const unsigned char *at = b->bytes;

    if (is_encrypted(b))
        return diag_set(why, ERR_TLS,
                        "%s: the key is encrypted, and kube-tunnel does not prompt for "
                        "passwords; decrypt it with \"openssl pkey -in KEY -out NEW\"",
                        pem->name);
    *ret = d2i_AutoPrivateKey(NULL, &at, b->len);
    return *ret ? OK : damaged(pem, b->line, "key", tls_reason("not a key"), why);
}

static enum err compare(const struct tls_pem *pem, const X509 *leaf, const EVP_PKEY *key,
                        struct diag *why)
{
    EVP_PKEY *wanted = X509_get0_pubkey(leaf);

    if (wanted && EVP_PKEY_eq(wanted, key) == 1)
        return OK;
    ERR_clear_error();
    if (wanted && EVP_PKEY_get_base_id(wanted) != EVP_PKEY_get_base_id(key))
        return diag_set(why, ERR_TLS,
                        "%s: the key is of type %s and the certificate's of type %s",
                        pem->name, OBJ_nid2sn(EVP_PKEY_get_base_id(key)),
                        OBJ_nid2sn(EVP_PKEY_get_base_id(wanted)));
    return diag_set(why, ERR_TLS, "%s: the key does not belong to the client certificate",
                    pem->name);
}

enum err pem_read_key(const struct tls_pem *pem, X509 *leaf, EVP_PKEY **ret,
                      struct diag *why)
{
    AUTO(blocks_finish) struct blocks b = blocks_of(pem->text);
    bool has_certificate = false;
    unsigned bad_line = 0;

    while (next_block(&b)) {
        EVP_PKEY *key = NULL;
        has_certificate |= is_certificate(&b.now);
        if (b.now.damaged)
            bad_line = b.now.line;
        if (!is_key(&b.now))
            continue;
        enum err e = key_of(pem, &b.now, &key, why);
        if (!e)
            e = compare(pem, leaf, key, why);
        if (e)
            EVP_PKEY_free(key);
        else
            *ret = key;
        return e;
    }
    return bad_line ? damaged(pem, bad_line, "key", "not base64", why)
                    : nothing(pem, "a key", has_certificate, "a certificate", why);
}
