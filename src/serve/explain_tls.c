/* serve/explain_tls.c - make the text of a refusal that TLS with a service has caused */
#include "serve/explain_tls.h"

#include "catalog/service.h"
#include "upstream/lease.h"
#include "upstream/tls_failure.h"

static const char *pod_of(const struct lease *lease)
{
    return lease->endpoint ? lease->endpoint->pod : "?";
}

/* Why the request goes on in TLS, since the client has not asked for it. */
static const char *reason_for_tls(const struct tls_failure *f)
{
    return f->declared   ? "which the service declares to speak TLS"
           : f->has_rule ? "for which the setting tls has a rule"
                         : "whose number means TLS";
}

static void explain_certificate(const struct lease *lease, struct explanation *ret)
{
    const struct tls_failure *f = lease->tls_failure;
    const struct tls_certificate *c = &f->certificate;

    explanation_detail(ret,
                       "It was presented by port %u of pod %s, for port %u of %s, %s. "
                       "Subject: %s; issuer: %s; expires: %s; names: %s.",
                       lease->port, pod_of(lease), f->port, f->service, reason_for_tls(f),
                       c->subject, c->issuer, c->expires,
                       c->names[0] ? c->names : "none");
    explanation_hint(
        ret,
        "The service's names and --tls-ca, the cluster's and the system's "
        "authorities are accepted. To accept this certificate, write one of "
        "these into the configuration file:\n"
        "  tls: {%s: {ca: FILE}}             of the authority that signs it\n"
        "  tls: {%s: {server-name: NAME}}    a name that it has\n"
        "  tls: {%s: {pin: %s}}\n"
        "  tls: {%s: {verify: none}}         any certificate",
        f->service, f->service, f->service, c->sha256, f->service);
}

static void explain_not_tls(const struct lease *lease, struct explanation *ret)
{
    const struct tls_failure *f = lease->tls_failure;

    explanation_detail(
        ret, "Port %u of pod %s answers plainly, and is port %u of %s, %s.", lease->port,
        pod_of(lease), f->port, f->service, reason_for_tls(f));
    explanation_hint(ret, "A plain port is called http, or has that as its appProtocol.");
}

static void explain_handshake(const struct lease *lease, struct explanation *ret)
{
    const struct tls_failure *f = lease->tls_failure;

    explanation_detail(ret, "Port %u of pod %s was reached for port %u of %s, %s.",
                       lease->port, pod_of(lease), f->port, f->service,
                       reason_for_tls(f));
    explanation_hint(ret,
                     f->fault == TLS_NO_FAULT
                         ? "The limit is --dial-timeout. If the port is a plain one, "
                           "its appProtocol or its name should be http."
                         : "kube-tunnel speaks TLS 1.2 and 1.3, and presents no "
                           "client certificate to services.");
}

void explain_tls(const struct refusal *r, struct explanation *ret)
{
    const struct lease *lease = r->lease;
    const struct tls_failure *f = lease->tls_failure;

    explanation_first(ret, " for %s: %s", f->service, f->why.text);
    if (f->fault == TLS_FAULT_CERTIFICATE)
        explain_certificate(lease, ret);
    else if (f->fault == TLS_FAULT_NOT_TLS)
        explain_not_tls(lease, ret);
    else
        explain_handshake(lease, ret);
}
