/* base/log.c - format lines and buffer them; writing never blocks the program
 *
 * A line is built in place in a bounded buffer and then copied to the gather buffer; a
 * flush writes that in one call where the sink is a file.  The reader of a pipe, socket
 * or terminal may have stopped.  These are polled first and get at most PIPE_BUF bytes at
 * a time, which a writable one takes without blocking, whatever its O_NONBLOCK is (all
 * processes that share the descriptor share that flag, so it is not set here).  What such
 * a sink does not take stays gathered; when the buffer is full, lines are dropped,
 * counted, and the number is logged once there is room again.
 *
 * The sink and the modules below are mutable globals.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/partition.h"
#include "base/utf8.h"

LOG_MODULE(log);

#define LINE_SIZE 2048
/* kept free for the quotes and brackets that close a truncated line */
#define LINE_TAIL 16
#define GATHER_SIZE 65536
#define COMPLAINTS_PER_SECOND 50
#define FLUSH_SIZE 4096 /* this much is written without waiting for LOG_LAG_MS */

/* clang-format off */
static const struct {
    const char *name, *padded, *coloured;
} levels[] = {
    [LEVEL_ERROR] = { "error", "ERROR", "\033[31mERROR\033[0m" },
    [LEVEL_WARN]  = { "warn",  "WARN ", "\033[33mWARN \033[0m" },
    [LEVEL_INFO]  = { "info",  "INFO ", "\033[32mINFO \033[0m" },
    [LEVEL_DEBUG] = { "debug", "DEBUG", "\033[36mDEBUG\033[0m" },
};
/* clang-format on */

static struct log_module *modules; /* all registered modules, in any order */

static struct {
    int fd;
    bool colour;
    bool regular; /* a regular file: always writable */
    /* lines are written without delay, because a person reads them */
    bool terminal;
    uint64_t since_ms; /* when log_turn first saw the gathered lines; 0: there are none */
    enum log_format format;
    time_t second; /* the second whose text `date` is */
    char date[24]; /* 2026-11-23T07:30:00 */
    uint64_t dropped;
    uint64_t suppressed; /* of all modules together */
    size_t len;
    char gathered[GATHER_SIZE];
} sink = { .fd = STDERR_FILENO, .second = -1 };

struct line {
    size_t len;
    bool cut;
    char text[LINE_SIZE];
};

/* Appends the whole piece.  Once a piece did not fit, no later one is appended either. */
static void put(struct line *l, struct str piece)
{
    l->cut = l->cut || piece.len > LINE_SIZE - LINE_TAIL - l->len;
    if (l->cut)
        return;
    memcpy(l->text + l->len, piece.at, piece.len);
    l->len += piece.len;
}

/* Appends as much of the piece as fits. */
static void put_part(struct line *l, struct str piece)
{
    size_t room = LINE_SIZE - LINE_TAIL - l->len;
    struct str part = str_first(piece, room);

    put(l, part);
    l->cut = l->cut || part.len < piece.len;
}

/* Appends to the room that put() keeps free (LINE_TAIL). */
static void put_tail(struct line *l, struct str piece)
{
    memcpy(l->text + l->len, piece.at, piece.len);
    l->len += piece.len;
}

PRINTF_LIKE(2, 3) static void put_format(struct line *l, const char *format, ...)
{
    char piece[128];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof(piece), format, args);
    va_end(args);
    put(l, str_first((struct str){ piece, (size_t)n }, sizeof(piece) - 1));
}

static void put_text(struct line *l, const char *text)
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

static void put_time(struct line *l)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != sink.second) {
        struct tm utc;
        gmtime_r(&now.tv_sec, &utc);
        strftime(sink.date, sizeof(sink.date), "%Y-%m-%dT%H:%M:%S", &utc);
        sink.second = now.tv_sec;
    }
    unsigned ms = (unsigned)(now.tv_nsec / 1000000);
    const char fraction[] = { '.', (char)('0' + ms / 100), (char)('0' + ms / 10 % 10),
                              (char)('0' + ms % 10), 'Z' };
    put(l, str_of(sink.date));
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
static void put_escaped(struct line *l, struct str s, bool quoted)
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

static void put_text_str(struct line *l, const char *key, struct str value)
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
static void put_json_escaped(struct line *l, struct str s)
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
static void put_json_str(struct line *l, const char *key, struct str value)
{
    put_format(l, ",\"%s\":\"", key);
    if (l->cut)
        return;
    put_json_escaped(l, value);
    put(l, STR("\""));
    if (l->cut)
        put_tail(l, STR("...\""));
}

