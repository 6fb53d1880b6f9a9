/* tests/fuzz/request_line_fuzz.c - any first bytes: the same answer however they are cut
 *
 * What is a request line must be one for our own strict parser too, once a Host follows; but for
 * a method that is longer than the parser allows, which the session refuses with a page.
 */
#include <assert.h>

#include "base/own.h"
#include "detect/request_line.h"
#include "wire/http1.h"

#define METHOD_MAX 64 /* of wire/http1.c */

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_parser(const uint8_t *bytes, size_t len)
{
    static struct http1_field fields[4];
    struct http1_head head = { .fields = fields, .room = ARRAY_LEN(fields) };
    AUTO_FREE char *text =
        xasprintf("%.*sHost: a\r\n\r\n", (int)len, (const char *)bytes);

    assert(!memchr(bytes, '\0', len));
    if (strcspn(text, " ") <= METHOD_MAX)
        assert(http1_request_parse(text, strlen(text), &head) == OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct request_line whole = { 0 }, parts = { 0 };
    enum line line = request_line_feed(&whole, bytes, len), cut = LINE_MORE;
    size_t at = 0;

    while (at < len && cut == LINE_MORE)
        cut = request_line_feed(&parts, bytes + at++, 1);
    assert(cut == line);
    if (line == LINE_HTTP1)
        check_parser(bytes, at);
    return 0;
}
