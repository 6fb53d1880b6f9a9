/* tests/fuzz/websocket_fuzz.c - frame headers: what is accepted is written back the same */
#include <assert.h>

#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct websocket_header h, again;
    uint8_t wire[WEBSOCKET_HEADER_MAX];
    size_t used, used_again;

    if (websocket_header_decode(bytes, len, &h, &used))
        return 0;
    assert(used <= len && used <= WEBSOCKET_HEADER_MAX);
    size_t n = websocket_header_encode(&h, wire);
    assert(n <= used); /* a length may have been written longer than it need be */
    enum err e = websocket_header_decode(wire, n, &again, &used_again);
    assert(e == OK && used_again == n && again.payload == h.payload);
    return 0;
}
