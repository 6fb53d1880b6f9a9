/* cli/har.c - requests as an HTTP archive (HAR 1.2), written while they come */
#include "cli/har.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/ask.h"

#define BEGIN                                                                            \
    "{\"log\":{\"version\":\"1.2\",\"creator\":{\"name\":\"kube-tunnel\",\"version\":"   \
    "\"" VERSION "\"},\"entries\":["
#define END "\n]}}\n"

struct har {
    int fd;
    char *path;
    uint64_t limit, end; /* `end`: where the text END begins */
    uint64_t entries;
};

static enum err write_at(const struct har *h, uint64_t at, struct str text,
                         struct diag *why)
{
    while (!str_empty(text)) {
        ssize_t n = pwrite(h->fd, text.at, text.len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return diag_set(why, ERR_IO, "%s: %s", h->path, strerror(errno));
        at += (uint64_t)n;
        text = str_skip(text, (size_t)n);
    }
    return OK;
}

/* Its owner could read requests there, or wait at the other end of a pipe. */
static bool is_own_file(int fd)
{
    struct stat s;

    return !fstat(fd, &s) && S_ISREG(s.st_mode) && s.st_uid == geteuid() &&
           s.st_nlink == 1;
}

static enum err open_file(struct har *h, struct diag *why)
{
    h->fd = open(h->path, O_WRONLY | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (h->fd >= 0 && !is_own_file(h->fd))
        return diag_set(why, ERR_IO,
                        "%s: not a regular file that you own, with one name: name "
                        "another one",
                        h->path);
    if (h->fd < 0 || fchmod(h->fd, 0600) || ftruncate(h->fd, 0))
        return diag_set(why, ERR_IO, "%s: %s", h->path, strerror(errno));
    return OK;
}

enum err har_create(const char *path, uint64_t limit, struct har **ret, struct diag *why)
{
    struct har *h = xcalloc(1, sizeof(*h));

