/* control/client.c - requests to the control socket of a running kube-tunnel */
#include "control/client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/own.h"
#include "control/place.h"
#include "wire/http1.h"

#define HEAD_MAX 8192
#define FIELDS_MAX 32
#define ANSWER_MAX (64u << 20)
#define LINE_MAX_BYTES (4u << 20)

/* Bytes that were read; `at` is owned. */
struct received {
    char *at;
    size_t len, room;
};

static enum err io_error(struct diag *why)
{
    enum err e = errno == EAGAIN || errno == EWOULDBLOCK ? ERR_TIMEOUT : ERR_IO;

    return diag_set(why, e, "kube-tunnel's control socket: %s",
                    e == ERR_TIMEOUT ? "no answer; is the process stopped?"
                                     : strerror(errno));
}

static void add_name(void *owner, const char *name)
{
    FILE *names = owner;

    fprintf(names, " %s", name);
}

/* There may be others, under other names. */
static enum err explain_missing(const char *name, struct diag *why)
{
    char *names = NULL;
    size_t len = 0;
    struct place p;
    FILE *out = open_memstream(&names, &len);

    if (!out)
        abort();
    if (!place_find(name, false, &p, NULL))
        place_each(&p, add_name, out);
    if (fclose(out))
        abort();
    AUTO_FREE char *owned = names;
    if (len)
        return diag_set(why, ERR_NOT_FOUND,
                        "no kube-tunnel called \"%s\" runs; choose one with --name:%s",
                        name, names);
    return diag_set(why, ERR_NOT_FOUND,
                    "no kube-tunnel called \"%s\" runs for this user; start it with: "
                    "kube-tunnel run",
                    name);
}

static enum err explain_connect(const char *name, struct diag *why)
{
    if (errno == ENOENT || errno == ECONNREFUSED)
        return explain_missing(name, why);
    if (errno == EACCES)
        return diag_set(why, ERR_ACCESS,
                        "the control socket of \"%s\" belongs to another user", name);
    return io_error(why);
}

static enum err connect_to(const char *name, int *ret, struct diag *why)
{
    const struct timeval wait = { .tv_sec = CLIENT_MS / 1000 };
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct place p;
    enum err e = place_find(name, false, &p, why);

    if (e == ERR_NOT_FOUND)
        return explain_missing(name, why);
    if (e)
        return e;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return io_error(why);
    str_append(at.sun_path, sizeof(at.sun_path) - 1, 0, str_of(p.socket));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    if (connect(fd, (const struct sockaddr *)&at, sizeof(at))) {
        e = explain_connect(name, why);
        close(fd);
        return e;
    }
    *ret = fd;
    return OK;
}

static enum err send_all(int fd, struct str text, struct diag *why)
{
    while (!str_empty(text)) {
        ssize_t n = send(fd, text.at, text.len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return io_error(why);
        text = str_skip(text, (size_t)n);
    }
    return OK;
}

static enum err send_request(int fd, const char *method, const char *path,
                             const json_t *body, struct diag *why)
{
    AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    AUTO_FREE char *request =
        xasprintf("%s %s HTTP/1.1\r\nHost: kube-tunnel\r\nContent-Length: %zu\r\n\r\n%s",
                  method, path, text ? strlen(text) : 0, text ? text : "");

    return send_all(fd, str_of(request), why);
}

/* Reads what there is; ERR_EOF at the end. */
static enum err receive(int fd, struct received *r, size_t max, struct diag *why)
{
    if (r->len >= max)
        return diag_set(why, ERR_LIMIT, "the answer of the control socket is too large");
    if (r->room - r->len < 4096) {
        r->room = r->room ? r->room * 2 : 16384;
        r->at = xrealloc(r->at, r->room);
    }
    ssize_t n = recv(fd, r->at + r->len, r->room - r->len, 0);
    if (n < 0 && errno != EINTR)
        return io_error(why);
    if (n == 0)
        return ERR_EOF;
    r->len += n > 0 ? (size_t)n : 0;
    return n < 0 ? ERR_AGAIN : OK;
}

static enum err broken(struct diag *why)
{
    return diag_set(why, ERR_PROTO,
                    "the control socket sent no answer; does kube-tunnel still run?");
}

/* Removes the head from *r. */
static enum err receive_head(int fd, struct received *r, int *ret_status,
                             struct diag *why)
{
    struct http1_field fields[FIELDS_MAX];
    struct http1_head head = { .fields = fields, .room = FIELDS_MAX };
    size_t scanned = 0, end = 0;

