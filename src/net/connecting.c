/* net/connecting.c - reach host:port: names, happy eyeballs, HTTP and SOCKS proxies
 *
 * curl connects and no more (CONNECT_ONLY); the URL is http:// so that TLS is left to us.
 * The socket is duplicated before curl's handle goes: which of curl's versions closes its
 * own descriptor when, and which of several it opened, is then none of our business, for
 * two system calls a tunnel.  libuv has forgotten curl's descriptor before curl closes
 * it, so no stale interest stays behind on the shared open file.
 */
#include "net/connecting.h"

#include <fcntl.h>
#include <unistd.h>

#include "net/multi.h"
#include "net/proxy.h"

struct attempt {
    struct connecting *owner;
    struct easy easy;
    char *where; /* "host:port" */
};

static void attempt_destroy(struct attempt *a)
{
    easy_close(&a->easy);
    free(a->where);
    free(a);
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
    return OK;
}

static void on_done(struct easy *e, CURLcode code)
{
    struct attempt *a = container_of(e, struct attempt, easy);
    struct connecting *c = a->owner;

    c->result = code ? easy_error(e, code, a->where, &c->why) : take_socket(a);
    easy_close(e);
    task_wake(c->wake);
}

/* Not FORBID_REUSE: it would close the socket before on_done sees it.  curl never reuses
 * a CONNECT_ONLY connection, and closes its side with the handle. */
static void set_connect_only(CURL *curl, const char *url, const char *proxy, uint64_t ms)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, proxy);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, ""); /* net/proxy.c has looked at $NO_PROXY */
    curl_easy_setopt(curl, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ms);
}

void connecting_start(struct connecting *c, struct transfers *t, const char *host,
                      uint16_t port, const char *proxy, uint64_t timeout_ms,
                      struct task *wake)
{
    struct attempt *a = xcalloc(1, sizeof(*a));
    AUTO_FREE char *through = proxy_choose(proxy, true, host, port);

    *c = (struct connecting){ .result = ERR_AGAIN, .fd = -1, .wake = wake, .request = a };
    a->owner = c;
    a->where = xasprintf(strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
    if (str_starts(str_of(through), STR("https://"))) {
        c->result = diag_set(&c->why, ERR_CONFIG,
                             "cannot reach %s: proxies spoken to over TLS (https://) are "
                             "not supported yet; use http:// or socks5://",
                             a->where);
        task_wake(wake);
        return;
    }
    AUTO_FREE char *url = xasprintf("http://%s/", a->where);
    easy_open(&a->easy, t, on_done);
    set_connect_only(a->easy.curl, url, through, timeout_ms);
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
    c->fd = -1;
}
