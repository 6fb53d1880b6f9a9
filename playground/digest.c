#include "playground/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

void sha1(struct str bytes, uint8_t out[static SHA1_SIZE])
{
    if (EVP_Digest(bytes.at, bytes.len, out, NULL, EVP_sha1(), NULL) != 1)
        abort(); /* out of memory, or an OpenSSL without SHA-2 */
}

/* struct sha256 is never defined: the pointer is OpenSSL's EVP_MD_CTX. */
struct sha256 *sha256_begin(void)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort();
    return (struct sha256 *)context;
}

void sha256_add(struct sha256 *h, const void *bytes, size_t n)
{
    EVP_DigestUpdate((EVP_MD_CTX *)h, bytes, n);
}

void sha256_end(struct sha256 *h, uint8_t *out)
{
    if (h && out)
        EVP_DigestFinal_ex((EVP_MD_CTX *)h, out, NULL);
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
}
