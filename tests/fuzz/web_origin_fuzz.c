/* tests/fuzz/web_origin_fuzz.c - any pattern and any Origin: "pattern NUL origin"
 *
 * Views stay inside the text, an origin is a pattern that matches itself, and nothing
 * but what can be typed in a shell without quoting is an origin.
 */
#include <assert.h>

#include "config/web_origin.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_origin(struct str text)
{
    struct web_origin o;

    if (!web_origin_parse(text, &o))
        return;
    assert(o.scheme.at == text.at && o.scheme.len > 0);
    assert(o.host.at == text.at + o.scheme.len + 3 && o.host.len > 0);
    assert(o.host.at + o.host.len <= text.at + text.len);
    for (size_t i = 0; i < text.len; i++)
        assert(text.at[i] > ' ' && text.at[i] <= '~' &&
               !strchr("'\"`$;&|<>()*?", text.at[i]));
    assert(origin_pattern_is_valid(text) && origin_pattern_matches(text, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str pattern;
    struct str origin = str_cut((struct str){ (const char *)bytes, len }, '\0', &pattern);

    check_origin(pattern);
    check_origin(origin);
    if (origin.at && origin_pattern_is_valid(pattern) &&
        origin_pattern_matches(pattern, origin)) {
        struct web_origin any;
        assert(web_origin_parse(origin, &any) || str_ieq(origin, STR("null")));
    }
    return 0;
}
