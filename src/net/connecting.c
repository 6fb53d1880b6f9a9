/* net/connecting.c - connect to host:port: names, happy eyeballs, HTTP and SOCKS proxies
 *
 * curl connects and no more (CONNECT_ONLY); the URL is http:// so that TLS is left to us.
 * The socket is duplicated before curl's handle is closed, because versions of curl
 * differ in when they close which of their descriptors.  It costs two system calls per
 * tunnel.  libuv has forgotten curl's descriptor before curl closes it, so no
 * registration in epoll remains for the open file that both descriptors share.
 */
#include "net/connecting.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/url.h"
#include "net/multi.h"
#include "net/proxy.h"
#include "net/proxy_stream.h"

struct attempt {
    struct connecting *owner;
    struct easy easy;
    char *where; /* "host:port" */
    /* Through a proxy that is connected to over TLS; NULL: none. */
    char *proxy;
    struct tls_identity *identity;
    struct proxy_stream through;
    struct task on_through; /* its wake */
};

static void attempt_destroy(struct attempt *a)
{
    easy_close(&a->easy);
    proxy_stream_finish(&a->through);
    task_cancel(&a->on_through);
    tls_identity_unref(a->identity);
    free(a->proxy);
    free(a->where);
    free(a);
}

/* TCP keep-alive: the kernel notices a dead peer also while nothing is read or sent.  No
 * TCP_USER_TIMEOUT: it would also end a connection whose far end is alive and has no
 * room. */
static void set_socket_options(int fd)
{
    int on = 1, idle = 30, every = 10, count = 3;
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
}

static enum err take_socket(struct attempt *a)
{
    curl_socket_t theirs = CURL_SOCKET_BAD;
    struct connecting *c = a->owner;

    if (curl_easy_getinfo(a->easy.curl, CURLINFO_ACTIVESOCKET, &theirs) || theirs < 0)
        return diag_set(&c->why, ERR_CONNECT, "cannot reach %s: no socket", a->where);
    c->fd = fcntl(theirs, F_DUPFD_CLOEXEC, 0);
    if (c->fd < 0)
        return diag_set(&c->why, ERR_NO_FILES, "cannot reach %s: %s", a->where,
                        err_text(ERR_NO_FILES));
    set_socket_options(c->fd);
    return OK;
}

static void on_through(struct task *task)
{
    struct attempt *a = container_of(task, struct attempt, on_through);
    struct connecting *c = a->owner;

    if (a->through.result == ERR_AGAIN || c->result != ERR_AGAIN)
        return;
    c->result = a->through.result;
    c->why = a->through.why;
    c->stream = TAKE(a->through.stream);
    task_wake(c->wake);
}

static void go_through_proxy(struct attempt *a)
{
    struct loop *l = a->easy.transfers->loop;
    struct proxy_through through = { a->proxy, a->where, a->identity };
    int fd = a->owner->fd;

    a->owner->fd = -1;
    task_init(&a->on_through, loop_sched(l), RANK_READ, on_through);
    proxy_stream_start(&a->through, l, fd, &through, &a->on_through);
}

static void on_attempt_done(struct easy *e, CURLcode code)
{
    struct attempt *a = container_of(e, struct attempt, easy);
    struct connecting *c = a->owner;

    enum err result = code ? easy_error(e, code, a->where, &c->why) : take_socket(a);
    easy_close(e);
    if (!result && a->proxy) {
        go_through_proxy(a);
        return;
    }
    c->result = result;
    task_wake(c->wake);
}

/* Not FORBID_REUSE: it would close the socket before on_done is called.  curl never
 * reuses a CONNECT_ONLY connection, and closes its side with the handle. */
static void set_connect_only(CURL *curl, const char *url, uint64_t ms)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ms);
}

/* "host:port" of an https:// proxy, to which curl connects as if it were the server;
 * NULL: another kind of proxy, or none. */
static char *place_of_tls_proxy(const char *proxy)
{
    struct url u;
    struct diag why;
    char *place = NULL;

    if (!*proxy || url_parse(str_of(proxy), "http", &u, &why))
        return NULL;
    if (strcmp(u.scheme, "https") == 0)
        place = url_host_port(&u, 443);
    url_finish(&u);
    return place;
}

void connecting_start(struct connecting *c, struct transfers *t,
                      const struct connecting_to *to, struct task *wake)
{
    struct attempt *a = xcalloc(1, sizeof(*a));
    AUTO_FREE char *proxy = proxy_choose(to->proxy, true, to->host, to->port);
    char *over_tls = place_of_tls_proxy(proxy);

    *c = (struct connecting){ .result = ERR_AGAIN, .fd = -1, .wake = wake, .request = a };
    a->owner = c;
    a->where = xasprintf(strchr(to->host, ':') ? "[%s]:%u" : "%s:%u", to->host, to->port);
    a->proxy = over_tls ? xstrdup(proxy) : NULL;
    a->identity = tls_identity_ref(to->identity);
    AUTO_FREE char *url = xasprintf("http://%s/", over_tls ? over_tls : a->where);
    easy_open(&a->easy, t, on_attempt_done);
    set_connect_only(a->easy.curl, url, to->timeout_ms);
    easy_set_proxy(&a->easy, over_tls ? "" : proxy);
    if (over_tls)
        a->easy.proxy = over_tls; /* for messages */
    easy_set_peer(&a->easy, to->host, to->port);
    easy_start(&a->easy);
}

void connecting_finish(struct connecting *c)
{
    struct attempt *a = c->request;

    if (!a)
        return;
    c->request = NULL;
    attempt_destroy(a);
    if (c->result == OK && c->fd >= 0)
        close(c->fd);
    stream_close(TAKE(c->stream));
    c->fd = -1;
}
