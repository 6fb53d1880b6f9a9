/* playground/pods/pages.c - the pages of the pods' HTTP server
 *
 * The pods of tests on a real cluster have the same pages, so that a test can run on
 * both.
 */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "base/own.h"
#include "playground/pods/exchange.h"
#include "playground/ws_accept.h"

#define EVENTS 10
#define EVENT_MS 100
#define PARTS 3
#define PROMISED 1000 /* the Content-Length of /short, which sends 100 bytes */
#define RESET_MS 50

static void put(struct exchange *x, const char *format, ...) PRINTF_LIKE(2, 3);
static void put(struct exchange *x, const char *format, ...)
{
    char text[ANSWER_ROOM / 2];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1;
    bufq_write(&x->stream->out, text, len);
}

/* The head of an answer of known length. */
static void put_head(struct exchange *x, int status, uint64_t length)
{
    put(x,
        "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Length: %llu\r\nX-Pod: %.64s\r\nX-Proto: HTTP/1.1\r\n%s\r\n",
        status, http1_reason(status), (unsigned long long)length, x->pod->name,
        x->keep_alive ? "" : "Connection: close\r\n");
}

static void put_chunked_head(struct exchange *x, const char *type, const char *more)
{
    put(x,
        "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n"
        "X-Pod: %.64s\r\n%s%s\r\n",
        type, x->pod->name, more, x->keep_alive ? "" : "Connection: close\r\n");
}

static enum progress answer_text(struct exchange *x, const char *text)
{
    put_head(x, 200, strlen(text));
    if (!x->bodyless)
        put(x, "%s", text);
    return ANSWERED;
}

static uint64_t query_number(const struct http1_head *head, struct str key,
                             uint64_t other)
{
    uint64_t n;
    struct str value = target_query(head->target, key);
    return str_to_uint(value, UINT64_MAX / 4, &n) ? other : n;
}

/* The body is the kept part of the head. */
static enum progress answer_kept(struct exchange *x)
{
    if (x->sent == 0 && x->left == 0) {
        put_head(x, 200, x->kept.len);
        x->left = x->bodyless ? 0 : x->kept.len;
    }
    size_t n = bufq_write(&x->stream->out, x->kept.at + x->sent, (size_t)x->left);
    x->sent += n;
    x->left -= n;
    return x->left ? MORE : ANSWERED;
}

static void begin_identity(struct exchange *x, const struct http1_head *head,
                           struct str raw)
{
    (void)raw;
    struct str host = head->host ? head->host->value : STR("");
    text_add(&x->kept, STR("pod "));
    text_add(&x->kept, str_of(x->pod->name));
    text_add(&x->kept, STR(" method "));
    text_add(&x->kept, head->method);
    text_add(&x->kept, STR(" host "));
    text_add(&x->kept, host);
    text_add(&x->kept, STR(" path "));
    text_add(&x->kept, head->target);
    text_add(&x->kept, STR("\n"));
}

static void begin_raw(struct exchange *x, const struct http1_head *head, struct str raw)
{
    (void)head;
    text_add(&x->kept, raw);
}

/* ?n= bytes, which repeat 0 to 255, so that tests can compute their hash. */
#define COUNT4(n) (n), (n) + 1, (n) + 2, (n) + 3
#define COUNT16(n) COUNT4(n), COUNT4((n) + 4), COUNT4((n) + 8), COUNT4((n) + 12)
#define COUNT64(n) COUNT16(n), COUNT16((n) + 16), COUNT16((n) + 32), COUNT16((n) + 48)
#define COUNT256 COUNT64(0), COUNT64(64), COUNT64(128), COUNT64(192)
#define COUNT1024 COUNT256, COUNT256, COUNT256, COUNT256
#define COUNT4096 COUNT1024, COUNT1024, COUNT1024, COUNT1024
static const uint8_t counting[] = { COUNT4096, COUNT4096, COUNT4096, COUNT4096,
                                    COUNT256 };

