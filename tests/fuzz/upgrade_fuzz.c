/* tests/fuzz/upgrade_fuzz.c - the answer to an upgrade, over either transport
 *
 * The first byte selects the transport, and whether the connection ends after the answer.
 */
#include <assert.h>
#include <stdint.h>

#include "tunnel/upgrade.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct chunk_pool pool;
    struct bufq in;
    struct api_error error = { 0 };

    if (len == 0)
        return 0;
    enum transport transport =
        bytes[0] & 1 ? TRANSPORT_KIND_WEBSOCKET : TRANSPORT_KIND_SPDY;
    bool eof = bytes[0] & 2;
    chunk_pool_init(&pool, 0);
    bufq_init(&in, &pool, 64 * 1024);
    size_t n = bufq_write(&in, bytes + 1, len - 1);
    enum err e = upgrade_response_read(&in, eof, transport, &error);

    assert(e == OK ? in.len < n : in.len == n);
    assert(e != ERR_AGAIN || (!eof && n < UPGRADE_RESPONSE_MAX));
    assert(e == OK || e == ERR_AGAIN ? error.code == OK : error.code == e);
    bufq_finish(&in);
    chunk_pool_finish(&pool);
    return 0;
}
