#include "tunnel/dial.h"

#include "base/base64.h"
#include "base/own.h"
#include "tunnel/prewarmed_connection.h"
#include "tunnel/websocket.h"

LOG_MODULE(tunnel);

#define DIAL_STATES(X) /* clang-format off */ \
    X(CREDENTIAL, credential) /* waiting for the credential                   */ \
    X(CONNECT,    connect) /* waiting for the TCP connection to the API server */ \
    X(UPGRADE,    upgrade) /* TLS, the upgrade request, waiting for the response */ \
    X(OPEN,       open)    /* the transport is ready for SPDY */ \
    X(FAILED,     failed)
/* clang-format on */

#define X(NAME, name) static enum dial_state in_##name(struct dial *d);
DIAL_STATES(X)
#undef X

static const struct {
    const char *name;
    enum dial_state (*run)(struct dial *d);
} dial_states[] = {
#define X(NAME, name) [DIAL_##NAME] = { #name, in_##name },
    DIAL_STATES(X)
#undef X
};

const char *transport_name(enum transport t)
{
    return t == TRANSPORT_KIND_SPDY ? "spdy" : "websocket";
}

static struct credentials *credentials_of(const struct dial *d)
{
    return api_credentials(d->origin->api);
}

static enum dial_state dial_fail(struct dial *d, enum err e, const char *why)
{
    d->error.code = e;
    diag_set(&d->error.why, e, "%s", why);
    return DIAL_FAILED;
}

static void write_request(struct dial *d)
{
    const struct kube_target *target = api_target(d->origin->api);
    struct sched *sched = d->deadline.sched;
    uint64_t random[2] = { sched_random(sched), sched_random(sched) };
    AUTO_FREE char *key = base64_encode((struct str){ (char *)random, sizeof(random) });
    struct upgrade_request request = { .transport = d->transport,
                                       .key = key,
                                       .prefix = target->prefix,
                                       .host = target->host_header,
                                       .fields = d->credential->fields,
                                       .ns = d->target->ns,
                                       .pod = d->target->pod };
    upgrade_request_write(&request, &d->stream->out);
    stream_update(d->stream);
}

static void start_connecting(struct dial *d)
{
    connecting_finish(&d->connecting);
    origin_connect(d->origin, &d->connecting, d->wake);
}

/* Use the prewarmed connection, if it was made with the same client certificate. */
static void take_prewarmed_or_connect(struct dial *d)
{
    d->stream = prewarmed_connection_take(d->origin->prewarmed, d->credential->identity);
    d->on_prewarmed = d->stream != NULL;
    if (!d->on_prewarmed)
        start_connecting(d);
}

static enum err get_credential(struct dial *d, struct diag *why)
{
    enum err e = credentials_get(credentials_of(d), &d->want, &d->credential, why);
    if (e)
        return e;
    d->started_at = d->deadline.sched->now;
    take_prewarmed_or_connect(d);
    timer_set(&d->deadline, d->origin->settings->dial_ms);
    return OK;
}

/* The deadline is set once there is a credential: an exec plugin may prompt the user for a
 * password. */
static enum dial_state in_credential(struct dial *d)
{
    struct diag why = { "" };
    enum err e = get_credential(d, &why);

    if (e == ERR_AGAIN)
        return DIAL_CREDENTIAL;
    return e ? dial_fail(d, ERR_CREDENTIALS, diag_text(&why, e)) : DIAL_CONNECT;
}

static enum dial_state in_connect(struct dial *d)
{
    enum err e = d->stream ? OK : d->connecting.result;

    if (e == ERR_AGAIN)
        return DIAL_CONNECT;
    if (e)
        return dial_fail(d, e, diag_text(&d->connecting.why, e));
    if (!d->stream)
        d->stream = origin_open(d->origin, &d->connecting, d->credential->identity);
    d->stream->wake = d->wake;
    d->wire = d->stream;
    write_request(d);
    return DIAL_UPGRADE;
}

static enum dial_state connect_again(struct dial *d)
{
    d->error = (struct api_error){ 0 };
    stream_close(TAKE(d->stream));
    start_connecting(d);
    return DIAL_CONNECT;
}

/* The prewarmed connection was closed by the far end: make a new one. */
static enum dial_state replace_prewarmed(struct dial *d)
{
    d->on_prewarmed = false;
    return connect_again(d);
}

/* After a 401: dial once more, if there may be another credential. */
static bool may_renew_credential(struct dial *d)
{
    bool first = !d->rejected;

    if (d->error.code != ERR_UNAUTHORIZED)
        return false;
    d->rejected = true;
    return credentials_reject(credentials_of(d), d->credential->generation) && first;
}

static enum dial_state retry_with_new_credential(struct dial *d)
{
    d->error = (struct api_error){ 0 };
    d->on_prewarmed = false;
    stream_close(TAKE(d->stream));
    timer_stop(&d->deadline);
    credential_unref(TAKE(d->credential));
    return DIAL_CREDENTIAL;
}

