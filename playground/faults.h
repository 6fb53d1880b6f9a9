/* playground/faults.h - the faults that are switched on at present */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

enum pod_fault {
    POD_WELL,
    POD_REFUSES, /* no program listens on the port */
    POD_RESETS,  /* accepts, then resets; the runtime reports an error */
    POD_RESETS_SILENTLY,
};

struct faults {
    /* How many of the next port-forward dials get this response. */
    unsigned throttled, empty_500, bare_404;
    unsigned calls_throttled; /* how many of the next gets, lists and watches get a 429 */
    uint32_t watch_s;         /* watches end after this; 0: after their timeoutSeconds */
    bool no_slices;           /* like an API server before EndpointSlice v1 */
    bool token_expired;
    bool node_down;  /* the API server does not reach the kubelet */
    bool blackhole;  /* connections are neither read nor written, without an error */
    bool no_spdy;    /* like a gateway that does not support Upgrade: SPDY/3.1 */
    bool trickle;    /* tunnels write one byte at a time */
    bool stale;      /* endpointslices are not updated */
    uint32_t cut_ms; /* how long a response may continue after the client's FIN */
    uint32_t
        verdict_ms; /* how long the error stream is silent after the data stream's end */
    struct list_node targets, denied, granted, tokens;
};

#define CUT_MS 1000 /* containerd's */

void faults_init(struct faults *f);
/* frees the struct; faults_init switches all faults off */
void faults_finish(struct faults *f);

/* target is "namespace/pod:port". */
void faults_set_target(struct faults *f, struct str target, enum pod_fault fault);
enum pod_fault faults_of_target(const struct faults *f, struct str target);

/* Adds a valid token besides that of the user, or makes one invalid (expired). */
void faults_set_token(struct faults *f, struct str token, bool good);
bool faults_accept_token(const struct faults *f, struct str token);

/* rule is "verb resource", for instance "create pods/portforward". */
void faults_deny(struct faults *f, struct str rule, bool denied);
/* Four words: verb, resource, namespace, name; "*" is any.  Beside what the user may do
 * anyway. */
void faults_grant(struct faults *f, struct str rule);
bool faults_granted(const struct faults *f, struct str verb, struct str resource,
                    struct str ns, struct str name);
bool faults_denied(const struct faults *f, struct str verb, struct str resource);
