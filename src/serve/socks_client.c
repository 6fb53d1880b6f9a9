/* serve/socks_client.c - the request of a SOCKS client: read, judged, refused or routed */
#include "serve/socks_client.h"

#include "base/own.h"
#include "serve/destination.h"
#include "serve/explain.h"

LOG_MODULE(serve);

struct socks_client {
    struct socks_greeting greeting;
    struct naming_want zone; /* the host may be a name of the cluster */
    struct task *wake;
};

struct socks_client *socks_client_create(unsigned version, struct task *wake)
{
    struct socks_client *c = xcalloc(1, sizeof(*c));

    c->greeting.version = version;
    c->wake = wake;
    return c;
}

void socks_client_destroy(struct socks_client *c)
{
    if (!c)
        return;
    naming_leave(&c->zone);
    free(c);
}

enum proxy_client socks_client_kind(const struct socks_client *c)
{
    return c->greeting.version == 4 ? PROXY_SOCKS4 : PROXY_SOCKS5;
}

/* The reply has no room for a reason, so the log has it. */
static enum err refuse(struct socks_client *c, struct stream *client,
                       const struct visitor *from, struct log_id id,
                       const struct refusal *why)
{
    struct explanation text;

    explain(why, NULL, &text);
    log_info(id, "SOCKS request refused", LOG_S("client", from->address),
             LOG_S("host", c->greeting.request.host),
             LOG_S("cause", cause_label(why->cause)), LOG_S("why", text.first),
             LOG_S("hint", text.hint));
    proxy_refuse(socks_client_kind(c), why->cause, &client->out);
    return ERR_FORBIDDEN;
}

static enum err refuse_greeting(enum err e, const struct visitor *from, struct log_id id,
                                const struct diag *why)
{
    log_info(id, "SOCKS request refused", LOG_S("client", from->address),
             LOG_S("why", diag_text(why, e)));
    return e;
}

enum err socks_client_run(struct socks_client *c, struct serve *serve,
                          struct stream *client, const struct visitor *from,
                          struct log_id id, struct exposed **ret)
{
    struct diag bad = { "" };
    struct refusal why;
    struct target target;
    c->greeting.users = serve->proxy_users;
    enum err e = socks_greeting_run(&c->greeting, &client->in, &client->out, &bad);

    if (e == ERR_AGAIN)
        return e;
    if (e)
        return refuse_greeting(e, from, id, &bad);
    const struct destination to = { .host = str_of(c->greeting.request.host),
                                    .port = c->greeting.request.port,
                                    .proxied = true,
                                    .zone = &c->zone,
                                    .wake = c->wake };
    e = destination_check(&to, serve, from, &target, &why);
    if (e == ERR_AGAIN)
        return e;
    if (e)
        return refuse(c, client, from, id, &why);
    log_debug(id, "SOCKS request", LOG_S("client", from->address),
              LOG_V("host", target.host), LOG_U("port", target.route.port));
    *ret = exposed_proxied(&target.route, target.host, serve->config->proxy_raw);
    return OK;
}
