/* net/tls_report.h - why a TLS handshake of a client has failed */
#pragma once

#include "base/err.h"

enum tls_fault {
    TLS_NO_FAULT,          /* the handshake goes on, or has succeeded */
    TLS_FAULT_CERTIFICATE, /* the server's certificate was not accepted */
    TLS_FAULT_NOT_TLS,     /* the first byte from the server is not TLS */
    TLS_FAULT_ALPN,        /* the server speaks none of the protocols that were offered */
    TLS_FAULT_PROTOCOL,    /* an alert of the server, or bytes that break the protocol */
    TLS_FAULT_ENDED,       /* the connection ended before */
};

/* Facts of a certificate, as text for people: printable, and cut where they are long. */
struct tls_certificate {
    char subject[128], issuer[128];
    char names[128];  /* of subjectAltName, with commas */
    char expires[40]; /* date and time */
    char sha256[65];  /* of the whole certificate, in lower-case hexadecimal */
};

struct tls_report {
    enum tls_fault fault;
    struct diag why; /* TLS_FAULT_CERTIFICATE: the words that follow "its certificate" */
    struct tls_certificate
        certificate; /* TLS_FAULT_CERTIFICATE, of a service: the server's */
};
