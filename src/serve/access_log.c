/* serve/access_log.c - a line per request in a file, for other programs */
#include "serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "base/utf8.h"
#include "catalog/service.h"

LOG_MODULE(serve);

#define ROOM (64u << 10)
#define LINE_MAX_BYTES 8192u
#define VALUE_MAX 880u /* of a value, escaped: the rest is cut, so that each line fits */
#define FLUSH_MS 200
#define WARN_MS 60000
#define STATUS_GONE 499 /* the client left before a response */

struct access_log {
    struct sched *sched;
    char *path;
    int fd;
    enum access_format format;
    char *bytes; /* lines that are not written yet */
    size_t used;
    bool torn; /* the last line in the file is not complete */
    struct timer flush;
    uint64_t lost;      /* lines, since the last warning */
    uint64_t warned_at; /* sched ms; 0: never */
};

/* --- the file --- */

static enum err open_path(const char *path, int *ret, struct diag *why)
{
    bool to_stderr = strcmp(path, "stderr") == 0;
    int fd = to_stderr
                 ? fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)
                 : open(path,
                        O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                        0600);

    if (fd < 0)
        return diag_set(why, errno == EACCES ? ERR_ACCESS : ERR_IO, "access-log %s: %s",
                        path, strerror(errno));
    *ret = fd;
    return OK;
}

static void warn_lost(struct access_log *l, uint64_t lines, const char *reason)
{
    uint64_t now = l->sched->now;

    l->lost += lines;
    if (l->warned_at && now - l->warned_at < WARN_MS)
        return;
    l->warned_at = now;
    log_warn(NO_ID, "lines of the access log are lost", LOG_S("file", l->path),
             LOG_U("lines", l->lost), LOG_S("reason", reason));
    l->lost = 0;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t lines = 0;

    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    return lines;
}

static void write_lines(struct access_log *l)
{
    size_t done = 0;

    timer_stop(&l->flush);
    if (l->torn && write(l->fd, "\n", 1) == 1)
        l->torn = false;
    while (done < l->used) {
        ssize_t n = write(l->fd, l->bytes + done, l->used - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            warn_lost(l, count_lines(l->bytes + done, l->used - done),
                      strerror(n ? errno : EIO));
            break;
        }
        done += (size_t)n;
        l->torn = l->bytes[done - 1] != '\n';
    }
    l->used = 0;
}

static void on_flush(struct timer *t)
{
    write_lines(container_of(t, struct access_log, flush));
}

enum err access_log_open(struct sched *sched, const char *path, enum access_format format,
                         struct access_log **ret, struct diag *why)
{
    int fd = -1;
    enum err e = open_path(path, &fd, why);

    if (e)
        return e;
    struct access_log *l = xcalloc(1, sizeof(*l));
    l->sched = sched;
    l->path = xstrdup(path);
    l->fd = fd;
    l->format = format;
    l->bytes = xmalloc(ROOM);
    timer_init(&l->flush, sched, on_flush);
    *ret = l;
    return OK;
}

void access_log_close(struct access_log *l)
{
    if (!l)
        return;
    write_lines(l);
    close(l->fd);
    free(l->bytes);
    free(l->path);
    free(l);
}

void access_log_reopen(struct access_log *l)
{
    struct diag why = { "" };
    int fd = -1;

    write_lines(l);
    enum err e = open_path(l->path, &fd, &why);
    if (e) {
        log_warn(NO_ID, "the access log could not be opened again: keeping the old file",
                 LOG_S("reason", diag_text(&why, e)));
        return;
    }
    close(l->fd);
    l->fd = fd;
    l->torn = false;
}

/* --- one line --- */

struct line {
    char *at;
    size_t used, room;
};

static void put(struct line *l, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct line *l, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    int n = vsnprintf(l->at + l->used, l->room - l->used, format, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < l->room - l->used)
        l->used += (size_t)n;
}

/* As web servers do: a quote, a backslash and every byte that is not printable ASCII. */
static void put_escaped(struct line *l, struct str s)
{
    size_t end = l->used + VALUE_MAX;

    for (size_t i = 0; i < s.len && l->used < end; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c == '"' || c == '\\')
            put(l, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            put(l, "\\x%02x", c);
        else
            put(l, "%c", c);
    }
}

