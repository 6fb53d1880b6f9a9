/* net/tls_bio.h - the queues of a stream as a BIO of OpenSSL
 *
 * Reads take from its `in`, writes append to its `out`; where there is no byte or no room, OpenSSL
 * is asked to try again.  Nothing is buffered here.  Private to net/tls*.c.
 */
#pragma once

#include <openssl/bio.h>

struct stream;

/* Freed with BIO_meth_free, after the last of its BIOs.  NULL: out of memory. */
BIO_METHOD *tls_bio_method(void);
/* `below` is borrowed until the last operation on the BIO.  NULL: out of memory. */
BIO *tls_bio_new(BIO_METHOD *method, struct stream *below);