/* This transport was refused: dial once more, with the other. */
static enum dial_state try_other_transport(struct dial *d)
{
    log_debug(d->id, "transport refused",
              LOG_S("transport", transport_name(d->transport)),
              LOG_I("status", d->error.status),
              LOG_S("reason", diag_text(&d->error.why, d->error.code)));
    d->second_try = true;
    d->refusal = d->error;
    d->transport = d->transport == TRANSPORT_KIND_SPDY ? TRANSPORT_KIND_WEBSOCKET
                                                       : TRANSPORT_KIND_SPDY;
    return connect_again(d);
}

static enum dial_state upgrade_failed(struct dial *d)
{
    bool may_choose = d->origin->settings->transport == TUNNEL_TRANSPORT_AUTO;

    if (may_renew_credential(d))
        return retry_with_new_credential(d);
    if (d->error.code == ERR_UNAUTHORIZED)
        credential_explain(d->credential, &d->error.why);
    api_explain_refusal(d->origin->api, d->credential, &d->error);
    if (may_choose && !d->second_try && upgrade_refused_transport(&d->error))
        return try_other_transport(d);
    if (d->second_try && upgrade_refused_transport(&d->error))
        d->error = d->refusal; /* both were refused: report the error of the first */
    return DIAL_FAILED;
}

/* The stream's own error explains more than ERR_EOF.  A failed TLS handshake may mean that
 * client certificates were replaced or have expired. */
static enum dial_state transport_failed(struct dial *d, enum err e)
{
    const char *address = api_target(d->origin->api)->host_header;

    d->error = (struct api_error){ .code = ERR_CONNECT };
    diag_set(&d->error.why, ERR_CONNECT, "%s: %s", address,
             diag_text(&d->stream->end.why, e));
    if (d->credential->identity && !tls_ready(d->wire)) {
        credentials_on_tls_failure(credentials_of(d));
        credential_explain(d->credential, &d->error.why);
    }
    return DIAL_FAILED;
}

static enum dial_state upgraded(struct dial *d)
{
    if (d->second_try && upgrade_refusal_is_general(&d->refusal))
        origin_learn_transport(d->origin, d->transport);
    if (d->transport == TRANSPORT_KIND_WEBSOCKET)
        d->stream = websocket_open(d->origin->loop, d->stream);
    return DIAL_OPEN;
}

static enum dial_state in_upgrade(struct dial *d)
{
    struct stream *c = d->stream;
    enum err e = upgrade_response_read(&c->in, c->in_eof, d->transport, &d->error);

    if (e == ERR_AGAIN)
        return DIAL_UPGRADE;
    if (e == OK)
        return upgraded(d);
    if (d->on_prewarmed && !d->error.status)
        return replace_prewarmed(d);
    if (c->broken && !d->error.status)
        return transport_failed(d, e);
    if (e == ERR_EOF)
        diag_prefix(&d->error.why, e, "%s", api_target(d->origin->api)->host_header);
    return upgrade_failed(d);
}

static enum dial_state in_open(struct dial *d)
{
    (void)d;
    return DIAL_OPEN;
}

static enum dial_state in_failed(struct dial *d)
{
    (void)d;
    return DIAL_FAILED;
}

static enum err result_of(const struct dial *d)
{
    if (d->state == DIAL_FAILED)
        return d->error.code;
    return d->state == DIAL_OPEN ? OK : ERR_AGAIN;
}

enum err dial_run(struct dial *d)
{
    for (;;) {
        enum dial_state next = dial_states[d->state].run(d);

        if (next == d->state)
            return result_of(d);
        log_debug(d->id, "state", LOG_S("from", dial_states[d->state].name),
                  LOG_S("to", dial_states[next].name));
        d->state = next;
    }
}

void dial_on_deadline(struct dial *d)
{
    d->node_is_late = d->state == DIAL_UPGRADE &&
                      (!api_target(d->origin->api)->tls || tls_ready(d->wire));
}

struct stream *dial_take(struct dial *d, struct stream **ret_wire, bool *ret_outdated)
{
    *ret_wire = d->wire;
    *ret_outdated = d->credential->identity != credentials_identity(credentials_of(d));
    credential_unref(TAKE(d->credential));
    timer_stop(&d->deadline);
    return TAKE(d->stream);
}

void dial_init(struct dial *d, struct tunnel_origin *origin,
               const struct tunnel_target *target, struct log_id id, struct task *wake,
               void (*on_deadline)(struct timer *))
{
    struct sched *sched = loop_sched(origin->loop);
    struct diag why;

    d->origin = origin;
    d->target = target;
    d->id = id;
    d->wake = wake;
    d->want.wake = wake;
    d->started_at = sched->now;
    d->transport = origin_transport(origin);
    timer_init(&d->deadline, sched, on_deadline);
    if (get_credential(d, &why) == OK) /* if not, dial_run fails or waits */
        d->state = DIAL_CONNECT;
}

void dial_finish(struct dial *d)
{
    timer_stop(&d->deadline);
    credentials_leave(&d->want);
    credential_unref(TAKE(d->credential));
    connecting_finish(&d->connecting);
    stream_close(TAKE(d->stream));
}