static void put_str(struct line *l, const char *key, struct str value)
{
    if (sink.format == LOG_JSON)
        put_json_str(l, key, value);
    else
        put_text_str(l, key, value);
}

static void put_number(struct line *l, const char *key, bool negative, uint64_t value)
{
    char text[20];
    struct str number = { text, digits(value, text) };
    const char *sign = negative ? "-" : "";

    /* in one piece, so that a truncated line is still valid JSON */
    if (sink.format == LOG_JSON) {
        put_format(l, ",\"%s\":%s%.*s", key, sign, STR_ARG(number));
        return;
    }
    put(l, STR(" "));
    put_text(l, key);
    put(l, STR("="));
    put_text(l, sign);
    put(l, number);
}

static void put_field(struct line *l, const struct log_field *f)
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

static void begin_text(struct line *l, struct log_module *m, enum log_level level,
                       struct str id, const char *text)
{
    put_time(l);
    put(l, STR(" "));
    put_text(l, sink.colour ? levels[level].coloured : levels[level].padded);
    put(l, STR(" "));
    put_text(l, m->name);
    put(l, STR(" "));
    put(l, id);
    if (id.len)
        put(l, STR(" "));
    put_escaped(l, str_of(text), false);
}

static void begin_json(struct line *l, struct log_module *m, enum log_level level,
                       struct str id, const char *text)
{
    put(l, STR("{\"time\":\""));
    put_time(l);
    put_format(l, "\",\"level\":\"%s\",\"module\":\"%s\"", levels[level].name, m->name);
    if (id.len)
        put_json_str(l, "id", id);
    put_json_str(l, "msg", str_of(text));
}

static void finish_line(struct line *l)
{
    if (sink.format == LOG_JSON)
        put_tail(l, STR("}"));
    else if (l->cut)
        put_tail(l, STR("..."));
    put_tail(l, STR("\n"));
}

static bool sink_ready(void)
{
    struct pollfd p = { .fd = sink.fd, .events = POLLOUT };
    return sink.regular || poll(&p, 1, 0) != 0;
}

static void drop_gathered(size_t from)
{
    for (size_t i = from; i < sink.len; i++)
        sink.dropped += sink.gathered[i] == '\n';
    sink.len = 0;
}

/* Write what the sink takes without waiting; what it can never take is dropped. */
static void drain(void)
{
    size_t done = 0;

    while (done < sink.len && sink_ready()) {
        size_t n = sink.len - done;
        if (!sink.regular && n > PIPE_BUF)
            n = PIPE_BUF;
        ssize_t written = write(sink.fd, sink.gathered + done, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            break;
        if (written < 0) {
            drop_gathered(done);
            return;
        }
        done += (size_t)written;
    }
    sink.len -= done;
    memmove(sink.gathered, sink.gathered + done, sink.len);
}

static void gather(const struct line *l)
{
    if (l->len > GATHER_SIZE - sink.len)
        drain();
    if (l->len > GATHER_SIZE - sink.len) {
        sink.dropped++;
        return;
    }
    memcpy(sink.gathered + sink.len, l->text, l->len);
    sink.len += l->len;
}

static void emit_fields(struct log_module *m, enum log_level level, struct log_id id,
                        const char *text, va_list *fields)
{
    struct line l;
    char id_text[48];
    struct str id_str = { id_text, log_id_text(id, id_text) };

    l.len = 0;
    l.cut = false;
    if (sink.format == LOG_JSON)
        begin_json(&l, m, level, id_str, text);
    else
        begin_text(&l, m, level, id_str, text);
    for (;;) {
        struct log_field f = va_arg(*fields, struct log_field);
        if (f.type == FIELD_END)
            break;
        put_field(&l, &f);
    }
    if (partition_name(id.cluster))
        put_str(&l, PARTITION_LABEL, str_of(partition_name(id.cluster)));
    finish_line(&l);
    gather(&l);
}

static void emit(struct log_module *m, enum log_level level, const char *text, ...)
{
    va_list fields;
    va_start(fields, text);
    emit_fields(m, level, NO_ID, text, &fields);
    va_end(fields);
}

static time_t this_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

/* Begin another second, and log how many lines of the last one were suppressed. */
static void renew(struct log_module *m, time_t second)
{
    uint64_t suppressed = m->suppressed;

    sink.suppressed -= suppressed;
    m->second = second;
    m->lines = 0;
    m->suppressed = 0;
    if (suppressed)
        emit(m, LEVEL_WARN, "errors and warnings suppressed", LOG_U("lines", suppressed),
             LOG_END);
}

static bool throttled(struct log_module *m)
{
    time_t second = this_second();

    if (m->second != second)
        renew(m, second);
    if (m->lines < COMPLAINTS_PER_SECOND) {
        m->lines++;
        return false;
    }
    m->suppressed++;
    sink.suppressed++;
    return true;
}

void log_event(struct log_module *m, enum log_level level, struct log_id id,
               const char *text, ...)
{
    bool complaint = level <= LEVEL_WARN;
    if (complaint && throttled(m))
        return;
    va_list fields;
    va_start(fields, text);
    emit_fields(m, level, id, text, &fields);
    va_end(fields);
    if (complaint)
        log_flush();
}

/* Reports the lines suppressed in past seconds for modules that have logged nothing
 * since. */
static void report_suppressed(void)
{
    time_t second = this_second();

    for (struct log_module *m = modules; m; m = m->next)
        if (m->suppressed && m->second != second)
            renew(m, second);
}

/* Called while no line is gathered, so its line fits; if that line is dropped too, the
 * count is kept. */
static void report_dropped(void)
{
    uint64_t lines = sink.dropped;
    emit(log_module, LEVEL_WARN, "log lines dropped", LOG_U("lines", lines), LOG_END);
    drain();
    sink.dropped = sink.dropped > lines ? lines : 0;
}

void log_flush(void)
{
    if (sink.suppressed)
        report_suppressed();
    if (sink.len)
        drain();
    if (sink.dropped && !sink.len)
        report_dropped();
}

void log_turn(uint64_t now_ms)
{
    if (!log_pending())
        return;
    if (!sink.since_ms)
        sink.since_ms = now_ms;
    if (!sink.terminal && sink.len < FLUSH_SIZE && now_ms - sink.since_ms < LOG_LAG_MS)
        return;
    sink.since_ms = 0;
    log_flush();
}

bool log_pending(void)
{
    return sink.len || sink.suppressed || sink.dropped;
}

static bool find_level(struct str name, uint8_t *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (str_ieq(name, str_of(levels[i].name))) {
            *ret = (uint8_t)i;
            return true;
        }
    }
    return false;
}

