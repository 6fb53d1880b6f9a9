/* tests/fuzz/trace_context_fuzz.c - traceparent: what is accepted is written as it came, as far as
 * version 00 goes */
#include <assert.h>

#include "wire/trace_context.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const char *text = (const char *)bytes;
    char again[TRACEPARENT_LENGTH];
    struct trace_context c, same;

    if (!traceparent_read((struct str){ text, len }, &c))
        return 0;
    assert(len >= TRACEPARENT_LENGTH);
    traceparent_write(&c, again);
    assert(memcmp(again + 2, text + 2, 51) == 0); /* but for version and flags */
    assert(traceparent_read((struct str){ again, sizeof(again) }, &same));
    assert(memcmp(&c, &same, sizeof(c)) == 0);
    return 0;
}