    h->path = xstrdup(path);
    h->limit = limit;
    enum err e = open_file(h, why);
    if (!e)
        e = write_at(h, 0, STR(BEGIN END), why);
    h->end = sizeof(BEGIN) - 1;
    if (e)
        har_close(h);
    else
        *ret = h;
    return e;
}

/* Undo what was written of an entry. */
static void take_back(const struct har *h)
{
    if (!ftruncate(h->fd, (off_t)h->end))
        (void)!pwrite(h->fd, END, sizeof(END) - 1, (off_t)h->end);
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *headers_of(const json_t *event, const char *key)
{
    json_t *list = json_array(), *pair;
    size_t i;

    json_array_foreach(json_object_get(event, key), i, pair)
    {
        json_t *item = json_object();
        json_object_set(item, "name", json_array_get(pair, 0));
        json_object_set(item, "value", json_array_get(pair, 1));
        json_array_append_new(list, item);
    }
    return list;
}

static const char *header(const json_t *event, const char *key, const char *name)
{
    json_t *pair;
    size_t i;

    json_array_foreach(
        json_object_get(event, key), i,
        pair) if (str_ieq(str_of(json_string_value(json_array_get(pair, 0))),
                          str_of(name))) return json_string_value(json_array_get(pair,
                                                                                 1));
    return "";
}

static void set_body(json_t *to, const json_t *body)
{
    const json_t *base64 = json_object_get(body, "base64");
    const json_t *text = json_object_get(body, "text");

    if (text)
        json_object_set(to, "text", (json_t *)text);
    if (base64) {
        json_object_set(to, "text", (json_t *)base64);
        set(to, "encoding", json_string("base64"));
    }
    if (json_object_get(body, "cut"))
        set(to, "comment", json_string("only the first 64 KiB"));
}

static json_t *message(const json_t *event, const char *headers)
{
    json_t *m = json_object();

    set(m, "httpVersion",
        json_string(text_of(event, "protocol")[0] ? text_of(event, "protocol")
                                                  : "HTTP/1.1"));
    set(m, "cookies", json_array());
    set(m, "headers", headers_of(event, headers));
    set(m, "headersSize", json_integer(-1));
    return m;
}

static json_t *request_of(const json_t *event)
{
    json_t *r = message(event, "requestHeaders");
    const json_t *body = json_object_get(event, "requestBody");

    set(r, "method", json_string(text_of(event, "method")));
    set(r, "url",
        json_sprintf("http://%s%s", text_of(event, "host"), text_of(event, "path")));
    set(r, "queryString", json_array());
    set(r, "bodySize", json_integer(number_of(event, "bytesIn")));
    if (body) {
        json_t *data = json_object();
        set(data, "mimeType",
            json_string(header(event, "requestHeaders", "content-type")));
        set(data, "params", json_array());
        set_body(data, body);
        set(r, "postData", data);
    }
    return r;
}

static json_t *response_of(const json_t *event)
{
    json_t *r = message(event, "responseHeaders"), *content = json_object();

    set(content, "size", json_integer(number_of(event, "bytesOut")));
    set(content, "mimeType",
        json_string(header(event, "responseHeaders", "content-type")));
    set_body(content, json_object_get(event, "responseBody"));
    set(r, "status", json_integer(number_of(event, "status")));
    set(r, "statusText", json_string(""));
    set(r, "content", content);
    set(r, "redirectURL", json_string(header(event, "responseHeaders", "location")));
    set(r, "bodySize", json_integer(number_of(event, "bytesOut")));
    return r;
}

/* The phases of a request, by the names that HAR has for them. */
static json_t *timings_of(const json_t *event)
{
    const json_t *ms = json_object_get(event, "ms");
    json_t *t = json_object();

    set(t, "blocked", json_integer(number_of(ms, "head") + number_of(ms, "wait")));
    set(t, "dns", json_integer(number_of(ms, "lookup")));
    set(t, "connect", json_integer(number_of(ms, "dial")));
    set(t, "send", json_integer(0));
    set(t, "wait", json_integer(number_of(ms, "pod")));
    set(t, "receive", json_integer(number_of(ms, "transfer")));
    return t;
}

static json_t *time_of(long long ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm parts;
    char text[64];

    if (!gmtime_r(&seconds, &parts) ||
        !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts))
        return json_string("1970-01-01T00:00:00.000Z");
    return json_sprintf("%s.%03dZ", text, (int)(ms % 1000));
}

static json_t *entry_of(const json_t *event)
{
    json_t *e = json_object();

    set(e, "startedDateTime", time_of(number_of(event, "at")));
    set(e, "time", json_integer(number_of(json_object_get(event, "ms"), "total")));
    set(e, "request", request_of(event));
    set(e, "response", response_of(event));
    set(e, "cache", json_object());
    set(e, "timings", timings_of(event));
    set(e, "connection", json_string(text_of(event, "id")));
    AUTO_FREE char *pod = event_pod(event);
    if (pod)
        set(e, "_pod", json_string(pod));
    return e;
}

enum err har_add(struct har *h, const json_t *event, struct diag *why)
{
    json_t *entry = entry_of(event);
    AUTO_FREE char *json = json_dumps(entry, JSON_COMPACT | JSON_ENSURE_ASCII);
    AUTO_FREE char *text =
        xasprintf("%s\n%s" END, h->entries ? "," : "", json ? json : "{}");
    size_t len = strlen(text);

    json_decref(entry);
    if (h->end + len > h->limit)
        return diag_set(why, ERR_LIMIT, "%s has reached its limit (--har-limit)",
                        h->path);
    enum err e = write_at(h, h->end, (struct str){ text, len }, why);
    if (e) {
        take_back(h);
        return e;
    }
    h->end += len - (sizeof(END) - 1);
    h->entries++;
    return OK;
}

void har_close(struct har *h)
{
    if (!h)
        return;
    if (h->fd >= 0)
        close(h->fd);
    free(h->path);
    free(h);
}