static void begin_bytes(struct exchange *x, const struct http1_head *head, struct str raw)
{
    (void)raw;
    x->number = query_number(head, STR("n"), 0);
    x->left = x->number;
}

static enum progress answer_bytes(struct exchange *x)
{
    if (x->left == x->number && x->sent == 0)
        put_head(x, 200, x->number);
    if (x->bodyless)
        return ANSWERED;
    while (x->left) {
        size_t from = x->sent % 256;
        size_t n = sizeof(counting) - 256;
        if (n > x->left)
            n = (size_t)x->left;
        n = bufq_write(&x->stream->out, counting + from, n);
        if (n == 0)
            return MORE;
        x->sent += n;
        x->left -= n;
    }
    return ANSWERED;
}

static void begin_upload(struct exchange *x, const struct http1_head *head,
                         struct str raw)
{
    (void)head;
    (void)raw;
    sha256_end(x->hash, NULL);
    x->hash = sha256_begin();
}

static enum progress answer_upload(struct exchange *x)
{
    uint8_t sum[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    char line[128];

    sha256_end(TAKE(x->hash), sum);
    for (size_t i = 0; i < SHA256_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    snprintf(line, sizeof(line), "%llu %s <nil>\n", (unsigned long long)x->received, hex);
    return answer_text(x, line);
}

static enum progress answer_sink(struct exchange *x)
{
    char line[48];
    snprintf(line, sizeof(line), "%llu <nil>\n", (unsigned long long)x->received);
    return answer_text(x, line);
}

static void begin_slow(struct exchange *x, const struct http1_head *head, struct str raw)
{
    (void)raw;
    x->number = query_number(head, STR("ms"), 0);
}

static enum progress answer_slow(struct exchange *x)
{
    char line[48];

    if (x->number && x->sent == 0) {
        x->sent = x->timer.sched->now + x->number;
        timer_set_at(&x->timer, x->sent);
    }
    if (x->timer.sched->now < x->sent)
        return MORE;
    snprintf(line, sizeof(line), "slept %llu\n", (unsigned long long)x->number);
    return answer_text(x, line);
}

static void put_chunk(struct exchange *x, const char *text)
{
    put(x, "%zx\r\n%s\r\n", strlen(text), text);
}

static void put_event(struct exchange *x)
{
    struct timespec now;
    char line[64];
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(line, sizeof(line), "data: %llu %lld\n\n", (unsigned long long)x->sent,
             (long long)now.tv_sec * 1000000000 + now.tv_nsec);
    put_chunk(x, line);
}

/* An event each 100 ms, with the time it was sent at. */
static enum progress answer_events(struct exchange *x)
{
    if (x->left == 0)
        put_chunked_head(x, "text/event-stream", "");
    if (x->bodyless)
        return ANSWERED;
    if (x->timer.sched->now < x->left)
        return MORE;
    if (x->sent == EVENTS) {
        put(x, "0\r\n\r\n");
        return ANSWERED;
    }
    put_event(x);
    x->sent++;
    x->left = x->timer.sched->now + EVENT_MS;
    timer_set_at(&x->timer, x->left);
    return MORE;
}

static enum progress answer_trailers(struct exchange *x)
{
    char part[16];

    put_chunked_head(x, "text/plain", "Trailer: X-Sum\r\n");
    if (x->bodyless)
        return ANSWERED;
    for (int i = 0; i < PARTS; i++) {
        snprintf(part, sizeof(part), "part %d\n", i);
        put_chunk(x, part);
    }
    put(x, "0\r\nX-Sum: %d parts\r\n\r\n", PARTS);
    return ANSWERED;
}

static void begin_status(struct exchange *x, const struct http1_head *head,
                         struct str raw)
{
    (void)raw;
    x->number = query_number(head, STR("code"), 200);
    if (x->number < 200 || x->number > 999)
        x->number = 400;
}

static enum progress answer_status(struct exchange *x)
{
    int status = (int)x->number;
    if (status == 204 || status == 304)
        put(x, "HTTP/1.1 %d %s\r\nX-Pod: %.64s\r\n%s\r\n", status, http1_reason(status),
            x->pod->name, x->keep_alive ? "" : "Connection: close\r\n");
    else
        put_head(x, status, 0);
    return ANSWERED;
}

/* Requests the body, unless ?refuse is given. */
static void begin_expect(struct exchange *x, const struct http1_head *head,
                         struct str raw)
{
    (void)raw;
    const struct http1_field *expect = http1_find(head, FIELD_EXPECT);
    x->refused = target_query(head->target, STR("refuse")).at != NULL;
    if (expect)
        text_add(&x->kept, expect->value);
}

static enum progress answer_expect(struct exchange *x)
{
    char line[256];
    if (x->refused) {
        x->keep_alive = false;
        put_head(x, 417, strlen("no, thank you\n"));
        put(x, "no, thank you\n");
        return HANG_UP;
    }
    snprintf(line, sizeof(line), "expect=\"%.*s\" %llu <nil>\n",
             (int)(x->kept.len < 128 ? x->kept.len : 128), x->kept.at ? x->kept.at : "",
             (unsigned long long)x->received);
    return answer_text(x, line);
}

/* Announces 1,000 bytes and closes after 100. */
static enum progress answer_short(struct exchange *x)
{
    put(x, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%0100d", PROMISED, 0);
    return HANG_UP;
}

/* Closes in the middle of a chunked answer. */
static enum progress answer_cut(struct exchange *x)
{
    put(x, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n%0100d\r\n", 0);
    return HANG_UP;
}

/* Like answer_cut, but with a reset, a moment later so that the bytes arrive before. */
static enum progress answer_reset(struct exchange *x)
{
    if (x->sent == 0) {
        answer_short(x);
        x->sent = x->timer.sched->now + RESET_MS;
        timer_set_at(&x->timer, x->sent);
    }
    return x->timer.sched->now < x->sent ? MORE : RESET;
}

static struct str find_header(const struct http1_head *head, struct str name)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_ieq(head->fields[i].name, name))
            return head->fields[i].value;
    return STR("");
}

static void begin_websocket(struct exchange *x, const struct http1_head *head,
                            struct str raw)
{
    (void)raw;
    if (head->upgrade)
        text_add(&x->kept, find_header(head, STR("Sec-WebSocket-Key")));
}

static enum progress answer_websocket(struct exchange *x)
{
    if (x->kept.len == 0) {
        put_head(x, 400, 0);
        return ANSWERED;
    }
    AUTO_FREE char *accept = ws_accept(text_str(&x->kept));
    put(x,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\n"
        "Sec-WebSocket-Accept: %s\r\n\r\n",
        accept);
    return TALK;
}

/* clang-format off */
static const struct page pages[] = {
    { "/bytes",    begin_bytes,     answer_bytes },
    { "/upload",   begin_upload,    answer_upload },
    { "/sink",     NULL,            answer_sink },
    { "/slow",     begin_slow,      answer_slow },
    { "/headers",  begin_raw,       answer_kept },
    { "/sse",      NULL,            answer_events },
    { "/ws",       begin_websocket, answer_websocket },
    { "/trailers", NULL,            answer_trailers },
    { "/status",   begin_status,    answer_status },
    { "/expect",   begin_expect,    answer_expect },
    { "/short",    NULL,            answer_short },
    { "/cut",      NULL,            answer_cut },
    { "/reset",    NULL,            answer_reset },
};
/* clang-format on */

static const struct page identity = { "/", begin_identity, answer_kept };
const struct page page_raw_head = { "", begin_raw, answer_kept };

const struct page *page_find(struct str path)
{
    for (size_t i = 0; path.len > 1 && i < ARRAY_LEN(pages); i++)
        if (str_eq(path, str_of(pages[i].path)))
            return &pages[i];
    return &identity;
}
