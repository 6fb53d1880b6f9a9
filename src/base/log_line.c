/* base/log_line.c - one line of the log, as text or as JSON
 *
 * The line is built in place in a bounded buffer.  Whole pieces are appended until one does not
 * fit; LINE_TAIL bytes are kept free for what closes a truncated line.
 */
#include "base/log_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

/* kept free for the quotes and brackets that close a truncated line */
#define LINE_TAIL 16

/* clang-format off */
static const struct {
    const char *name, *padded, *coloured;
} levels[LOG_LEVELS] = {
    [LEVEL_ERROR] = { "error", "ERROR", "\033[31mERROR\033[0m" },
    [LEVEL_WARN]  = { "warn",  "WARN ", "\033[33mWARN \033[0m" },
    [LEVEL_INFO]  = { "info",  "INFO ", "\033[32mINFO \033[0m" },
    [LEVEL_DEBUG] = { "debug", "DEBUG", "\033[36mDEBUG\033[0m" },
};
/* clang-format on */

const char *log_level_name(enum log_level level)
{
    return levels[level].name;
}

/* Appends the whole piece.  Once a piece did not fit, no later one is appended either. */
static void put(struct log_line *l, struct str piece)
{
    l->cut = l->cut || piece.len > LOG_LINE_SIZE - LINE_TAIL - l->len;
    if (l->cut)
        return;
    memcpy(l->text + l->len, piece.at, piece.len);
    l->len += piece.len;
}

/* Appends as much of the piece as fits. */
static void put_part(struct log_line *l, struct str piece)
{
    size_t room = LOG_LINE_SIZE - LINE_TAIL - l->len;
    struct str part = str_first(piece, room);

    put(l, part);
    l->cut = l->cut || part.len < piece.len;
}

/* Appends to the room that put() keeps free (LINE_TAIL). */
static void put_tail(struct log_line *l, struct str piece)
{
    memcpy(l->text + l->len, piece.at, piece.len);
    l->len += piece.len;
}

