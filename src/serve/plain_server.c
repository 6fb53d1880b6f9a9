/* serve/plain_server.c - a TLS connection to a server that does not speak TLS */
#include "serve/plain_server.h"

#include "base/own.h"
#include "catalog/service.h"
#include "detect/detect.h"
#include "net/stream.h"
#include "upstream/lease.h"

LOG_MODULE(serve);

#define HTTP_PORT 80

/* The URL by which the same client reaches the same port without TLS. */
static char *plain_url(const struct visitor *from)
{
    const struct exposed *to = from->exposed;

    if (to->route.tls)
        return xasprintf("http://%s", to->route.name.text);
    if (to->address[0])
        return xasprintf("http://%s:%u", to->route.name.text, from->listener_port);
    if (!to->proxied)
        return xasprintf("http://localhost:%u", from->listener_port);
    return xasprintf(to->route.port == HTTP_PORT ? "http://%s" : "http://%s:%u",
                     to->proxied, to->route.port);
}

void plain_server_look(const struct visitor *from, struct log_id id,
                       const struct lease *lease)
{
    uint8_t first[DETECT_SERVER_MAX];
    size_t n = bufq_copy(&lease->stream->in, 0, first, sizeof(first));

    if (n < sizeof(first) || detect_server(first, n) == DETECT_TLS)
        return;
    AUTO_FREE char *url = plain_url(from);
    AUTO_FREE char *hint = xasprintf("use %s", url);
    log_warn(id, "a TLS connection to a server that does not speak TLS",
             LOG_S("client", from->address), LOG_S("pod", lease->endpoint->pod),
             LOG_U("port", lease->port), LOG_S("hint", hint));
}
