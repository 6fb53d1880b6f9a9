/* playground/tls_server.h - TLS servers, with net/tls.h */
#pragma once

#include <stdbool.h>

#include "net/tls.h"

/* All PEM text, borrowed for the call; NULL: not given. */
struct tls_server_settings {
    const char *certificate; /* chain, leaf first */
    const char *key;
    const char
        /* the only ALPN protocol to accept, after its length: "\x08http/1.1"; not
         * copied */
        *alpn;
    const char *ca; /* the authority of client certificates */
    /* request a certificate, and accept any that `ca` signed */
    bool request_client_certificate;
};

/* ERR_TLS with a sentence naming the item that cannot be read. */
MUST_CHECK enum err tls_server_context(const struct tls_server_settings *settings,
                                       struct tls_context **ret, struct diag *why);

/* The common name of the client's certificate into out; false when it sent none. */
bool tls_peer_name(const struct stream *s, char *out, size_t room);
