#include "serve/tls_client.h"

#include <stdio.h>

#include "base/own.h"
#include "net/tls.h"
#include "serve/destination.h"
#include "serve/explain.h"
#include "serve/proxy_reply.h"
#include "wire/tls_hello.h"

LOG_MODULE(serve);

/* Chromium sends a random extension with each connection, and then the name is the real one. */
#define ECH_HINT                                                                         \
    "If this is not the name that was asked for: only the outer name of an encrypted "   \
    "ClientHello (ECH) can be read; turn ECH off for this client."

struct tls_client {
    struct naming_want zone;
    struct task *wake;
};

struct tls_client *tls_client_create(struct task *wake)
{
    struct tls_client *c = xcalloc(1, sizeof(*c));

    c->wake = wake;
    return c;
}

void tls_client_destroy(struct tls_client *c)
{
    if (!c)
        return;
    naming_leave(&c->zone);
    free(c);
}

/* Mostly it is in one piece already. */
static enum err read_hello(const struct bufq *in, struct tls_hello *ret, struct diag *why)
{
    size_t len;
    const uint8_t *piece = bufq_peek(in, &len);

    if (len == in->len)
        return tls_hello_decode(piece, len, ret, why);
    size_t room = in->len < TLS_HELLO_WIRE_MAX ? in->len : TLS_HELLO_WIRE_MAX;
    AUTO_FREE uint8_t *whole = xmalloc(room);
    return tls_hello_decode(whole, bufq_copy(in, 0, whole, room), ret, why);
}

static enum err refuse_hello(struct stream *client, const struct visitor *from,
                             struct log_id id, enum err e, const struct diag *why)
{
    log_info(id, "TLS connection refused", LOG_S("client", from->address),
             LOG_S("reason", diag_text(why, e)));
    proxy_refuse(PROXY_TLS, CAUSE_PROTOCOL, &client->out);
    return e;
}

/* An alert has no room for a reason, so the log has it. */
static enum err refuse_name(struct stream *client, const struct visitor *from,
                            struct log_id id, const struct tls_hello *hello,
                            const struct refusal *why)
{
    struct explanation text;
    char hint[sizeof(text.hint) + sizeof(ECH_HINT)];

    explain(why, NULL, &text);
    snprintf(hint, sizeof(hint), "%s%s%s", text.hint,
             hello->ech && text.hint[0] ? " " : "", hello->ech ? ECH_HINT : "");
    log_info(id, "TLS connection refused", LOG_S("client", from->address),
             LOG_S("server_name", hello->server_name),
             LOG_S("ech", hello->ech ? "yes" : "no"),
             LOG_S("cause", cause_label(why->cause)), LOG_S("reason", text.first),
             LOG_S("hint", hint));
    proxy_refuse(PROXY_TLS, why->cause, &client->out);
    return ERR_FORBIDDEN;
}

enum err tls_client_run(struct tls_client *c, struct serve *serve, struct stream *client,
                        const struct visitor *from, struct log_id id,
                        struct exposed **ret)
{
    struct tls_hello hello;
    struct diag bad = { "" };
    struct refusal why;
    struct target target;
    enum err e = read_hello(&client->in, &hello, &bad);

    if (e == ERR_AGAIN && bufq_full(&client->in))
        e = diag_set(&bad, ERR_LIMIT, "its ClientHello is too large");
    if (!e && !hello.server_name[0])
        e = diag_set(&bad, ERR_PROTO, "it names no server (SNI)");
    if (e == ERR_AGAIN)
        return e;
    if (e)
        return refuse_hello(client, from, id, e, &bad);
    const struct destination to = { .host = str_of(hello.server_name),
                                    .zone = &c->zone,
                                    .wake = c->wake };
    e = destination_check(&to, serve, from, &target, &why);
    if (e == ERR_AGAIN)
        return e;
    if (e)
        return refuse_name(client, from, id, &hello, &why);
    log_debug(id, "TLS connection", LOG_S("client", from->address),
              LOG_S("server_name", hello.server_name), LOG_S("alpn", hello.alpn),
              LOG_S("ech", hello.ech ? "yes" : "no"));
    target.route.no_tls_port =
        serve_tls_mode(serve, &target.route.name) == SERVICE_TLS_TERMINATE;
    *ret = exposed_proxied(&target.route, target.host, true);
    return OK;
}

void tls_client_log_failure(const struct stream *client, const struct visitor *from,
                            struct log_id id)
{
    if (!from->tls || tls_ready(client))
        return;
    if (tls_is_mistrusted(client))
        log_info(id, "the TLS client does not trust the local CA",
                 LOG_S("client", from->address), LOG_S("reason", client->end.why.text),
                 LOG_S("hint", "kube-tunnel ca install"));
    else
        log_info(id, "TLS handshake failed", LOG_S("client", from->address),
                 LOG_S("reason", client->end.why.text));
}
