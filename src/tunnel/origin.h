/* tunnel/origin.h - the API server through which tunnels are opened
 *
 * Private to tunnel/.  One for all tunnels through an API server: how to connect to it, which
 * transport it accepts, and a counter that its tunnels share.
 */
#pragma once

#include "kube/api.h"
#include "kube/credentials.h"
#include "net/connecting.h"
#include "net/tls.h"
#include "tunnel/settings.h"
#include "tunnel/upgrade.h"

struct prewarmed_connection;

/* Which transport to try first: the usual one, or `learnt` for a while after the usual one was
 * refused and the other one accepted. */
struct transport_memory {
    enum transport usual, learnt;
    uint64_t learnt_until; /* sched ms; 0: nothing learnt */
};

struct tunnel_origin {
    struct loop *loop;
    struct transfers *transfers;
    struct api *api;
    const struct tunnel_settings *settings; /* borrowed */
    struct tls_context
        *tls; /* with the client certificate of the last dial; NULL: none yet */
    struct transport_memory transports;
    struct prewarmed_connection *prewarmed; /* NULL: none */
    size_t kept_for_slow; /* bytes buffered for slow clients on all shared tunnels */
    /* A dial uses another client certificate, or other certificate authorities, than those
     * before. */
    void (*on_new_identity)(struct tunnel_origin *);
};

void origin_init(struct tunnel_origin *o, struct loop *loop, struct transfers *transfers,
                 struct api *api, const struct tunnel_settings *settings);
/* *settings has changed. */
void origin_configure(struct tunnel_origin *o);
void origin_finish(struct tunnel_origin *o);

/* Start to connect to the API server. */
void origin_connect(struct tunnel_origin *o, struct connecting *c, struct task *wake);
/* The stream over a finished connection; with TLS its handshake may not be complete. */
struct stream *origin_open(struct tunnel_origin *o, struct connecting *c,
                           struct tls_identity *identity);

/* Which transport to try first. */
enum transport origin_transport(const struct tunnel_origin *o);
/* This transport was accepted, after the other one had been refused. */
void origin_learn_transport(struct tunnel_origin *o, enum transport accepted);
