/* net/multi.c - libcurl's multi interface on our loop
 *
 * THEORY OF OPERATION
 *
 *      libuv ── on_ready ──┐
 *                          ├─▶ curl_multi_socket_action ─▶ on_body, on_head ... (record facts)
 *      run queue ─ kick ───┘            │
 *                                       ▼
 *                                    collect ─▶ on_done (records, wakes)
 *
 * curl reports which sockets it waits for (on_socket) and when it has to be called at the
 * latest (on_timeout); we report the events to it.  Handles are removed only from collect,
 * from tasks and from timers, never from inside one of curl's callbacks.
 *
 * A poll handle is closed when curl reports REMOVE, which it does before it closes the
 * descriptor; libuv forgets the descriptor in uv_close at once, so its number may be used
 * again in the same turn.
 */
#include "net/multi.h"

#include <assert.h>
#include <errno.h>
#include <uv.h>

#include "net/url.h"
#include "net/loop_uv.h"
#include "net/tls_identity_ssl.h"

#define KEPT_CONNECTIONS 8L

struct watched {
    uv_poll_t poll;
    struct transfers *transfers;
    curl_socket_t fd;
    int interest; /* libuv's UV_READABLE, UV_WRITABLE */
    struct list_node node;
};

static void collect(struct transfers *t)
{
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(t->multi, &left))) {
        struct easy *e = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &e);
        if (code == CURLE_COULDNT_CONNECT)
            reach_on_failure(&e->reach);
        else if (code == CURLE_OK)
            easy_on_connected(e);
        e->on_done(e, code);
    }
}

static void act(struct transfers *t, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(t->multi, fd, events, &running);
    collect(t);
}

static void on_ready(uv_poll_t *poll, int status, int events);

/* libuv stops polling a socket that has an error and reports only that.  curl gets the
 * events read and write, not CURL_CSELECT_ERR: so it first reads what was received before
 * the error (for example a TLS alert), and then gets the error from the socket. */
static void act_on_error(struct watched *w)
{
    act(w->transfers, w->fd, CURL_CSELECT_IN | CURL_CSELECT_OUT);
    if (!uv_is_closing((uv_handle_t *)&w->poll))
        uv_poll_start(&w->poll, w->interest, on_ready);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct watched *w = container_of(poll, struct watched, poll);
    int in = events & UV_READABLE ? CURL_CSELECT_IN : 0;
    int out = events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;

    loop_tick(w->transfers->loop);
    if (status < 0)
        act_on_error(w);
    else
        act(w->transfers, w->fd, in | out);
}

static void on_kick(struct task *kick)
{
    struct transfers *t = container_of(kick, struct transfers, kick);
    int running;

    if (t->all) {
        t->all = false;
        /* Only this function of curl runs a handle that waits for neither socket nor
         * time, and reports the socket that it opens. */
        CURL_IGNORE_DEPRECATION(curl_multi_socket_all(t->multi, &running);)
        collect(t);
        return;
    }
    act(t, CURL_SOCKET_TIMEOUT, 0);
}

static void on_attempt_ended(struct reach *r)
{
    struct transfers *t = container_of(r, struct easy, reach)->transfers;

    t->all = true;
    task_yield(&t->kick);
}

