#include "serve/proxy_reply.h"

#include "http/whole.h"
#include "wire/socks.h"

static enum socks_reply reply_of(enum cause cause)
{
    switch (cause) {
    case CAUSE_LOOKUP_NOT_FOUND:
    case CAUSE_CONTEXT_UNKNOWN:
    case CAUSE_NO_POD:
    case CAUSE_OUTSIDE_FAILED:
        return SOCKS_HOST_UNREACHABLE;
    case CAUSE_LOOKUP_PORT:
    case CAUSE_POD_REFUSED:
        return SOCKS_REFUSED;
    case CAUSE_LOOKUP_TIMEOUT:
    case CAUSE_DIAL_TIMEOUT:
    case CAUSE_OUTSIDE_TIMEOUT:
        return SOCKS_EXPIRED;
    case CAUSE_HOST_OUTSIDE:
    case CAUSE_OUTSIDE_ADDRESS:
    case CAUSE_OUTSIDE_PORT:
    case CAUSE_PROXY_OFF:
    case CAUSE_NAMESPACE_DENIED:
    case CAUSE_NAMESPACE_UNLISTED:
    case CAUSE_NAMESPACE_CLOSED:
        return SOCKS_NOT_ALLOWED;
    default:
        return SOCKS_FAILED;
    }
}

enum { TLS_ALERT = 21, TLS_FATAL = 2 };

/* RFC 8446, section 6, and RFC 6066 (unrecognized_name). */
enum tls_alert {
    TLS_HANDSHAKE_FAILURE = 40,
    TLS_ACCESS_DENIED = 49,
    TLS_INTERNAL_ERROR = 80,
    TLS_UNRECOGNIZED_NAME = 112,
};

static enum tls_alert alert_of(enum cause cause)
{
    switch (cause) {
    case CAUSE_HOST_OUTSIDE:
    case CAUSE_LOOKUP_NOT_FOUND:
    case CAUSE_CONTEXT_UNKNOWN:
        return TLS_UNRECOGNIZED_NAME;
    case CAUSE_SHORT_NAME:
    case CAUSE_NAMESPACE_DENIED:
    case CAUSE_NAMESPACE_UNLISTED:
    case CAUSE_NAMESPACE_CLOSED:
        return TLS_ACCESS_DENIED;
    case CAUSE_PROTOCOL:
    case CAUSE_LOOKUP_PORT:
        return TLS_HANDSHAKE_FAILURE;
    default:
        return TLS_INTERNAL_ERROR;
    }
}

static void put_alert(enum tls_alert alert, struct bufq *out)
{
    const uint8_t bytes[] = { TLS_ALERT, 3, 3, 0, 2, TLS_FATAL, (uint8_t)alert };
    size_t limit = whole_begin(out);

    bufq_write(out, bytes, sizeof(bytes));
    whole_end(out, limit);
}

static void put_reply(enum proxy_client client, enum socks_reply reply, struct bufq *out)
{
    uint8_t bytes[SOCKS_REPLY_MAX];
    size_t n = socks_reply_encode(client == PROXY_SOCKS4 ? 4 : 5, reply, bytes);
    size_t limit = whole_begin(out);

    bufq_write(out, bytes, n);
    whole_end(out, limit);
}

void proxy_accept(enum proxy_client client, struct bufq *out)
{
    if (client != PROXY_TLS)
        put_reply(client, SOCKS_SUCCEEDED, out);
}

void proxy_refuse(enum proxy_client client, enum cause cause, struct bufq *out)
{
    if (client == PROXY_TLS)
        put_alert(alert_of(cause), out);
    else
        put_reply(client, reply_of(cause), out);
}
