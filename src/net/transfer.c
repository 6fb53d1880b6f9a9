/* net/transfer.c - HTTP requests to an API server, by libcurl's multi interface
 *
 * Each running transfer has a curl handle, which is closed as soon as it has ended; only
 * the body that was not yet taken remains.  Calls to one server share an HTTP/2
 * connection: a new one waits for a connection that is being made (PIPEWAIT) instead of
 * making its own.
 *
 * curl would choose a connection whose far end is silent for new calls, because it does
 * not conclude from a stream's time-out that the connection is dead.  So the kernel ends
 * it when sent bytes or keep-alive probes are not acknowledged in time
 * (TCP_USER_TIMEOUT), and after a time-out the next transfer makes a new connection.
 */
#include "net/transfer.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "net/multi.h"
#include "net/proxy.h"
#include "net/tls_identity_ssl.h"

#define CONNECT_MS 20000L /* TLS included */
#define UNACKNOWLEDGED_MS 30000
#define PROBE_AFTER_S 30L
#define PROBE_EVERY_S 10L

struct running {
    struct transfer transfer;
    struct easy easy;
    struct curl_slist *headers, *connect_to; /* curl borrows them */
    char *where;                             /* "host:port" */
    struct tls_identity *identity;           /* NULL: plain http */
    char *server_name;                       /* to verify */
    struct task *wake;
    struct timer stall;
    uint64_t stall_ms, received_at; /* when the last byte came */
    bool paused;                    /* curl waits for transfer_resume */
};

/* The parts of a URL; an IPv6 host is in brackets. */
struct server {
    CURLU *url;
    char *host, *scheme;
    uint16_t port;
};

static void transfer_curl_freep(char **text)
{
    curl_free(*text);
}

static void server_finish(struct server *s)
{
    curl_free(s->host);
    curl_free(s->scheme);
    curl_url_cleanup(s->url);
}

static enum err server_parse(struct server *s, const char *url)
{
    AUTO(transfer_curl_freep) char *port = NULL;
    uint64_t number = 0;

    s->url = curl_url();
    if (!s->url || curl_url_set(s->url, CURLUPART_URL, url, 0) ||
        curl_url_get(s->url, CURLUPART_HOST, &s->host, 0) ||
        curl_url_get(s->url, CURLUPART_SCHEME, &s->scheme, 0) ||
        curl_url_get(s->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) ||
        str_to_uint(str_of(port), UINT16_MAX, &number))
        return ERR_CONFIG;
    s->port = (uint16_t)number;
    return OK;
}

static bool server_is_tls(const struct server *s)
{
    return str_eq(str_of(s->scheme), STR("https"));
}

static bool default_port(const struct server *s)
{
    return s->port == (server_is_tls(s) ? 443 : 80);
}

static void transfer_end(struct running *r, enum err result)
{
    r->transfer.result = result;
    timer_stop(&r->stall);
    easy_close(&r->easy);
    task_wake(r->wake);
}

static void on_transfer_done(struct easy *e, CURLcode code)
{
    struct running *r = container_of(e, struct running, easy);

    if (code == CURLE_OPERATION_TIMEDOUT)
        easy_distrust(e);
    transfer_end(r, code ? easy_error(e, code, r->where, &r->transfer.why) : OK);
}

static void on_stall(struct timer *stall)
{
    struct running *r = container_of(stall, struct running, stall);
    uint64_t silent = stall->sched->now - r->received_at;

    if (r->paused || silent < r->stall_ms) {
        timer_set(stall, r->paused ? r->stall_ms : r->stall_ms - silent);
        return;
    }
    easy_distrust(&r->easy);
    transfer_end(r, diag_set(&r->transfer.why, ERR_TIMEOUT, "%s: nothing came for %llu s",
                             r->where, (unsigned long long)(silent / 1000)));
}

