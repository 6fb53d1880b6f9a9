/* tests/fuzz/detect_fuzz.c - any first bytes: an answer once given stands */
#include <assert.h>

#include "detect/detect.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    enum detected last = DETECT_MORE;

    for (size_t n = 0; n <= len; n++) {
        enum detected now = detect(bytes, n);
        assert(last == DETECT_MORE || now == last);
        assert(now != DETECT_MORE || n < DETECT_MAX);
        assert(detected_name(now));
        last = now;
    }
    return 0;
}