/* A JSON string: what is no UTF-8 becomes U+FFFD, and control and direction characters are
 * written by their number. */
static void put_json(struct line *l, struct str s)
{
    size_t end = l->used + VALUE_MAX;

    for (size_t i = 0; i < s.len && l->used < end;) {
        size_t n = utf8_length(s.at + i, s.len - i);
        if (!n)
            put(l, "\\ufffd");
        else if (utf8_is_control(s.at + i, n))
            put(l, "\\u%04x", utf8_code_point(s.at + i, n) & 0xffff);
        else if (s.at[i] == '"' || s.at[i] == '\\')
            put(l, "\\%c", s.at[i]);
        else
            put(l, "%.*s", (int)n, s.at + i);
        i += n ? n : 1;
    }
}

static struct str field_of(const struct http1_head *request, struct str name)
{
    for (size_t i = 0; i < request->count; i++)
        if (str_ieq(request->fields[i].name, name))
            return request->fields[i].value;
    return STR("");
}

static void put_time(struct line *l, const char *format)
{
    char text[64];
    time_t now = time(NULL);
    struct tm parts;

    gmtime_r(&now, &parts);
    size_t n = strftime(text, sizeof(text), format, &parts);
    put(l, "%.*s", (int)n, text);
}

static int status_of(const struct accounting *a)
{
    return a->status ? a->status : STATUS_GONE;
}

static void put_protocol(struct line *l, const struct accounting *a)
{
    if (a->http2)
        put(l, "HTTP/2.0"); /* as nginx and Apache write it */
    else
        put(l, "HTTP/1.%d", a->request->minor);
}

static void put_common(struct line *l, const struct accounting *a)
{
    put(l, "%s - - [", a->client);
    put_time(l, "%d/%b/%Y:%H:%M:%S +0000");
    put(l, "] \"");
    put_escaped(l, a->request->method);
    put(l, " ");
    put_escaped(l, without_query(a->target->path));
    put(l, " ");
    put_protocol(l, a);
    put(l, "\" %d %llu", status_of(a), (unsigned long long)a->bytes_out);
}

static void put_combined(struct line *l, const struct accounting *a)
{
    put_common(l, a);
    put(l, " \"");
    put_escaped(l, without_query(field_of(a->request, STR("Referer"))));
    put(l, "\" \"");
    put_escaped(l, field_of(a->request, STR("User-Agent")));
    put(l, "\"");
}

static void put_member(struct line *l, const char *name, struct str value)
{
    put(l, ",\"%s\":\"", name);
    put_json(l, value);
    put(l, "\"");
}

static void put_object(struct line *l, const struct accounting *a)
{
    const struct endpoint *e = a->lease->endpoint;

    put(l, "{\"time\":\"");
    put_time(l, "%Y-%m-%dT%H:%M:%SZ");
    put(l, "\",\"status\":%d,\"in\":%llu,\"out\":%llu,\"ms\":%llu", status_of(a),
        (unsigned long long)a->bytes_in, (unsigned long long)a->bytes_out,
        (unsigned long long)a->ms);
    put_member(l, "client", str_of(a->client));
    put_member(l, "method", a->request->method);
    put_member(l, "host", accounting_host(a->request, a->target));
    put_member(l, "path", without_query(a->target->path));
    put(l, ",\"protocol\":\"");
    put_protocol(l, a);
    put(l, "\"");
    put_member(l, "namespace", str_of(e ? e->ns : ""));
    put_member(l, "pod", str_of(e ? e->pod : ""));
    put_member(l, "referer", without_query(field_of(a->request, STR("Referer"))));
    put_member(l, "userAgent", field_of(a->request, STR("User-Agent")));
    put(l, "}");
}

void access_log_note(struct access_log *l, const struct accounting *a)
{
    if (!a->request)
        return;
    if (l->used + LINE_MAX_BYTES > ROOM)
        write_lines(l);
    struct line line = { l->bytes + l->used, 0, LINE_MAX_BYTES - 1 };
    if (l->format == ACCESS_JSON)
        put_object(&line, a);
    else if (l->format == ACCESS_COMBINED)
        put_combined(&line, a);
    else
        put_common(&line, a);
    line.at[line.used++] = '\n';
    l->used += line.used;
    if (!l->flush.at)
        timer_set(&l->flush, FLUSH_MS);
}
