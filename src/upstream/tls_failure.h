/* upstream/tls_failure.h - why TLS with a pod has failed, for the page that the client gets */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "net/tls_report.h"

struct tls_failure {
    enum tls_fault fault; /* TLS_NO_FAULT: the handshake took too long */
    bool declared;        /* the service declares TLS; else the port's number means it */
    bool has_rule;        /* the setting `tls` has a rule that verifies its certificate */
    uint16_t port;        /* the service's */
    char service[320];    /* "shop/web": its key in the setting `tls` */
    struct diag why;      /* what failed, as a sentence without its end */
    struct tls_certificate certificate; /* TLS_FAULT_CERTIFICATE */
};
