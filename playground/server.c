#include "playground/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"
#include "playground/api/connection.h"
#include "playground/forward/session.h"
#include "playground/tls_server.h"

LOG_MODULE(playground);

/* so that the client that sent the command gets the response */
#define RESTART_DELAY_MS 20
#define REOPEN_MS 50 /* retry after this while the port is still in use */

struct server {
    struct cluster *cluster;
    struct tls_context *tls; /* NULL: a Unix socket for commands */
    struct listener *listener;
    struct sockaddr_storage address;
    socklen_t address_len;
    char text[ADDRESS_TEXT];
    char *path; /* of a Unix socket */
    struct timer timer;
    uint64_t away_ms;
    bool away;
};

static void on_accept(void *owner, int fd, const struct sockaddr *peer)
{
    struct server *s = owner;
    struct stream *stream = tcp_open_accepted(s->cluster->loop, fd);

    (void)peer;
    if (s->tls)
        stream = tls_server_open(loop_sched(s->cluster->loop),
                                 loop_pool(s->cluster->loop), s->tls, stream);
    connection_open(s->cluster, stream, s->tls == NULL);
}

static enum err server_start(struct server *s, struct diag *why)
{
    int fd;
    const struct sockaddr *address = (const struct sockaddr *)&s->address;
    enum err e = listen_socket(address, s->address_len, &fd, why);
    if (e)
        return e;
    getsockname(fd, (struct sockaddr *)&s->address, &s->address_len);
    address_text((const struct sockaddr *)&s->address, s->text);
    s->listener = listener_open(s->cluster->loop, fd, on_accept, s);
    return OK;
}

static void go_away(struct server *s)
{
    listener_close(TAKE(s->listener));
    connections_drop(s->cluster, DROP_KILLED);
    sessions_drop(s->cluster, DROP_KILLED);
    s->away = true;
    timer_set(&s->timer, s->away_ms ? s->away_ms : 1);
}

static void come_back(struct server *s)
{
    struct diag why = { 0 };
    if (server_start(s, &why)) {
        log_warn(NO_ID, "cannot come back yet", LOG_S("reason", why.text));
        timer_set(&s->timer, REOPEN_MS);
    } else {
        s->away = false;
    }
}

static void on_timer(struct timer *timer)
{
    struct server *s = container_of(timer, struct server, timer);
    if (s->away)
        come_back(s);
    else
        go_away(s);
}

static struct server *create(struct cluster *c, struct tls_context *tls)
{
    struct server *s = xcalloc(1, sizeof(*s));
    s->cluster = c;
    s->tls = tls ? tls_context_ref(tls) : NULL;
    timer_init(&s->timer, loop_sched(c->loop), on_timer);
    return s;
}

static enum err open_or_close(struct server *s, struct server **ret, struct diag *why)
{
    enum err e = server_start(s, why);
    if (e)
        server_close(s);
    else
        *ret = s;
    return e;
}

enum err server_open(struct cluster *c, struct str address, struct tls_context *tls,
                     struct server **ret, struct diag *why)
{
    struct server *s = create(c, tls);
    enum err e = server_address_parse(address, &s->address, &s->address_len, why);
    if (e) {
        server_close(s);
        return e;
    }
    return open_or_close(s, ret, why);
}

enum err server_open_unix(struct cluster *c, const char *path, struct server **ret,
                          struct diag *why)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if (n >= sizeof(at.sun_path))
        return diag_set(why, ERR_CONFIG, "%s: too long for a socket", path);
    memcpy(at.sun_path, path, n);
    unlink(path);

    struct server *s = create(c, NULL);
    s->path = xstrdup(path);
    memcpy(&s->address, &at, sizeof(at));
    s->address_len = sizeof(at);
    return open_or_close(s, ret, why);
}

void server_close(struct server *s)
{
    if (!s)
        return;
    timer_stop(&s->timer);
    listener_close(s->listener);
    tls_context_unref(s->tls);
    if (s->path)
        unlink(s->path);
    free(s->path);
    free(s);
}

const char *server_address(const struct server *s)
{
    return s->text;
}

void server_restart(struct server *s, uint64_t ms)
{
    s->away_ms = ms;
    timer_set(&s->timer, RESTART_DELAY_MS);
}

void server_pause(struct server *s, bool paused)
{
    if (s->listener)
        listener_pause(s->listener, paused);
}

enum err server_address_parse(struct str text, struct sockaddr_storage *ret,
                              socklen_t *ret_len, struct diag *why)
{
    struct str host;
    uint64_t port;
    enum err e = str_to_uint(str_cut_last(text, ':', &host), UINT16_MAX, &port);
    bool bracketed = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    struct sockaddr_in *v4 = (void *)ret;

    if (bracketed)
        host = str_skip(str_first(host, host.len - 1), 1);
    if (e || !address_parse(host, ret) || bracketed != (ret->ss_family == AF_INET6))
        return diag_set(why, ERR_CONFIG, "\"%.*s\" is not ADDRESS:PORT", STR_ARG(text));
    v4->sin_port = htons((uint16_t)port); /* IPv6 has its port in the same place */
    *ret_len = bracketed ? sizeof(struct sockaddr_in6) : sizeof(*v4);
    return OK;
}
