/* tests/fuzz/http1_request_fuzz.c - request heads: what must hold of whatever is accepted
 *
 * Views stay inside the input, lines adjoin, a head without its last byte is never a
 * head, and writing the parts down again gives a head that is read the same way.
 */
#include <assert.h>

#include "base/own.h"
#include "wire/http1.h"

#define FIELDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void lines_adjoin(const struct http1_head *head, const char *end)
{
    const char *next = head->count ? head->fields[0].line.at : end - 2;

    for (size_t i = 0; i < head->count; i++) {
        struct str line = head->fields[i].line;
        assert(line.at == next);
        assert(line.len >= 4 && memcmp(line.at + line.len - 2, "\r\n", 2) == 0);
        assert(!memchr(line.at, '\n', line.len - 1));
        assert(!memchr(line.at, '\r', line.len - 2));
        assert(!memchr(line.at, '\0', line.len));
        next += line.len;
    }
    assert(next == end - 2);
}

static void framing_is_unambiguous(const struct http1_head *head)
{
    const struct http1_field *length = http1_find(head, FIELD_CONTENT_LENGTH);
    const struct http1_field *coding = http1_find(head, FIELD_TRANSFER_ENCODING);

    assert(!length || !coding);
    assert((head->framing == BODY_LENGTH) == (length != NULL));
    assert((head->framing == BODY_CHUNKED) == (coding != NULL));
    assert(!length || !length->hop);
    assert(!head->host || !head->host->hop);
    assert(head->host || head->minor == 0);
}

static size_t append(char *out, size_t at, struct str text)
{
    memcpy(out + at, text.at, text.len);
    return at + text.len;
}

/* The head anew from its parts, without optional blanks: never longer than it was. */
static size_t write_down(const struct http1_head *head, char *out)
{
    size_t at = append(out, 0, head->method);
    at = append(out, at, STR(" "));
    at = append(out, at, head->target);
    at = append(out, at, head->minor ? STR(" HTTP/1.1\r\n") : STR(" HTTP/1.0\r\n"));
    for (size_t i = 0; i < head->count; i++) {
        at = append(out, at, head->fields[i].name);
        at = append(out, at, STR(":"));
        at = append(out, at, head->fields[i].value);
        at = append(out, at, STR("\r\n"));
    }
    return append(out, at, STR("\r\n"));
}

static void reads_the_same_again(const struct http1_head *head, size_t len)
{
    AUTO_FREE char *out = xmalloc(len);
    size_t n = write_down(head, out);
    static struct http1_field fields[FIELDS_MAX];
    struct http1_head again = { .fields = fields, .room = FIELDS_MAX };
    enum err e = http1_request_parse(out, n, &again);

    assert(e == OK && n <= len);
    assert(str_eq(again.method, head->method) && str_eq(again.target, head->target));
    assert(again.count == head->count && again.framing == head->framing);
    assert(again.length == head->length && again.keep_alive == head->keep_alive);
    assert(again.upgrade == head->upgrade);
    for (size_t i = 0; i < again.count; i++) {
        assert(again.fields[i].hop == head->fields[i].hop);
        assert(str_eq(again.fields[i].value, head->fields[i].value));
    }
}

/* Found at once, or a byte at a time: the same end. */
static bool find_end(const char *in, size_t len, size_t *ret)
{
    size_t scanned = 0, end = 0, slow = 0;
    enum err e = http1_head_end(in, len, &scanned, &end);

    scanned = 0;
    for (size_t n = 0; n <= len && n <= 4096; n++) {
        enum err step = http1_head_end(in, n, &scanned, &slow);
        assert((step == OK) == (e == OK && n == end));
        if (step == OK)
            break;
    }
    *ret = end;
    return e == OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_FREE char *in = xmalloc(len + 1);
    static struct http1_field fields[FIELDS_MAX];
    struct http1_head head = { .fields = fields, .room = FIELDS_MAX };
    size_t end;

    memcpy(in, bytes, len);
    if (!find_end(in, len, &end)) {
        assert(http1_request_parse(in, len, &head) != OK);
        return 0;
    }

    /* Of exactly its size, so that a sanitizer sees every step beyond it. */
    in = xrealloc(in, end);
    if (http1_request_parse(in, end, &head)) {
        assert(head.problem);
        return 0;
    }
    assert(head.method.at == in && !str_empty(head.target) && !head.problem);
    lines_adjoin(&head, in + end);
    framing_is_unambiguous(&head);
    reads_the_same_again(&head, end);
    assert(http1_request_parse(in, end - 1, &head) == ERR_PROTO);
    return 0;
}