static void note_head(struct running *r)
{
    long status = 0;
    curl_off_t seconds = 0;

    curl_easy_getinfo(r->easy.curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(r->easy.curl, CURLINFO_RETRY_AFTER, &seconds);
    if (status < 200)
        return;
    easy_on_connected(&r->easy);
    r->transfer.status = (int)status;
    r->transfer.retry_after = seconds < UINT32_MAX ? (uint32_t)seconds : UINT32_MAX;
    task_wake(r->wake);
}

static void keep_value(struct str value, char *room, size_t size)
{
    value = str_first(value, size - 1);
    memcpy(room, value.at, value.len);
    room[value.len] = '\0';
}

static void note_field(struct transfer *t, struct str line)
{
    struct str name, value = str_trim_space(str_cut(line, ':', &name));

    if (str_ieq(name, STR("Location")))
        keep_value(value, t->location, sizeof(t->location));
    else if (str_ieq(name, STR("Date")))
        keep_value(value, t->date, sizeof(t->date));
}

/* Called for each line of a head; an empty line ends it. */
static size_t on_head_line(char *line, size_t size, size_t n, void *owner)
{
    struct running *r = owner;

    r->received_at = r->stall.sched->now;
    note_field(&r->transfer, (struct str){ line, n });
    if (str_empty(str_trim_space((struct str){ line, n })))
        note_head(r);
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *owner)
{
    struct running *r = owner;

    r->received_at = r->stall.sched->now;
    r->paused = !bufq_put(&r->transfer.body, bytes, size * n);
    task_wake(r->wake);
    return r->paused ? CURL_WRITEFUNC_PAUSE : size * n;
}

static int on_new_socket(void *owner, curl_socket_t fd, curlsocktype purpose)
{
    int ms = UNACKNOWLEDGED_MS;
    (void)owner;
    (void)purpose;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
    return CURL_SOCKOPT_OK;
}

/* These TLS versions mark the proxy's context for on_context, which is called for the
 * server's, too. */
#define PROXY_VERSIONS (CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_3)

static bool is_proxys(SSL_CTX *context)
{
    return SSL_CTX_get_max_proto_version(context) == TLS1_3_VERSION;
}

/* curl creates the context without trusted certificates: if this were not called, every
 * verification would fail. */
static CURLcode on_context(CURL *curl, void *ssl_context, void *owner)
{
    struct running *r = owner;
    SSL_CTX *context = ssl_context;
    (void)curl;

    r->easy.of_proxy = is_proxys(context);
    r->easy.refused = (struct diag){ "" };
    tls_explain_in_context(context, &r->easy.refused);
    if (r->easy.of_proxy) {
        tls_identity_apply_to_proxy(r->identity, context);
        return CURLE_OK;
    }
    if (!tls_identity_apply(r->identity, context))
        return CURLE_SSL_CERTPROBLEM;
    if (!tls_verify_name(SSL_CTX_get0_param(context), r->server_name) &&
        !tls_identity_insecure(r->identity))
        return CURLE_SSL_CONNECT_ERROR;
    return CURLE_OK;
}

/* curl compares these texts before it uses a connection or a session again, and so keeps
 * those of different identities apart.  As CAPATH the text names a folder that does not
 * exist. */
static void set_key(CURL *curl, const struct tls_identity *identity)
{
    AUTO_FREE char *key = xasprintf("/nonexistent/%s", tls_identity_key(identity));

    curl_easy_setopt(curl, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(curl, CURLOPT_CAPATH, key);
    curl_easy_setopt(curl, CURLOPT_PROXY_CAINFO, NULL);
    curl_easy_setopt(curl, CURLOPT_PROXY_CAPATH, key);
}

/* The identity's callback verifies, also the name, since curl would accept the subject's
 * common name. */
static enum err set_tls(struct running *r)
{
    CURL *curl = r->easy.curl;
    long verify = tls_identity_insecure(r->identity) ? 0L : 1L;

    r->easy.identity = r->identity;
    set_key(curl, r->identity);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, verify);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYPEER, verify);
    curl_easy_setopt(curl, CURLOPT_PROXY_SSL_VERIFYHOST, verify ? 2L : 0L);
    curl_easy_setopt(curl, CURLOPT_PROXY_SSLVERSION, (long)PROXY_VERSIONS);
    curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, r);
    if (curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, on_context))
        return diag_set(&r->transfer.why, ERR_TLS,
                        "this libcurl was built without OpenSSL, which is needed");
    return OK;
}

static void add(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer)
        *list = longer;
}

/* Another server name: curl takes SNI and the name to verify from the URL and has no
 * option for either.  So the URL has that name, CONNECT_TO the real address, and Host
 * (:authority) is set to what it was.  Connections are kept apart by both. */
static enum err set_server_name(struct running *r, struct server *s, const char *name)
{
    AUTO_FREE char *host = xasprintf(strchr(name, ':') ? "[%s]" : "%s", name);
    AUTO_FREE char *reach = xasprintf("::%s:%u", s->host, s->port);
    AUTO_FREE char *port = default_port(s) ? xstrdup("") : xasprintf(":%u", s->port);
    AUTO_FREE char *named = xasprintf("Host: %s%s", s->host, port);

    add(&r->connect_to, reach);
    add(&r->headers, named);
    curl_easy_setopt(r->easy.curl, CURLOPT_CONNECT_TO, r->connect_to);
    return curl_url_set(s->url, CURLUPART_HOST, host, 0) ? ERR_CONFIG : OK;
}

static char *without_brackets(const char *host)
{
    size_t len = strlen(host);
    return host[0] == '[' && len > 2 ? xstrndup(host + 1, len - 2) : xstrdup(host);
}

static void set_proxy(struct running *r, const struct server *s, const char *configured)
{
    AUTO_FREE char *host = without_brackets(s->host);
    AUTO_FREE char *proxy = proxy_choose(configured, server_is_tls(s), host, s->port);

    easy_set_proxy(&r->easy, proxy);
    easy_set_peer(&r->easy, host, s->port);
}

