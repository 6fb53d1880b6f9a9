#include "serve/proxy_reply.h"

#include "http/whole.h"
#include "wire/socks.h"

static enum socks_reply reply_of(enum cause cause)
{
    switch (cause) {
    case CAUSE_LOOKUP_NOT_FOUND:
    case CAUSE_CONTEXT_UNKNOWN:
    case CAUSE_NO_POD:
        return SOCKS_HOST_UNREACHABLE;
    case CAUSE_LOOKUP_PORT:
    case CAUSE_POD_REFUSED:
        return SOCKS_REFUSED;
    case CAUSE_LOOKUP_TIMEOUT:
    case CAUSE_DIAL_TIMEOUT:
        return SOCKS_EXPIRED;
    case CAUSE_HOST_OUTSIDE:
    case CAUSE_PROXY_OFF:
    case CAUSE_NAMESPACE_DENIED:
    case CAUSE_NAMESPACE_UNLISTED:
    case CAUSE_NAMESPACE_CLOSED:
        return SOCKS_NOT_ALLOWED;
    default:
        return SOCKS_FAILED;
    }
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
    put_reply(client, SOCKS_SUCCEEDED, out);
}

void proxy_refuse(enum proxy_client client, enum cause cause, struct bufq *out)
{
    put_reply(client, reply_of(cause), out);
}
