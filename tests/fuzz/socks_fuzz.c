/* tests/fuzz/socks_fuzz.c - the messages of SOCKS clients: what a decoder accepts holds its bounds,
 * and every shorter input is incomplete */
#include <assert.h>
#include <string.h>

#include "base/own.h"
#include "wire/socks.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_host(const struct socks_request *r)
{
    size_t n = strnlen(r->host, sizeof(r->host));

    assert(n > 0 && n < sizeof(r->host));
    for (size_t i = 0; i < n; i++)
        assert(r->host[i] > ' ' && r->host[i] < 0x7f);
}

static void try_request(enum err (*decode)(const uint8_t *, size_t,
                                           struct socks_request *, size_t *),
                        const uint8_t *bytes, size_t len, size_t max)
{
    struct socks_request r;
    size_t used = 0, again;

    if (decode(bytes, len, &r, &used))
        return;
    assert(used <= len && used <= max);
    check_host(&r);
    for (size_t cut = 0; cut < used; cut++)
        assert(decode(bytes, cut, &r, &again) == ERR_AGAIN);
    enum err e = decode(bytes, used, &r, &again);
    assert(e == OK && again == used);
}

static void try_greetings(const uint8_t *bytes, size_t len)
{
    struct socks5_offer offer;
    struct socks5_login login;
    size_t used = 0;

    if (!socks5_offer_decode(bytes, len, &offer, &used))
        assert(used <= len && used <= SOCKS5_MESSAGE_MAX);
    if (!socks5_login_decode(bytes, len, &login, &used))
        assert(used <= len && used <= SOCKS5_MESSAGE_MAX &&
               strlen(login.user) + strlen(login.password) + 3 == used);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    try_request(socks4_request_decode, bytes, len, SOCKS4_MESSAGE_MAX);
    try_request(socks5_request_decode, bytes, len, SOCKS5_MESSAGE_MAX);
    try_greetings(bytes, len);
    return 0;
}
