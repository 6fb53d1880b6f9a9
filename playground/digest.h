/* playground/digest.h - hashes, from OpenSSL */
#pragma once

#include "base/str.h"

#define SHA1_SIZE 20
#define SHA256_SIZE 32

void sha1(struct str bytes, uint8_t out[static SHA1_SIZE]);

/* Over many pieces.  sha256_end destroys it; out may be NULL. */
struct sha256;
struct sha256 *sha256_begin(void);
void sha256_add(struct sha256 *h, const void *bytes, size_t n);
void sha256_end(struct sha256 *h, uint8_t *out); /* NULL accepted */