static void set_request(struct running *r, const struct transfer_request *request)
{
    CURL *curl = r->easy.curl;

    for (const char *const *h = request->headers; h && *h; h++)
        add(&r->headers, *h);
    if (request->body) {
        add(&r->headers, "Expect:");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(request->body));
        curl_easy_setopt(curl, CURLOPT_COPYPOSTFIELDS, request->body);
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, r->headers);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
}

/* After a time-out this transfer makes a new connection, and later ones use no connection
 * older than it (curl closes those as soon as they are unused). */
static void set_trust(struct running *r)
{
    struct transfers *t = r->easy.transfers;
    uint64_t since_s = (loop_sched(t->loop)->now - t->distrusted) / 1000;

    if (t->distrusted)
        curl_easy_setopt(r->easy.curl, CURLOPT_MAXLIFETIME_CONN,
                         since_s ? (long)since_s : 1L);
    curl_easy_setopt(r->easy.curl, CURLOPT_FRESH_CONNECT, t->distrust ? 1L : 0L);
    t->distrust = false;
}

static void set_connection(struct running *r)
{
    CURL *curl = r->easy.curl;

    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    /* Not for plain HTTP: curl then learns the protocol from the first response, which
     * may be that of a watch, and does not check again. */
    curl_easy_setopt(curl, CURLOPT_PIPEWAIT, r->server_name ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPIDLE, PROBE_AFTER_S);
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPINTVL, PROBE_EVERY_S);
    curl_easy_setopt(curl, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    set_trust(r);
}

/* Plain HTTP through a proxy that is spoken to over TLS: only the proxy's certificate is
 * verified. */
static enum err set_proxys_identity(struct running *r)
{
    struct tls_identity_settings nothing = { 0 };
    enum err e = tls_identity_create(&nothing, &r->identity, NULL, &r->transfer.why);

    return e ? e : set_tls(r);
}

static enum err set_identity(struct running *r, struct server *s,
                             struct tls_identity *identity)
{
    AUTO_FREE char *host = without_brackets(s->host);

    if (!server_is_tls(s))
        return r->easy.proxy_tls ? set_proxys_identity(r) : OK;
    assert(identity);
    r->identity = tls_identity_ref(identity);
    r->server_name = tls_identity_name(identity, host);
    enum err e = set_tls(r);
    if (!e && strcmp(r->server_name, host) != 0 && set_server_name(r, s, r->server_name))
        e = diag_set(&r->transfer.why, ERR_CONFIG, "bad TLS server name \"%s\"",
                     r->server_name);
    return e;
}

static enum err set_server(struct running *r, const struct transfer_request *request)
{
    AUTO(server_finish) struct server s = { 0 };
    AUTO(transfer_curl_freep) char *url = NULL;

    if (server_parse(&s, request->url))
        return diag_set(&r->transfer.why, ERR_CONFIG, "bad URL \"%s\"", request->url);
    r->where = xasprintf("%s:%u", s.host, s.port);
    set_proxy(r, &s, request->proxy);
    enum err e = set_identity(r, &s, request->identity);
    if (e)
        return e;
    if (curl_url_get(s.url, CURLUPART_URL, &url, 0))
        return diag_set(&r->transfer.why, ERR_CONFIG, "bad URL \"%s\"", request->url);
    curl_easy_setopt(r->easy.curl, CURLOPT_URL, url);
    return OK;
}

struct transfer *transfer_open(struct transfers *t,
                               const struct transfer_request *request, struct task *wake)
{
    struct running *r = xcalloc(1, sizeof(*r));
    /* curl delivers up to this much at once, and never a part of it */
    size_t least = CURL_MAX_WRITE_SIZE;
    size_t limit = request->body_limit > least ? request->body_limit : least;

    r->transfer.result = ERR_AGAIN;
    r->wake = wake;
    r->stall_ms = request->stall_ms;
    r->received_at = loop_sched(t->loop)->now;
    bufq_init(&r->transfer.body, loop_pool(t->loop), limit);
    timer_init(&r->stall, loop_sched(t->loop), on_stall);
    timer_set(&r->stall, r->stall_ms);
    easy_open(&r->easy, t, on_transfer_done);
    enum err e = set_server(r, request);
    if (e) {
        transfer_end(r, e);
        return &r->transfer;
    }
    set_request(r, request);
    set_connection(r);
    easy_start(&r->easy);
    return &r->transfer;
}

void transfer_resume(struct transfer *x)
{
    struct running *r = container_of(x, struct running, transfer);

    if (!r->paused || !r->easy.curl || bufq_room(&x->body) < CURL_MAX_WRITE_SIZE)
        return;
    r->paused = false;
    r->received_at = r->stall.sched->now;
    curl_easy_pause(r->easy.curl, CURLPAUSE_CONT);
}

void transfer_close(struct transfer *x)
{
    if (!x)
        return;
    struct running *r = container_of(x, struct running, transfer);
    timer_stop(&r->stall);
    easy_close(&r->easy);
    curl_slist_free_all(r->headers);
    curl_slist_free_all(r->connect_to);
    bufq_finish(&x->body);
    tls_identity_unref(r->identity);
    free(r->server_name);
    free(r->where);
    free(r);
}
