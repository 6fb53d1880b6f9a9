/* tests/fuzz/http1_response_fuzz.c - answer heads: what must hold of whatever is accepted
 *
 * The first byte chooses the request's method.
 */
#include <assert.h>

#include "base/own.h"
#include "wire/http1.h"

#define FIELDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const methods[] = { "GET", "HEAD", "CONNECT", "POST" };

static bool has_no_body(const struct http1_head *head, struct str method)
{
    return head->status < 200 || head->status == 204 || head->status == 304 ||
           str_eq(method, STR("HEAD")) ||
           (str_eq(method, STR("CONNECT")) && head->status < 300);
}

static void framing_is_what_the_fields_say(const struct http1_head *head,
                                           struct str method)
{
    const struct http1_field *length = http1_find(head, FIELD_CONTENT_LENGTH);
    const struct http1_field *coding = http1_find(head, FIELD_TRANSFER_ENCODING);

    assert((head->framing == BODY_NONE) == has_no_body(head, method));
    assert(!(length && coding) || !head->keep_alive);
    if (head->framing == BODY_NONE)
        return;
    assert((head->framing == BODY_CHUNKED) == (coding != NULL));
    assert((head->framing == BODY_LENGTH) == (length && !coding));
    assert(head->framing != BODY_TO_EOF || !head->keep_alive);
}

static bool travels_on(const struct http1_field *field)
{
    return !field->hop || field->id == FIELD_TRANSFER_ENCODING;
}

static size_t append(char *out, size_t at, struct str s)
{
    memcpy(out + at, s.at, s.len);
    return at + s.len;
}

/* As serve/heads.c writes it: `loose` lines anew, which may be one blank longer. */
static size_t write_down(const struct http1_head *head, char *out)
{
    size_t at = append(out, 0, STR("HTTP/1.1 "));
    out[at++] = (char)('0' + head->status / 100);
    out[at++] = (char)('0' + head->status / 10 % 10);
    out[at++] = (char)('0' + head->status % 10);
    at = append(out, at, STR(" \r\n"));
    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        if (!travels_on(field))
            continue;
        if (!field->loose) {
            at = append(out, at, field->line);
            continue;
        }
        at = append(out, at, field->name);
        at = append(out, at, STR(": "));
        at = append(out, at, field->value);
        at = append(out, at, STR("\r\n"));
    }
    return append(out, at, STR("\r\n"));
}

/* The next reader finds one framing field at most, in its plain form, and the same end. */
static void next_reader_sees_the_same(const struct http1_head *head, struct str method,
                                      size_t len)
{
    static struct http1_field fields[FIELDS_MAX];
    struct http1_head next = { .fields = fields, .room = FIELDS_MAX };
    AUTO_FREE char *out = xmalloc(len + FIELDS_MAX + 32);
    size_t n = write_down(head, out), framing = 0;

    assert(http1_response_parse(out, n, method, &next) == OK);
    for (size_t i = 0; i < next.count; i++) {
        enum http1_name id = next.fields[i].id;
        assert(!next.fields[i].loose);
        framing += id == FIELD_CONTENT_LENGTH;
        framing += id == FIELD_TRANSFER_ENCODING;
    }
    assert(framing <= 1);
    assert(next.framing == head->framing && next.length == head->length);
    bool is_empty = head->status / 100 == 1 || head->status == 204;
    assert(!is_empty || !http1_find(&next, FIELD_CONTENT_LENGTH));
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
    static struct http1_field fields[FIELDS_MAX];
    struct http1_head head = { .fields = fields, .room = FIELDS_MAX };

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
    framing_is_what_the_fields_say(&head, method);
    next_reader_sees_the_same(&head, method, end);
    assert(http1_response_parse(in, end - 1, method, &head) == ERR_PROTO);
    return 0;
}