void log_register(struct log_module *m)
{
    if (m->registered)
        return;
    m->registered = true;
    m->next = modules;
    modules = m;
}

static struct log_module *find_module(struct str name)
{
    struct log_module *m = modules;

    while (m && !str_ieq(name, str_of(m->name)))
        m = m->next;
    return m;
}

bool log_has_module(struct str name)
{
    return find_module(name) != NULL;
}

static void set_next_levels(uint8_t level)
{
    for (struct log_module *m = modules; m; m = m->next)
        m->next_level = level;
}

static void apply_next_levels(void)
{
    for (struct log_module *m = modules; m; m = m->next)
        m->level = m->next_level;
}

/* One item of the list: a level for all modules, or module=level. */
static enum err set_item(struct str item, bool for_all, struct diag *why)
{
    struct str module, name = str_cut(item, '=', &module);
    struct log_module *m = NULL;
    uint8_t level;

    if (for_all != !name.at)
        return OK;
    if (!find_level(name.at ? name : module, &level))
        return diag_set(why, ERR_CONFIG,
                        "no log level in \"%.*s\" (error, warn, info or debug)",
                        STR_ARG(item));
    if (name.at && !(m = find_module(module)))
        return diag_set(why, ERR_CONFIG, "no log module \"%.*s\"", STR_ARG(module));
    if (m)
        m->next_level = level;
    else
        set_next_levels(level);
    return OK;
}

/* Levels for all modules are applied first, wherever they are in the list: its order has
 * no meaning. */
enum err log_set_levels(struct str spec, struct diag *why)
{
    set_next_levels(LEVEL_INFO);
    for (int pass = 0; pass < 2; pass++) {
        struct str rest = spec, item;
        do {
            rest = str_cut(rest, ',', &item);
            enum err e = set_item(str_trim(item), pass == 0, why);
            if (e)
                return e;
        } while (rest.at);
    }
    apply_next_levels();
    return OK;
}

void log_set_level(enum log_level level)
{
    set_next_levels((uint8_t)level);
    apply_next_levels();
}

void log_set_format(enum log_format format)
{
    sink.format = format;
}

void log_set_fd(int fd, bool colour)
{
    struct stat st;
    sink.fd = fd;
    sink.colour = colour;
    sink.terminal = isatty(fd);
    sink.regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
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
