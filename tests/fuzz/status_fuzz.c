/* tests/fuzz/status_fuzz.c - any bytes as the body of a refusal */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kube/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const int statuses[] = { 0, 302, 401, 403, 404, 410, 429, 500 };
    struct api_error e;

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct str text = { (const char *)bytes, len };
        api_error_from_response(
            &e, &(struct api_response){ .status = statuses[i],
                                        .body = text,
                                        .location = str_first(text, len / 2) });
        assert(e.code != OK && e.why.text[0] && memchr(e.why.text, '\0', DIAG_SIZE));
    }
    return 0;
}
