/* tests/unit/net/http_server.c - a server for tests: plain sockets, one thread per
 * connection */
#include "http_server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/own.h"

#define CONNECTIONS_MAX 64

struct connection {
    struct http_server *server;
    pthread_t thread;
    unsigned nth;
    int fd;
};

struct http_server {
    serve_fn *serve;
    void *owner;
    pthread_t acceptor;
    int fd;
    uint16_t port;
    unsigned count;
    struct connection connections[CONNECTIONS_MAX];
};

static void *serve_one(void *owner)
{
    struct connection *c = owner;

    c->server->serve(c->fd, c->nth, c->server->owner);
    shutdown(c->fd, SHUT_RDWR);
    close(c->fd);
    return NULL;
}

static void *accept_all(void *owner)
{
    struct http_server *s = owner;
    int fd;

    while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
        assert(s->count < CONNECTIONS_MAX);
        struct connection *c = &s->connections[s->count];
        *c = (struct connection){ .server = s, .nth = s->count, .fd = fd };
        assert(pthread_create(&c->thread, NULL, serve_one, c) == 0);
        s->count++;
    }
    return NULL;
}

struct http_server *http_server_create(serve_fn *serve, void *owner)
{
    struct http_server *s = xcalloc(1, sizeof(*s));
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(address);

    s->serve = serve;
    s->owner = owner;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert(bind(s->fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    assert(listen(s->fd, 16) == 0);
    assert(getsockname(s->fd, (struct sockaddr *)&address, &len) == 0);
    s->port = ntohs(address.sin_port);
    assert(pthread_create(&s->acceptor, NULL, accept_all, s) == 0);
    return s;
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_destroy(struct http_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->count; i++)
        pthread_join(s->connections[i].thread, NULL);
    close(s->fd);
    free(s);
}

static bool read_one(int fd, char *out, size_t *len)
{
    if (*len + 1 >= REQUEST_MAX || recv(fd, out + *len, 1, 0) != 1)
        return false;
    out[++*len] = '\0';
    return true;
}

/* Reads byte by byte, so that no byte of the next request is taken. */
bool http_request(int fd, char out[static REQUEST_MAX])
{
    char got[REQUEST_MAX] = "";
    size_t len = 0;
    const char *field;

    while (!strstr(got, "\r\n\r\n"))
        if (!read_one(fd, got, &len))
            return false;
    field = strcasestr(got, "\r\ncontent-length:");
    for (long n = field ? atol(field + 17) : 0; n > 0; n--)
        if (!read_one(fd, got, &len))
            return false;
    memcpy(out, got, len + 1);
    return true;
}

static void send_all(int fd, const char *bytes, size_t len)
{
    while (len) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        bytes += n;
        len -= (size_t)n;
    }
}

void http_write(int fd, const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&text, format, args);
    va_end(args);
    assert(n >= 0);
    send_all(fd, text, (size_t)n);
    free(text);
}

void http_answer(int fd, int status, const char *more_headers, const char *body)
{
    http_write(fd, "HTTP/1.1 %d Whatever\r\n%sContent-Length: %zu\r\n\r\n%s", status,
               more_headers, strlen(body), body);
}

void http_chunk(int fd, const char *text)
{
    http_write(fd, "%zx\r\n%s\r\n", strlen(text), text);
}
