/* tests/fuzz/spdy_frame_fuzz.c - a sequence of SPDY frames, as a connection carries them
 *
 * What decodes must have consistent lengths, and a block must lie inside its frame.
 */
#include <assert.h>
#include <stdint.h>

#include "wire/spdy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_control(const struct spdy_head *head, const uint8_t *body)
{
    struct spdy_control c;
    if (spdy_control_decode(head, body, &c))
        return;
    if (c.block.at) {
        const uint8_t *block = (const uint8_t *)c.block.at;
        assert(block >= body && block + c.block.len == body + head->length);
    }
    assert(head->type != SPDY_RST_STREAM || c.status != 0);
    assert(head->type == SPDY_PING || c.id <= SPDY_ID_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct spdy_head head;

    while (!spdy_head_decode(bytes, len, &head)) {
        bytes += SPDY_HEAD;
        len -= SPDY_HEAD;
        if (head.length > len)
            return 0;
        assert(head.type == SPDY_DATA ? head.id != 0 : head.length <= SPDY_CONTROL_MAX);
        if (head.type != SPDY_DATA)
            check_control(&head, bytes);
        bytes += head.length;
        len -= head.length;
    }
    return 0;
}
