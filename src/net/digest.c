#include "net/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

void digest_sha1(struct str text, uint8_t ret[static SHA1_SIZE])
{
    if (EVP_Digest(text.at, text.len, ret, NULL, EVP_sha1(), NULL) != 1)
        abort();
}
