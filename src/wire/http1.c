/* wire/http1.c - HTTP/1.1 message heads (RFC 9112, sections 2 to 6)
 *
 * THEORY OF OPERATION
 *
 * A head is read once, from left to right, and every byte of it is checked: names by the
 * class table, values and targets eight bytes at a time.  Each field is identified as it
 * is read, by its length and first byte before its spelling, and the few that frame a
 * message are interpreted at once.  What depends on all fields (framing, Connection) is
 * decided after the blank line.
 *
 * Nothing is copied and nothing is repaired: for a refused head, `problem` has a phrase
 * to follow "400 Bad Request: ".
 */
#include "wire/http1.h"

#include <string.h>

#include "base/own.h"
#include "wire/http1_chars.h"

#define METHOD_MAX 64

struct reader {
    const char *at;
    const char *end;
    struct http1_head *head;
    bool answer;

    /* The values of the framing fields, before they are interpreted. */
    bool has_length;
    uint64_t length;
    bool chunked;

    /* The options of Connection. */
    size_t options;
    bool close;
    bool keep_alive;
    bool upgrade;
};

static enum err refuse(struct reader *r, const char *problem)
{
    r->head->problem = problem;
    return ERR_PROTO;
}

static enum err limit(struct reader *r, const char *problem)
{
    r->head->problem = problem;
    return ERR_LIMIT;
}

static struct str view(const char *from, const char *to)
{
    return (struct str){ from, (size_t)(to - from) };
}

/* str_trim without its calls into libc: it runs once per field. */
static struct str trim(const char *from, const char *to)
{
    while (from < to && is_blank(*from))
        from++;
    while (from < to && is_blank(to[-1]))
        to--;
    return view(from, to);
}

/* Only CRLF ends a line; `unexpected` is the error text if something else is there. */
static enum err read_line_end(struct reader *r, const char *unexpected)
{
    size_t left = (size_t)(r->end - r->at);

