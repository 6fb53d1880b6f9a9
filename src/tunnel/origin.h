/* tunnel/origin.h - the API server that tunnels are opened through
 *
 * Private to tunnel/.  One for all tunnels of an API server: how to reach it, what was learnt
 * about it, and what its tunnels count together.
 */
#pragma once

#include "kube/api.h"
#include "kube/credentials.h"
#include "net/connecting.h"
#include "net/tls.h"
#include "tunnel/settings.h"
#include "tunnel/upgrade.h"

struct prewarmed_connection;

/* Which transport this API server takes: the other one than the usual, once the usual was
 * refused and that one was not; for a while, since servers are replaced too. */
struct transport_memory {
    enum transport usual, learnt;
    uint64_t learnt_until; /* sched ms; 0: nothing learnt */
};

struct tunnel_origin {
    struct loop *loop;
    struct transfers *transfers;
    struct api *api;
    const struct tunnel_settings *settings; /* borrowed */
    struct tls_context *tls; /* of the identity at the last dial; NULL: none yet */
    struct transport_memory transports;
    struct prewarmed_connection *prewarmed; /* NULL: none */
    size_t kept_for_slow; /* bytes that pairs of shared tunnels keep for slow clients */
    /* A dial has another certificate, or other authorities, than those before. */
    void (*on_new_identity)(struct tunnel_origin *);
};

void origin_init(struct tunnel_origin *o, struct loop *loop, struct transfers *transfers,
                 struct api *api, const struct tunnel_settings *settings);
void origin_finish(struct tunnel_origin *o);

/* The way to the API server: start to connect; then, connected, the stream (TLS, where it
 * is spoken, may still be shaking hands). */
void origin_connect(struct tunnel_origin *o, struct connecting *c, struct task *wake);
struct stream *origin_open(struct tunnel_origin *o, struct connecting *c,
                           struct tls_identity *identity);

/* Which transport to try first. */
enum transport origin_transport(const struct tunnel_origin *o);
/* This one was accepted, after the other had been refused. */
void origin_learn_transport(struct tunnel_origin *o, enum transport accepted);
