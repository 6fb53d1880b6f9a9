/* net/proxy_stream.c - a stream through an https:// proxy */
#include "net/proxy_stream.h"

#include "base/base64.h"
#include "base/own.h"
#include "net/url.h"
#include "net/tcp.h"
#include "net/tls.h"

#define HEAD_MAX 8192

static void proxy_stream_end(struct proxy_stream *p, enum err result)
{
    p->result = result;
    p->stream->wake = NULL;
    if (result)
        stream_close(TAKE(p->stream));
    task_wake(p->wake);
}

/* "HTTP/1.1 200 ...": the status, or 0. */
static unsigned status_of(struct str head)
{
    struct str version, code, rest = str_cut(head, ' ', &version);
    uint64_t status = 0;

    str_cut(rest, ' ', &code);
    if (!str_starts(version, STR("HTTP/1.")) ||
        str_to_uint(str_first(code, 3), 999, &status))
        return 0;
    return (unsigned)status;
}

static void judge(struct proxy_stream *p, struct str head)
{
    unsigned status = status_of(head);

    if (status / 100 == 2) {
        bufq_skip(&p->stream->in, head.len);
        proxy_stream_end(p, OK);
        return;
    }
    proxy_stream_end(
        p, status ? diag_set(&p->why, ERR_CONNECT,
                             "the proxy %s refused to connect to %s: status %u%s",
                             p->proxy, p->where, status,
                             status == 407 ? " (it requires a user and password in its "
                                             "URL)"
                                           : "")
                  : diag_set(&p->why, ERR_PROTO, "the proxy %s does not answer in HTTP",
                             p->proxy));
}

static void on_step(struct task *task)
{
    struct proxy_stream *p = container_of(task, struct proxy_stream, step);
    struct stream *s = p->stream;
    char text[HEAD_MAX];

    if (!s || p->result != ERR_AGAIN)
        return;
    size_t len = bufq_copy(&s->in, 0, text, sizeof(text));
    const char *found = memmem(text, len, "\r\n\r\n", 4);
    if (found)
        judge(p, (struct str){ text, (size_t)(found - text) + 4 });
    else if (s->broken || s->in_eof)
        proxy_stream_end(p, diag_set(&p->why, ERR_CONNECT, "the proxy %s: %s", p->proxy,
                                     diag_text(&s->end.why, ERR_EOF)));
    else if (len == sizeof(text))
        proxy_stream_end(p, diag_set(&p->why, ERR_LIMIT,
                                     "the proxy %s: its answer has an endless head",
                                     p->proxy));
}

/* "Proxy-Authorization: Basic ...\r\n", or nothing where the URL has no user. */
static char *authorization(const struct url *u)
{
    if (!u->user)
        return xstrdup("");
    AUTO_FREE char *pair = xasprintf("%s:%s", u->user, u->password ? u->password : "");
    AUTO_FREE char *encoded = base64_encode(str_of(pair));
    return xasprintf("Proxy-Authorization: Basic %s\r\n", encoded);
}

static struct tls_context *context_for(struct tls_identity *identity)
{
    struct tls_identity_settings nothing = { 0 };
    AUTO(tls_identity_unrefp) struct tls_identity *own = tls_identity_ref(identity);

    if (!own && tls_identity_create(&nothing, &own, NULL, NULL))
        abort(); /* out of memory; the context's settings are constant */
    return tls_context_of_proxy(own);
}

/* Without a final dot, as in its certificate. */
static char *host_of(const struct url *u)
{
    struct str host = str_of(u->host);
    return str_dup(str_ends(host, STR(".")) ? str_first(host, host.len - 1) : host);
}

void proxy_stream_start(struct proxy_stream *p, struct loop *l, int fd,
                        const struct proxy_through *through, struct task *wake)
{
    AUTO(url_finish) struct url url = { 0 };
    struct diag why;

    /* connecting.c has parsed it before */
    if (url_parse(str_of(through->url), "https", &url, &why))
        url.host = xstrdup("");
    AUTO_FREE char *host = host_of(&url);
    AUTO_FREE char *secret = authorization(&url);
    AUTO_FREE char *request =
        xasprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-tunnel/" VERSION
                  "\r\n%s\r\n",
                  through->where, through->where, secret);
    struct tls_context *context = context_for(through->identity);

    *p = (struct proxy_stream){ .result = ERR_AGAIN, .wake = wake };
    p->proxy = url_host_port(&url, 443);
    p->where = xstrdup(through->where);
    task_init(&p->step, loop_sched(l), RANK_READ, on_step);
    p->stream = tls_client_open(l, context, tcp_open(l, fd, 0, 0), host);
    tls_context_unref(context);
    p->stream->wake = &p->step;
    bufq_write(&p->stream->out, request, strlen(request));
    stream_update(p->stream);
    explicit_bzero(request, strlen(request));
    explicit_bzero(secret, strlen(secret));
}

void proxy_stream_finish(struct proxy_stream *p)
{
    if (!p->proxy)
        return;
    task_cancel(&p->step);
    stream_close(TAKE(p->stream));
    free(TAKE(p->proxy));
    free(TAKE(p->where));
}
