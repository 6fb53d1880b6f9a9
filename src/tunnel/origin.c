#include "tunnel/origin.h"

#include "base/own.h"
#include "net/tcp.h"

#define TRANSPORT_LEARNT_MS (10 * 60 * 1000)

static uint64_t origin_now(const struct tunnel_origin *o)
{
    return loop_sched(o->loop)->now;
}

/* Gateways in front of an API server often support only WebSocket.  API servers support both,
 * and SPDY costs less. */
static enum transport usual_transport(const struct kube_target *target,
                                      const struct tunnel_settings *s)
{
    bool gateway = target->prefix[0] || (target->proxy && target->proxy[0]);
    if (s->transport == TUNNEL_TRANSPORT_AUTO)
        return gateway ? TRANSPORT_KIND_WEBSOCKET : TRANSPORT_KIND_SPDY;
    return s->transport == TUNNEL_TRANSPORT_SPDY ? TRANSPORT_KIND_SPDY
                                                 : TRANSPORT_KIND_WEBSOCKET;
}

void origin_init(struct tunnel_origin *o, struct loop *loop, struct transfers *transfers,
                 struct api *api, const struct tunnel_settings *settings)
{
    *o = (struct tunnel_origin){
        .loop = loop, .transfers = transfers, .api = api, .settings = settings
    };
    o->transports.usual = usual_transport(api_target(api), settings);
}

void origin_configure(struct tunnel_origin *o)
{
    enum transport usual = usual_transport(api_target(o->api), o->settings);

    if (usual != o->transports.usual || o->settings->transport != TUNNEL_TRANSPORT_AUTO)
        o->transports.learnt_until = 0;
    o->transports.usual = usual;
}

void origin_finish(struct tunnel_origin *o)
{
    tls_context_unref(o->tls);
}

void origin_connect(struct tunnel_origin *o, struct connecting *c, struct task *wake)
{
    const struct kube_target *target = api_target(o->api);
    struct connecting_to to = { .host = target->host,
                                .port = target->port,
                                .proxy = target->proxy,
                                .identity = credentials_identity(api_credentials(o->api)),
                                .timeout_ms = o->settings->dial_ms };
    connecting_start(c, o->transfers, &to, wake);
}

/* The TLS context for this identity, as a reference for the caller.  The context is kept, since
 * it holds the TLS sessions, and replaced when the identity has changed.  A connection that was
 * begun with an older identity gets a context of its own.  ALPN offers no HTTP/2, which cannot
 * be upgraded. */
static struct tls_context *context_for(struct tunnel_origin *o,
                                       struct tls_identity *identity)
{
    if (tls_context_is_of(o->tls, identity))
        return tls_context_ref(o->tls);
    if (identity != credentials_identity(api_credentials(o->api)))
        return tls_context_of(identity, "http/1.1");
    if (o->tls)
        o->on_new_identity(o);
    tls_context_unref(o->tls);
    o->tls = tls_context_of(identity, "http/1.1");
    return tls_context_ref(o->tls);
}

struct stream *origin_open(struct tunnel_origin *o, struct connecting *c,
                           struct tls_identity *identity)
{
    struct stream *s = c->stream ? TAKE(c->stream) : tcp_open(o->loop, c->fd, 0, 0);
    c->fd = -1;
    if (!identity)
        return s;
    AUTO_FREE char *name = tls_identity_name(identity, api_target(o->api)->host);
    struct tls_context *context = context_for(o, identity);
    struct stream *tls = tls_client_open(o->loop, context, s, name);
    tls_context_unref(context);
    return tls;
}

enum transport origin_transport(const struct tunnel_origin *o)
{
    const struct transport_memory *m = &o->transports;
    return m->learnt_until > origin_now(o) ? m->learnt : m->usual;
}

void origin_learn_transport(struct tunnel_origin *o, enum transport accepted)
{
    o->transports.learnt = accepted;
    o->transports.learnt_until = origin_now(o) + TRANSPORT_LEARNT_MS;
}
