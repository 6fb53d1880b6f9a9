/* playground/tls_server.h - the server's side of TLS, on net/tls.h */
#pragma once

#include <stdbool.h>

#include "net/tls.h"

/* All PEM text, borrowed for the call; NULL: not given. */
struct tls_server_settings {
    const char *certificate; /* chain, leaf first */
    const char *key;
    const char
        *alpn;      /* the one protocol to accept, behind its length: "\x08http/1.1"; not
                         copied */
    const char *ca; /* of the clients */
    bool ask_client_certificate; /* ask, and accept any that `ca` signed */
};

/* ERR_TLS with a sentence naming the item that cannot be read. */
MUST_CHECK enum err tls_server_context(const struct tls_server_settings *settings,
                                       struct tls_context **ret, struct diag *why);

/* Accept a handshake over `below` (taken over). */
struct stream *tls_server_open(struct loop *l, struct tls_context *c,
                               struct stream *below);

/* The common name of the client's certificate into out; false when it sent none. */
bool tls_peer_name(const struct stream *s, char *out, size_t room);
