/* tests/fuzz/tls_hello_fuzz.c - what is accepted has terminated texts and is incomplete when cut */
#include <assert.h>
#include <string.h>

#include "base/own.h"
#include "wire/tls_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* A buffer that ends where its bytes end, so that reading past them is found. */
static enum err decode(const uint8_t *bytes, size_t len, struct tls_hello *ret)
{
    AUTO_FREE uint8_t *exact = xmalloc(len ? len : 1);

    memcpy(exact, bytes, len);
    return tls_hello_decode(exact, len, ret, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct tls_hello h, again;
    enum err e = decode(bytes, len, &h);

    assert(len < TLS_HELLO_WIRE_MAX || e != ERR_AGAIN);
    if (e)
        return 0;
    assert(memchr(h.server_name, 0, sizeof(h.server_name)));
    assert(memchr(h.alpn, 0, sizeof(h.alpn)));
    for (size_t cut = len / 2; cut < len; cut += 1 + len / 16) {
        e = decode(bytes, cut, &again);
        assert(e == ERR_AGAIN || !strcmp(again.server_name, h.server_name));
    }
    return 0;
}
