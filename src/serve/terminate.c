/* serve/terminate.c - TLS of a client ends here, because its service has no TLS port */
#include "serve/terminate.h"

#include "ca/leaves.h"
#include "net/tls.h"
#include "route/naming.h"
#include "serve/proxy_reply.h"
#include "serve/serve_state.h"
#include "serve/session.h"

LOG_MODULE(serve);

/* The cluster's domain: the one that the name ends with, of those that are accepted. */
static const char *domain_of(const struct naming *naming, struct str host)
{
    if (str_ends(host, STR(".")))
        host.len--;
    struct str end = str_of(naming->zone);
    bool given = host.len > end.len && str_ieq(str_skip(host, host.len - end.len), end);

    return given ? naming->zone : naming_zone(naming);
}

static void refuse(struct serve *serve, struct stream *client, const struct visitor *from,
                   struct log_id id, enum err e, struct diag *why)
{
    enum cause cause = e == ERR_UNSUPPORTED ? CAUSE_HOST_OUTSIDE : CAUSE_MEMORY;
    const char *text = "TLS connection refused";

    /* The first two are due to what clients do, the others to the CA's files. */
    if (e == ERR_UNSUPPORTED || e == ERR_LIMIT)
        log_info(id, text, LOG_S("client", from->address),
                 LOG_S("reason", diag_text(why, e)));
    else
        log_warn(id, text, LOG_S("client", from->address),
                 LOG_S("reason", diag_text(why, e)));
    proxy_refuse(PROXY_TLS, cause, &client->out);
    session_open_ending(serve, client, from, id);
}

void terminate_open(struct serve *serve, struct stream *client,
                    const struct visitor *from, struct log_id id, struct str host)
{
    struct visitor secure = *from;
    struct tls_context *context;
    struct diag why = { "" };
    enum err e =
        leaves_get(serve->leaves, domain_of(serve->naming, host), host, &context, &why);

    if (e) {
        refuse(serve, client, from, id, e, &why);
        return;
    }
    log_debug(id, "TLS ends here", LOG_V("server_name", host));
    secure.tls = true;
    session_open_secure(
        serve, tls_server_open(serve->sched, serve->pool, context, client), &secure, id);
}
