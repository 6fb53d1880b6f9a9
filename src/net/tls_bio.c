/* net/tls_bio.c - the queues of a stream as a BIO of OpenSSL */
#include "net/tls_bio.h"

#include "net/stream.h"

static int on_bio_read(BIO *bio, char *to, int n)
{
    struct stream *below = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t got = bufq_read(&below->in, to, (size_t)n);
    if (got)
        return (int)got;
    if (below->in_eof)
        return 0;
    BIO_set_retry_read(bio);
    return -1;
}

static int on_bio_write(BIO *bio, const char *from, int n)
{
    struct stream *below = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    size_t taken = bufq_write(&below->out, from, (size_t)n);
    if (taken)
        return (int)taken;
    BIO_set_retry_write(bio);
    return -1;
}

static long on_bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)number;
    (void)pointer;
    struct stream *below = BIO_get_data(bio);
    if (command == BIO_CTRL_EOF)
        return below->in_eof && bufq_empty(&below->in);
    return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

BIO_METHOD *tls_bio_method(void)
{
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
    if (!m)
        return NULL;
    BIO_meth_set_read(m, on_bio_read);
    BIO_meth_set_write(m, on_bio_write);
    BIO_meth_set_ctrl(m, on_bio_ctrl);
    return m;
}

BIO *tls_bio_new(BIO_METHOD *method, struct stream *below)
{
    BIO *bio = BIO_new(method);

    if (!bio)
        return NULL;
    BIO_set_data(bio, below);
    BIO_set_init(bio, 1);
    return bio;
}