    if (left >= 2 && r->at[0] == '\r' && r->at[1] == '\n') {
        r->at += 2;
        return OK;
    }
    if (left == 0 || (left == 1 && *r->at == '\r'))
        return refuse(r, "the head is cut short");
    switch (*r->at) {
    case '\n':
        return refuse(r, "a line ends in LF without CR");
    case '\r':
        return refuse(r, "a CR without LF");
    case '\0':
        return refuse(r, "a NUL byte");
    default:
        return refuse(r, unexpected);
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static enum err read_version(struct reader *r)
{
    const char *v = r->at;

    if (r->end - v < 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' ||
        !is_digit(v[7]))
        return refuse(r, "the HTTP version is malformed");
    if (v[5] != '1')
        return refuse(r, "the HTTP version is not supported");
    r->head->minor = v[7] != '0';
    r->at += 8;
    return OK;
}

static enum err read_method(struct reader *r)
{
    const char *stop = after_token(r->at, r->end);

    if (stop == r->at || stop == r->end || *stop != ' ')
        return refuse(r, "the method is not a token");
    if (stop - r->at > METHOD_MAX)
        return refuse(r, "the method is too long");
    r->head->method = view(r->at, stop);
    r->at = stop + 1;
    return OK;
}

static enum err read_target(struct reader *r)
{
    const char *stop = after_printable(r->at, r->end, '!');

    if (stop == r->at)
        return refuse(r, "the request target is missing");
    if (stop == r->end || (uint8_t)*stop < ' ' || *stop == 0x7f) {
        bool ends = stop == r->end || *stop == '\r' || *stop == '\n';
        return refuse(r, ends ? "the HTTP version is missing"
                              : "a control character in the request target");
    }
    r->head->target = view(r->at, stop);
    r->at = stop + 1;
    return OK;
}

static enum err read_request_line(struct reader *r)
{
    enum err e = read_method(r);
    if (!e)
        e = read_target(r);
    if (!e)
        e = read_version(r);
    if (!e)
        e = read_line_end(r, "the request line does not end after the HTTP version");
    return e;
}

static enum err read_status(struct reader *r)
{
    const char *s = r->at;

    if (r->end - s < 4 || s[0] != ' ' || s[1] < '1' || s[1] > '9' || !is_digit(s[2]) ||
        !is_digit(s[3]))
        return refuse(r, "the status is not a number from 100 to 999");
    r->head->status = (s[1] - '0') * 100 + (s[2] - '0') * 10 + (s[3] - '0');
    r->at += 4;
    return OK;
}

/* Many servers omit the blank before an empty reason, so that is accepted. */
static enum err read_reason(struct reader *r)
{
    if (r->at < r->end && *r->at == ' ') {
        const char *stop = after_value(r->at + 1, r->end);
        r->head->reason = view(r->at + 1, stop);
        r->at = stop;
        return read_line_end(r, "a control character in the reason");
    }
    r->head->reason = view(r->at, r->at);
    return read_line_end(r, "the status is not a number from 100 to 999");
}

static enum err read_status_line(struct reader *r)
{
    enum err e = read_version(r);
    if (!e)
        e = read_status(r);
    if (!e)
        e = read_reason(r);
    return e;
}

/* No body is longer than a signed offset can hold. */
static enum err read_number(struct reader *r, struct str value, uint64_t *ret)
{
    switch (str_to_uint(value, INT64_MAX, ret)) {
    case OK:
        return OK;
    case ERR_LIMIT:
        return refuse(r, "Content-Length is too large");
    default:
        return refuse(r, "Content-Length is not a number");
    }
}

/* RFC 9110, section 8.6: equal lengths, in several fields or in a list, count as one, and
 * one field is passed on. */
static enum err read_equal_lengths(struct reader *r, struct http1_field *field)
{
    struct str rest = field->value, one;

    field->hop = r->has_length;
    do {
        uint64_t length;
        rest = str_cut(rest, ',', &one);
        one = trim(one.at, one.at + one.len);
        enum err e = read_number(r, one, &length);
        if (e)
            return e;
        if (r->has_length && length != r->length)
            return refuse(r, "Content-Lengths that differ");
        r->has_length = true;
        r->length = length;
    } while (rest.at);
    field->loose |= one.len != field->value.len;
    field->value = one;
    return OK;
}

static enum err read_content_length(struct reader *r, struct http1_field *field)
{
    if (r->answer)
        return read_equal_lengths(r, field);
    if (r->has_length)
        return refuse(r, "two Content-Length fields");
    r->has_length = true;
    return read_number(r, field->value, &r->length);
}

static enum err read_transfer_encoding(struct reader *r, struct str value)
{
    if (r->chunked)
        return refuse(r, "two Transfer-Encoding fields");
    if (!str_ieq(value, STR("chunked")))
        return refuse(r, "Transfer-Encoding is not just \"chunked\"");
    r->chunked = true;
    return OK;
}

static enum err read_host(struct reader *r, const struct http1_field *field)
{
    if (r->head->host)
        return refuse(r, "two Host fields");
    r->head->host = field;
    return OK;
}

/* Schemes that authenticate a connection and not a request (RFC 4559 and similar). */
static bool is_of_connection(struct str scheme)
{
    return str_ieq(scheme, STR("NTLM")) || str_ieq(scheme, STR("Negotiate")) ||
           str_ieq(scheme, STR("Kerberos")) || str_ieq(scheme, STR("Nego2")) ||
           str_ieq(scheme, STR("CredSSP"));
}

/* A list of challenges is hard to distinguish from one challenge's parameters: any element
 * that begins with such a scheme counts. */
static bool names_connection_scheme(struct str list)
{
    while (!str_empty(list)) {
        struct str one, scheme;
        list = str_cut(list, ',', &one);
        str_cut(str_trim(one), ' ', &scheme);
        if (is_of_connection(str_trim(scheme)))
            return true;
    }
    return false;
}

static enum err interpret_field(struct reader *r, struct http1_field *field)
{
    switch (field->id) {
    case FIELD_AUTHORIZATION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_WWW_AUTHENTICATE:
        r->head->binds_connection |= names_connection_scheme(field->value);
        return OK;
    case FIELD_CONTENT_LENGTH:
        return read_content_length(r, field);
    case FIELD_TRANSFER_ENCODING:
        return read_transfer_encoding(r, field->value);
    case FIELD_HOST:
        return read_host(r, field);
    default:
        return OK;
    }
}

/* The field name at r->at is invalid; `stop` is its first byte that is no token
 * character. */
static enum err refuse_name(struct reader *r, const char *stop)
{
    if (stop == r->end)
        return refuse(r, "the head is cut short");
    if (stop == r->at && is_blank(*stop))
        return refuse(r, r->head->count ? "a folded field line"
                                        : "a blank before the first field");
    if (stop == r->at && *stop == ':')
        return refuse(r, "a field without a name");
    if (is_blank(*stop))
        return refuse(r, "a blank in a field name or before its colon");
    if (*stop == '\r' || *stop == '\n')
        return refuse(r, "a field line without a colon");
    return refuse(r, "a forbidden character in a field name");
}

static enum err read_field(struct reader *r)
{
    const char *line = r->at;
    const char *stop = after_token(line, r->end);
    const char *colon = r->answer ? after_blanks(stop, r->end) : stop;
    if (stop == line || colon == r->end || *colon != ':')
        return refuse_name(r, stop);
    if (r->head->count == r->head->room)
        return limit(r, "too many fields");

    r->at = after_value(colon + 1, r->end);
    struct str value = trim(colon + 1, r->at);
    enum err e = read_line_end(r, "a control character in a field value");
    if (e)
        return e;

    struct http1_field *field = &r->head->fields[r->head->count++];
    field->name = view(line, stop);
    field->value = value;
    field->line = view(line, r->at);
    field->id = http1_name_of(field->name);
    field->hop = http1_name_is_hop(field->id);
    field->loose = colon != stop;
    return interpret_field(r, field);
}

/* All fields, and the blank line with which in[0..len) must end. */
static enum err read_fields(struct reader *r)
{
    while (r->at == r->end || (*r->at != '\r' && *r->at != '\n')) {
        enum err e = read_field(r);
        if (e)
            return e;
    }
    enum err e = read_line_end(r, "");
    if (!e && r->at != r->end)
        return refuse(r, "bytes after the head");
    return e;
}

static void nominate(struct http1_head *head, enum http1_name id, struct str name)
{
    for (size_t i = 0; i < head->count; i++) {
        struct http1_field *field = &head->fields[i];
        if (field->id == id && (id != FIELD_OTHER || str_ieq(field->name, name)))
            field->hop = true;
    }
}

/* A field that Connection names is not passed on.  If framing fields could be removed
 * like that, the next hop would read another message than this parser. */
static enum err read_option(struct reader *r, struct str option)
{
    enum http1_name id = http1_name_of(option);

    switch (id) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_TRANSFER_ENCODING:
        return refuse(r, "Connection names a framing field");
    case FIELD_KEEP_ALIVE:
        r->keep_alive = true;
        return OK;
    case FIELD_UPGRADE:
        r->upgrade = true;
        return OK;
    default:
        break;
    }
    if (str_ieq(option, STR("close")))
        r->close = true;
    else
        nominate(r->head, id, option);
    return OK;
}

static enum err read_options(struct reader *r, struct str list)
{
    while (!str_empty(list)) {
        struct str option;
        list = str_cut(list, ',', &option);
        option = str_trim(option);
        if (str_empty(option))
            continue;
        /* Each costs a walk over all fields. */
        if (++r->options > HTTP1_OPTIONS_MAX)
            return limit(r, "Connection names too many fields");
        enum err e = read_option(r, option);
        if (e)
            return e;
    }
    return OK;
}

static enum err settle_connection(struct reader *r)
{
    struct http1_head *head = r->head;