PRINTF_LIKE(2, 3) static void put_format(struct log_line *l, const char *format, ...)
{
    char piece[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    put(l, str_first((struct str){ piece, (size_t)n }, sizeof(piece) - 1));
}

static void put_text(struct log_line *l, const char *text)
{
    put(l, str_of(text));
}

static size_t digits(uint64_t n, char out[static 20])
{
    char turned[20];
    size_t len = 0;

    do {
        turned[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    for (size_t i = 0; i < len; i++)
        out[i] = turned[len - 1 - i];
    return len;
}

size_t log_id_text(struct log_id id, char out[static 48])
{
    size_t n = 0;

    if (id.kind) {
        out[n++] = id.kind;
        n += digits(id.number, out + n);
    }
    if (id.kind && id.sub) {
        out[n++] = '.';
        n += digits(id.sub, out + n);
    }
    out[n] = '\0';
    return n;
}

static void put_time(struct log_line *l, struct log_style *style)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != style->second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(style->date, sizeof(style->date), "%Y-%m-%dT%H:%M:%S", &utc);
        style->second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    const char fraction[] = { '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                              (char)('0' + ms % 10), 'Z' };
    put(l, str_of(style->date));
    put(l, (struct str){ fraction, sizeof(fraction) });
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f;
}

/* How many bytes at the start of s need no escape. */
static size_t plain_run(struct str s, bool quoted)
{
    size_t n = 0;
    while (n < s.len && is_plain((unsigned char)s.at[n]) &&
           !(quoted && (s.at[n] == '"' || s.at[n] == '\\')))
        n++;
    return n;
}

/* Text: printable ASCII as it is, the rest as in a C string; quotes only inside quotes.
 */
static void put_escaped(struct log_line *l, struct str s, bool quoted)
{
    while (s.len) {
        size_t run = plain_run(s, quoted);
        put_part(l, str_first(s, run));
        s = str_skip(s, run);
        if (s.len == 0)
            return;
        unsigned char c = (unsigned char)s.at[0];
        s = str_skip(s, 1);
        if (c == '\n')
            put(l, STR("\\n"));
        else if (c == '\r')
            put(l, STR("\\r"));
        else if (c == '\t')
            put(l, STR("\\t"));
        else if (is_plain(c))
            put_format(l, "\\%c", c);
        else
            put_format(l, "\\x%02x", c);
    }
}

static bool needs_quotes(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (!is_plain(c) || c == ' ' || c == '"' || c == '\\')
            return true;
    }
    return s.len == 0;
}

static void put_text_str(struct log_line *l, const char *key, struct str value)
{
    bool quoted = needs_quotes(value);
    put(l, STR(" "));
    put_text(l, key);
    put_text(l, quoted ? "=\"" : "=");
    put_escaped(l, value, quoted);
    if (quoted)
        put(l, STR("\""));
}

/* JSON must be valid UTF-8: a byte that is not part of a valid sequence becomes
 * U+FFFD. */
static void put_json_escaped(struct log_line *l, struct str s)
{
    while (s.len && !l->cut) {
        unsigned char c = (unsigned char)s.at[0];
        size_t n = utf8_length(s.at, s.len);
        if (c == '"' || c == '\\')
            put_format(l, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            put_format(l, "\\u%04x", c);
        else if (n && utf8_is_control(s.at, n))
            put_format(l, "\\u%04x", utf8_code_point(s.at, n));
        else if (n)
            put(l, str_first(s, n));
        else
            put(l, STR("\\ufffd"));
        s = str_skip(s, n ? n : 1);
    }
}

/* The key and the opening quote are written together or not at all, and an opened string
 * is always closed, so that a truncated line is still valid JSON. */
static void put_json_str(struct log_line *l, const char *key, struct str value)
{
    put_format(l, ",\"%s\":\"", key);
    if (l->cut)
        return;
    put_json_escaped(l, value);
    put(l, STR("\""));
    if (l->cut)
        put_tail(l, STR("...\""));
}

static void put_str(struct log_line *l, const char *key, struct str value)
{
    if (l->format == LOG_JSON)
        put_json_str(l, key, value);
    else
        put_text_str(l, key, value);
}

static void put_number(struct log_line *l, const char *key, bool negative, uint64_t value)
{
    char text[20];
    struct str number = { text, digits(value, text) };
    const char *sign = negative ? "-" : "";

    /* in one piece, so that a truncated line is still valid JSON */
    if (l->format == LOG_JSON) {
        put_format(l, ",\"%s\":%s%.*s", key, sign, STR_ARG(number));
        return;
    }
    put(l, STR(" "));
    put_text(l, key);
    put(l, STR("="));
    put_text(l, sign);
    put(l, number);
}

void log_line_add(struct log_line *l, const struct log_field *f)
{
    char id[48];

    switch (f->type) {
    case FIELD_STR:
        put_str(l, f->key, f->str);
        break;
    case FIELD_UINT:
        put_number(l, f->key, false, f->uint);
        break;
    case FIELD_INT:
        put_number(l, f->key, f->sint < 0,
                   f->sint < 0 ? 0 - (uint64_t)f->sint : (uint64_t)f->sint);
        break;
    case FIELD_ID:
        put_str(l, f->key, (struct str){ id, log_id_text(f->id, id) });
        break;
    case FIELD_END:
        break;
    }
}

static void begin_text(struct log_line *l, struct log_style *style, const char *module,
                       enum log_level level, struct str id, const char *text)
{
    put_time(l, style);
    put(l, STR(" "));
    put_text(l, style->colour ? levels[level].coloured : levels[level].padded);
    put(l, STR(" "));
    put_text(l, module);
    put(l, STR(" "));
    put(l, id);
    if (id.len)
        put(l, STR(" "));
    put_escaped(l, str_of(text), false);
}

static void begin_json(struct log_line *l, struct log_style *style, const char *module,
                       enum log_level level, struct str id, const char *text)
{
    put(l, STR("{\"time\":\""));
    put_time(l, style);
    put_format(l, "\",\"level\":\"%s\",\"module\":\"%s\"", levels[level].name, module);
    if (id.len)
        put_json_str(l, "id", id);
    put_json_str(l, "msg", str_of(text));
}

void log_line_begin(struct log_line *l, struct log_style *style, const char *module,
                    enum log_level level, struct log_id id, const char *text)
{
    char id_text[48];
    struct str id_str = { id_text, log_id_text(id, id_text) };

    l->format = style->format;
    l->len = 0;
    l->cut = false;
    if (l->format == LOG_JSON)
        begin_json(l, style, module, level, id_str, text);
    else
        begin_text(l, style, module, level, id_str, text);
}

void log_line_end(struct log_line *l)
{
    if (l->format == LOG_JSON)
        put_tail(l, STR("}"));
    else if (l->cut)
        put_tail(l, STR("..."));
    put_tail(l, STR("\n"));
}
