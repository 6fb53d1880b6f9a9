#include "dns/client.h"

#include "base/metrics.h"

#define RCODE_AT 3 /* of the head */
#define RCODE_BITS 0xf

enum { RCODE_OTHER = 6 };

static struct metric responses = {
    .name = "kube_tunnel_dns_responses_total",
    .help = "Responses of the DNS server, by rcode",
    .type = METRIC_COUNTER,
    .label = "rcode",
    .values = { "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                "other" },
};

void dns_respond(const struct dns_client *c, const uint8_t *bytes, size_t len)
{
    size_t rcode = bytes[RCODE_AT] & RCODE_BITS;

    metrics_register(&responses);
    metric_add(&responses, rcode < RCODE_OTHER ? rcode : RCODE_OTHER, 1);
    c->respond(c, bytes, len);
}