    for (size_t i = 0; i < head->count; i++) {
        if (head->fields[i].id != FIELD_CONNECTION)
            continue;
        enum err e = read_options(r, head->fields[i].value);
        if (e)
            return e;
    }
    head->keep_alive = !r->close && (head->minor > 0 || r->keep_alive);
    return OK;
}

static void drop_lengths(struct reader *r)
{
    for (size_t i = 0; r->has_length && i < r->head->count; i++)
        if (r->head->fields[i].id == FIELD_CONTENT_LENGTH)
            r->head->fields[i].hop = true;
}

/* RFC 9112, section 6.3; `otherwise` is the framing of a message with neither length nor
 * coding. */
static enum err settle_framing(struct reader *r, enum http1_framing otherwise)
{
    if (r->chunked && r->has_length && !r->answer)
        return refuse(r, "Content-Length with Transfer-Encoding");
    if (r->chunked && r->head->minor == 0)
        return refuse(r, "Transfer-Encoding in HTTP/1.0");

    if (r->chunked)
        r->head->framing = BODY_CHUNKED;
    else if (r->has_length)
        r->head->framing = BODY_LENGTH;
    else
        r->head->framing = otherwise;
    r->head->length = r->head->framing == BODY_LENGTH ? r->length : 0;
    return OK;
}

static void drop_body(struct http1_head *head)
{
    head->framing = BODY_NONE;
    head->length = 0;
}

static struct reader reader_of(const char *in, size_t len, struct http1_head *head)
{
    *head = (struct http1_head){ .fields = head->fields, .room = head->room };
    return (struct reader){ .at = in, .end = in + len, .head = head };
}

enum err http1_request_parse(const char *in, size_t len, struct http1_head *head)
{
    struct reader r = reader_of(in, len, head);