    while (http1_head_end(r->at, r->len, &scanned, &end)) {
        enum err e = receive(fd, r, HEAD_MAX, why);
        if (e && e != ERR_AGAIN)
            return e == ERR_EOF ? broken(why) : e;
    }
    if (http1_response_parse(r->at, end, STR("GET"), &head))
        return broken(why);
    *ret_status = head.status;
    r->len -= end;
    memmove(r->at, r->at + end, r->len);
    return OK;
}

static enum err receive_answer(int fd, struct received *r, struct control_reply *ret,
                               struct diag *why)
{
    enum err e = receive_head(fd, r, &ret->status, why);

    while (!e || e == ERR_AGAIN)
        e = receive(fd, r, ANSWER_MAX, why);
    if (e != ERR_EOF)
        return e;
    ret->json = json_loadb(r->at, r->len, 0, NULL);
    if (json_is_object(ret->json))
        return OK;
    json_decref(ret->json);
    return broken(why);
}

enum err control_call(const char *name, const char *method, const char *path,
                      json_t *body, struct control_reply *ret, struct diag *why)
{
    struct received r = { 0 };
    int fd = -1;

    enum err e = connect_to(name, &fd, why);
    if (!e)
        e = send_request(fd, method, path, body, why);
    if (!e)
        e = receive_answer(fd, &r, ret, why);
    if (fd >= 0)
        close(fd);
    free(r.at);
    json_decref(body);
    return e;
}

char *query_encode(const char *text)
{
    char *out = xmalloc(strlen(text) * 3 + 1), *at = out;

    for (; *text; text++) {
        bool plain = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
                     (*text >= '0' && *text <= '9') || strchr("-._~", *text);
        if (plain)
            *at++ = *text;
        else
            at += sprintf(at, "%%%02X", (unsigned char)*text);
    }
    *at = '\0';
    return out;
}

/* --- lines --- */

struct control_lines {
    int fd;
    struct received received;
    size_t used; /* bytes of it that were returned */
};

/* The rest of the answer is an error. */
static enum err explain_refusal(struct control_lines *l, struct diag *why)
{
    enum err e = OK;

    while (!e || e == ERR_AGAIN)
        e = receive(l->fd, &l->received, ANSWER_MAX, why);
    json_t *json = json_loadb(l->received.at, l->received.len, 0, NULL);
    const char *text =
        json_string_value(json_object_get(json_object_get(json, "error"), "message"));
    diag_set(why, ERR_UNAVAILABLE, "%s", text ? text : "the control socket refused it");
    json_decref(json);
    return ERR_UNAVAILABLE;
}

enum err control_lines_open(const char *name, const char *path,
                            struct control_lines **ret, struct diag *why)
{
    struct control_lines *l = xcalloc(1, sizeof(*l));
    int status = 0;

    l->fd = -1;
    enum err e = connect_to(name, &l->fd, why);
    if (!e)
        e = send_request(l->fd, "GET", path, NULL, why);
    if (!e)
        e = receive_head(l->fd, &l->received, &status, why);
    if (!e && status != 200)
        e = explain_refusal(l, why);
    if (e)
        control_lines_close(l);
    else
        *ret = l;
    return e;
}

static bool take_line(struct control_lines *l, struct str *ret)
{
    struct received *r = &l->received;
    const char *begin = r->at + l->used;
    const char *end = r->len > l->used ? memchr(begin, '\n', r->len - l->used) : NULL;

    if (!end)
        return false;
    *ret = (struct str){ begin, (size_t)(end - begin) };
    l->used += ret->len + 1;
    return true;
}

/* Without a deadline: events come when there are requests. */
static enum err wait_for_bytes(int fd, const volatile sig_atomic_t *stop)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    while (!*stop)
        if (poll(&p, 1, 1000) > 0)
            return OK;
    return ERR_AGAIN;
}

int control_lines_fd(const struct control_lines *l)
{
    return l->fd;
}

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

/* Makes room where lines were returned. */
static void drop_used(struct control_lines *l)
{
    l->received.len -= l->used;
    memmove(l->received.at, l->received.at + l->used, l->received.len);
    l->used = 0;
}

enum err control_lines_read(struct control_lines *l, struct str *ret)
{
    while (!take_line(l, ret)) {
        if (!is_readable(l->fd))
            return ERR_AGAIN;
        drop_used(l);
        enum err e = receive(l->fd, &l->received, LINE_MAX_BYTES, NULL);
        if (e && e != ERR_AGAIN)
            return e;
    }
    return OK;
}

enum err control_lines_next(struct control_lines *l, const volatile sig_atomic_t *stop,
                            struct str *ret)
{
    while (!take_line(l, ret)) {
        drop_used(l);
        enum err e = wait_for_bytes(l->fd, stop);
        if (!e)
            e = receive(l->fd, &l->received, LINE_MAX_BYTES, NULL);
        if (e && (e != ERR_AGAIN || *stop))
            return e;
    }
    return OK;
}

void control_lines_close(struct control_lines *l)
{
    if (!l)
        return;
    if (l->fd >= 0)
        close(l->fd);
    free(l->received.at);
    free(l);
}
