/* tests/fuzz/http1_response_fuzz.c - answer heads: what must hold of whatever is accepted
 *
 * The first byte chooses the request's method.
 */
#include <assert.h>

#include "base/own.h"
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const methods[] = { "GET", "HEAD", "CONNECT", "POST" };

static bool has_no_body(const struct http1_head *head, struct str method)
{
    return head->status < 200 || head->status == 204 || head->status == 304 ||
           str_eq(method, STR("HEAD")) ||
           (str_eq(method, STR("CONNECT")) && head->status < 300);
}

static void framing_is_unambiguous(const struct http1_head *head, struct str method)
{
    const struct http1_field *length = http1_find(head, FIELD_CONTENT_LENGTH);
    const struct http1_field *coding = http1_find(head, FIELD_TRANSFER_ENCODING);

    assert(!length || !coding);
    assert((head->framing == BODY_NONE) == has_no_body(head, method));
    if (head->framing == BODY_NONE)
        return;
    assert((head->framing == BODY_LENGTH) == (length != NULL));
    assert((head->framing == BODY_CHUNKED) == (coding != NULL));
    assert(head->framing != BODY_TO_EOF || !head->keep_alive);
}

static void views_are_inside(const struct http1_head *head, const char *from,
                             const char *to)
{
    assert(head->reason.at > from && head->reason.at + head->reason.len <= to);
    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        assert(field->line.at > from && field->line.at + field->line.len <= to - 2);
        assert(field->name.at == field->line.at && field->name.len > 0);
        assert(field->value.at > field->name.at);
        assert(field->value.at + field->value.len <=
               field->line.at + field->line.len - 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len == 0)
        return 0;
    struct str method = str_of(methods[bytes[0] % ARRAY_LEN(methods)]);
    size_t scanned = 0, end = len - 1;
    AUTO_FREE char *in = xmalloc(len);
    struct http1_head head;

    memcpy(in, bytes + 1, len - 1);
    enum err found = http1_head_end(in, len - 1, &scanned, &end);

    /* Of exactly its size, so that a sanitizer sees every step beyond it. */
    in = xrealloc(in, end + (end == 0));
    if (http1_response_parse(in, end, method, &head)) {
        assert(head.problem);
        return 0;
    }
    assert(found == OK && !head.problem && head.status >= 100 && head.status <= 999);
    views_are_inside(&head, in, in + end);
    framing_is_unambiguous(&head, method);
    assert(http1_response_parse(in, end - 1, method, &head) == ERR_PROTO);
    return 0;
}