    enum err e = read_request_line(&r);
    if (!e)
        e = read_fields(&r);
    if (!e)
        e = settle_framing(&r, BODY_NONE);
    if (!e)
        e = settle_connection(&r);
    if (e)
        return e;
    if (head->minor > 0 && !head->host)
        return refuse(&r, "Host is missing");

    /* HTTP/1.0 knows neither (RFC 9110, sections 7.8 and 10.1.1). */
    if (head->minor > 0) {
        /* An upgrade to h2c is ignored: it is obsolete (RFC 9113, section 3.1) and needs
         * fields that are not passed on.  Also when it is offered with others, because
         * the pod could choose it. */
        head->upgrade = r.upgrade && http1_find(head, FIELD_UPGRADE) &&
                        !http1_has_token(head, FIELD_UPGRADE, STR("h2c"));
        head->expect_continue = http1_has_token(head, FIELD_EXPECT, STR("100-continue"));
    }
    return OK;
}

/* A response with two contradicting lengths, of which another parser might use the other,
 * is the last one on its connection.  Returns whether this is one. */
static bool settle_answer(struct reader *r)
{
    bool empty = r->head->status / 100 == 1 || r->head->status == 204;

    if (empty || r->chunked)
        drop_lengths(r);
    return (r->chunked && r->has_length) || (empty && (r->chunked || r->length > 0));
}

enum err http1_response_parse(const char *in, size_t len, struct str request_method,
                              struct http1_head *head)
{
    struct reader r = reader_of(in, len, head);
    r.answer = true;

    enum err e = read_status_line(&r);
    if (!e)
        e = read_fields(&r);
    if (!e)
        e = settle_framing(&r, BODY_TO_EOF);
    if (!e)
        e = settle_connection(&r);
    if (e)
        return e;

    int status = head->status;
    bool tunnel = str_eq(request_method, STR("CONNECT")) && status / 100 == 2;
    head->upgrade = status == 101;
    if (status / 100 == 1 || status == 204 || status == 304 || tunnel ||
        str_eq(request_method, STR("HEAD")))
        drop_body(head);
    /* No message follows: the connection ends, or switches protocols. */
    if (settle_answer(&r) || head->framing == BODY_TO_EOF || head->upgrade || tunnel)
        head->keep_alive = false;
    return OK;
}

/* A head ends at an empty line.  A bare LF counts as a line end here, so that the parser
 * can refuse the head at once; otherwise the sender would wait for a response until a
 * time-out. */
enum err http1_head_end(const char *in, size_t len, size_t *scanned, size_t *ret)
{
    size_t from = *scanned;

    while (from < len) {
        const char *lf = memchr(in + from, '\n', len - from);
        if (!lf)
            break;
        size_t at = (size_t)(lf - in);
        size_t line_end = at > 0 && in[at - 1] == '\r' ? at - 1 : at;
        if (line_end == 0 || in[line_end - 1] == '\n') {
            *scanned = at + 1;
            *ret = at + 1;
            return OK;
        }
        from = at + 1;
    }
    *scanned = len;
    return ERR_AGAIN;
}