static void on_due(struct timer *timeout)
{
    act(container_of(timeout, struct transfers, timeout), CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long ms, void *owner)
{
    struct transfers *t = owner;
    (void)multi;

    timer_set(&t->timeout, ms > 0 ? (uint64_t)ms : 0);
    if (ms == 0)
        task_yield(&t->kick);
    return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
    free(container_of((uv_poll_t *)handle, struct watched, poll));
}

static void watched_close(struct watched *w)
{
    list_remove(&w->node);
    uv_close((uv_handle_t *)&w->poll, on_poll_closed);
}

static struct watched *watched_open(struct transfers *t, curl_socket_t fd)
{
    struct watched *w = xcalloc(1, sizeof(*w));

    if (uv_poll_init_socket(loop_uv(t->loop), &w->poll, fd)) {
        free(w);
        return NULL;
    }
    w->transfers = t;
    w->fd = fd;
    list_append(&t->sockets, &w->node);
    curl_multi_assign(t->multi, fd, w);
    return w;
}

static int interest(int what)
{
    return (what & CURL_POLL_IN ? UV_READABLE : 0) |
           (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
}

/* Returning an error would end all transfers, also later ones.  A transfer whose socket
 * cannot be polled (ENOSPC, ENOMEM) therefore ends by its own time-out. */
static int on_socket(CURL *curl, curl_socket_t fd, int what, void *owner, void *assigned)
{
    struct transfers *t = owner;
    struct watched *w = assigned;
    (void)curl;

    if (what == CURL_POLL_REMOVE) {
        if (w)
            watched_close(w);
        return 0;
    }
    if (!w)
        w = watched_open(t, fd);
    if (!w)
        return 0;
    w->interest = interest(what);
    uv_poll_start(&w->poll, w->interest, on_ready);
    return 0;
}

struct transfers *transfers_create(struct loop *l)
{
    struct transfers *t = xcalloc(1, sizeof(*t));

    curl_global_init(CURL_GLOBAL_DEFAULT);
    t->loop = l;
    list_init(&t->sockets);
    timer_init(&t->timeout, loop_sched(l), on_due);
    task_init(&t->kick, loop_sched(l), RANK_READ, on_kick);
    t->multi = curl_multi_init();
    assert(t->multi);
    curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
    curl_multi_setopt(t->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, KEPT_CONNECTIONS);
    return t;
}

void transfers_destroy(struct transfers *t)
{
    if (!t)
        return;
    curl_multi_cleanup(t->multi);
    list_for_each (w, &t->sockets, struct watched, node)
        watched_close(w);
    timer_stop(&t->timeout);
    task_cancel(&t->kick);
    free(t);
    curl_global_cleanup();
}

/* Does what curl's default does, and records why it failed, which curl does not
 * report. */
static curl_socket_t open_socket(void *owner, curlsocktype purpose,
                                 struct curl_sockaddr *a)
{
    struct easy *e = owner;
    (void)purpose;

    if (reach_is_dead(&e->reach, &a->addr))
        return CURL_SOCKET_BAD;
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
    e->no_files |= fd < 0 && (errno == EMFILE || errno == ENFILE);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    reach_on_attempt(&e->reach, fd, &a->addr, a->addrlen);
    return fd;
}

/* Buffers are small, because watches keep theirs as long as they run; no signals, because
 * curl would otherwise use SIGALRM; on close an unfinished name look-up is abandoned, not
 * waited for. */
void easy_open(struct easy *e, struct transfers *t,
               void (*on_done)(struct easy *e, CURLcode code))
{
    e->curl = curl_easy_init();
    assert(e->curl);
    e->transfers = t;
    e->on_done = on_done;
    e->text[0] = '\0';
    e->no_files = false;
    reach_init(&e->reach, &t->memory, loop_sched(t->loop), on_attempt_ended);
    e->refused = (struct diag){ "" };
    e->of_proxy = false;
    e->proxy = NULL;
    e->proxy_tls = false;
    e->identity = NULL;
    curl_easy_setopt(e->curl, CURLOPT_PRIVATE, e);
    curl_easy_setopt(e->curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(e->curl, CURLOPT_OPENSOCKETDATA, e);
    curl_easy_setopt(e->curl, CURLOPT_ERRORBUFFER, e->text);
    curl_easy_setopt(e->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e->curl, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e->curl, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(e->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e->curl, CURLOPT_BUFFERSIZE, 16384L);
    curl_easy_setopt(e->curl, CURLOPT_UPLOAD_BUFFERSIZE, 16384L);
    curl_easy_setopt(e->curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
}

/* $NO_PROXY was already applied by net/proxy.c. */
void easy_set_proxy(struct easy *e, const char *url)
{
    curl_easy_setopt(e->curl, CURLOPT_PROXY, url);
    curl_easy_setopt(e->curl, CURLOPT_NOPROXY, "");
    free(TAKE(e->proxy));
    e->proxy_tls = false;
    if (!*url)
        return;
    struct url u;
    struct diag why;
    bool known = url_parse(str_of(url), "http", &u, &why) == OK;
    e->proxy = known ? url_host_port(&u, 1080) : xstrdup("?"); /* curl's default port */
    e->proxy_tls = known && strcmp(u.scheme, "https") == 0;
    url_finish(&u);
}

void easy_set_peer(struct easy *e, const char *host, uint16_t port)
{
    struct str name, number = str_cut_last(str_of(e->proxy), ':', &name);
    uint64_t proxys_port = 0;

    if (!e->proxy || str_to_uint(number, UINT16_MAX, &proxys_port)) {
        reach_set_host(&e->reach, host, port);
        return;
    }
    AUTO_FREE char *proxys_name = str_dup(name);
    reach_set_host(&e->reach, proxys_name, (uint16_t)proxys_port);
}

void easy_on_connected(struct easy *e)
{
    char *address = NULL;

    curl_easy_getinfo(e->curl, CURLINFO_PRIMARY_IP, &address);
    reach_on_success(&e->reach, address);
}

void easy_start(struct easy *e)
{
    CURLMcode code = curl_multi_add_handle(e->transfers->multi, e->curl);
    assert(code == CURLM_OK);
}

void easy_close(struct easy *e)
{
    if (!e->curl)
        return;
    curl_multi_remove_handle(e->transfers->multi, e->curl);
    curl_easy_cleanup(e->curl);
    e->curl = NULL;
    reach_finish(&e->reach);
    free(TAKE(e->proxy));
}

void easy_distrust(struct easy *e)
{
    e->transfers->distrust = true;
    e->transfers->distrusted = loop_sched(e->transfers->loop)->now;
}

static enum err code_of(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ERR_RESOLVE;
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY:
        return ERR_CONNECT;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CLIENTCERT:
    case CURLE_SSL_ISSUER_ERROR:
        return ERR_TLS;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return ERR_CONFIG;
    /* the handshake was cut; a TLS alert is recognised by its text */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
        return ERR_RESET;
    case CURLE_WEIRD_SERVER_REPLY:
        return ERR_PROTO;
    default:
        return ERR_IO;
    }
}

/* curl keeps the first error text only.  For a socket that was just reset that is a
 * failed getsockname, which does not name the cause. */
static const char *curl_text(const struct easy *e, CURLcode code)
{
    bool useless = e->text[0] == '\0' || strncmp(e->text, "getpeername", 11) == 0 ||
                   strncmp(e->text, "getsockname", 11) == 0;
    bool quotes_proxy =
        /* the text would contain the proxy's password */
        strncmp(e->text, "Unsupported proxy", 17) == 0;

    if (quotes_proxy)
        return "the proxy's URL is not supported";
    return useless ? curl_easy_strerror(code) : e->text;
}

/* `peer`: "host:port" or "the proxy host:port". */
static enum err tls_error(const struct easy *e, const char *text, const char *peer,
                          struct diag *why)
{
    if (e->refused.text[0])
        return diag_set(why, ERR_TLS, "%s: its certificate %s", peer, e->refused.text);
    if (tls_explain_alert(e->of_proxy ? NULL : e->identity, text, why))
        return diag_prefix(why, ERR_TLS, "%s", peer);
    return diag_set(why, ERR_TLS, "%s: TLS failed: %s", peer, text);
}

static enum err connect_error(const struct easy *e, const char *peer, struct diag *why)
{
    long number = 0;
    curl_easy_getinfo(e->curl, CURLINFO_OS_ERRNO, &number);

    if (e->no_files || number == EMFILE || number == ENFILE)
        return diag_set(why, ERR_NO_FILES, "cannot reach %s: %s", peer,
                        err_text(ERR_NO_FILES));
    return diag_set(why, ERR_CONNECT, "cannot reach %s: %s", peer,
                    number ? strerror((int)number) : curl_text(e, CURLE_COULDNT_CONNECT));
}

static enum err refusal_of_proxy(const struct easy *e, long status, const char *where,
                                 struct diag *why)
{
    return diag_set(why, ERR_CONNECT,
                    "the proxy %s refused to connect to %s: status %ld%s",
                    e->proxy ? e->proxy : "", where, status,
                    status == 407 ? " (it requires a user and password in its URL)" : "");
}

/* The error of a proxy that failed.  curl's message has its address only, so the name is
 * added. */
static enum err error_at_proxy(const struct easy *e, CURLcode code, const char *where,
                               const char *text, struct diag *why)
{
    if (code == CURLE_COULDNT_RESOLVE_PROXY)
        return diag_set(why, ERR_RESOLVE, "the name of the proxy %s is not known",
                        e->proxy);
    return diag_set(why, ERR_CONNECT, "the proxy %s could not connect to %s: %s",
                    e->proxy, where, text);
}

/* Was the connection reset between the TLS handshake and the response?  In TLS 1.3 the
 * handshake is over for a client before the server has looked at its certificate (RFC
 * 8446, 4.4.2.4), and a reset can overtake the alert that names the reason. */
static bool reset_after_handshake(const struct easy *e, CURLcode code)
{
    long connects = 0, status = 0;
    curl_off_t handshake_us = 0;

    curl_easy_getinfo(e->curl, CURLINFO_NUM_CONNECTS, &connects);
    curl_easy_getinfo(e->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(e->curl, CURLINFO_APPCONNECT_TIME_T, &handshake_us);
    return (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR) && e->identity &&
           connects && handshake_us && !status;
}

static enum err handshake_reset_error(const struct easy *e, const char *where,
                                      const char *text, struct diag *why)
{
    return diag_set(why, ERR_RESET,
                    "%s: %s, right after the TLS handshake: perhaps it %s", where, text,
                    tls_identity_has_certificate(e->identity)
                        ? "did not accept your client certificate"
                        : "requires a client certificate, and none is configured");
}

enum err easy_error(const struct easy *e, CURLcode code, const char *where,
                    struct diag *why)
{
    enum err result = code_of(code);
    const char *text = curl_text(e, code);
    long proxy_status = 0;

    AUTO_FREE char *proxy = e->proxy ? xasprintf("the proxy %s", e->proxy) : NULL;
    curl_easy_getinfo(e->curl, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
    if (proxy_status >= 300)
        return refusal_of_proxy(e, proxy_status, where, why);
    if (proxy && (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY))
        return error_at_proxy(e, code, where, text, why);
    if (code == CURLE_COULDNT_CONNECT)
        return connect_error(e, proxy ? proxy : where, why);
    if (result == ERR_TLS || e->refused.text[0] || tls_is_reason(text))
        return tls_error(e, text, e->of_proxy && proxy ? proxy : where, why);
    if (reset_after_handshake(e, code))
        return handshake_reset_error(e, where, text, why);
    if (proxy)
        return diag_set(why, result, "%s, by %s: %s", where, proxy, text);
    return diag_set(why, result, "%s: %s", where, text);
}
