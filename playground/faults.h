/* playground/faults.h - how the cluster misbehaves at present */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

enum pod_fault {
    POD_WELL,
    POD_REFUSES, /* nothing listens there */
    POD_RESETS,  /* accepts, then resets; the runtime reports it */
    POD_RESETS_SILENTLY,
};

struct faults {
    /* The next so many port-forward dials are answered so. */
    unsigned throttled, empty_500, bare_404;
    unsigned calls_throttled; /* the next so many gets, lists and watches: 429 */
    uint32_t watch_s; /* watches end after so long; 0: after their timeoutSeconds */
    bool no_slices;   /* an API server of before EndpointSlice v1 */
    bool token_expired;
    bool node_down;  /* the API server does not reach the kubelet */
    bool blackhole;  /* nothing is read or written, and no error is sent */
    bool no_spdy;    /* a gateway that does not know Upgrade: SPDY/3.1 */
    bool trickle;    /* tunnels write one byte at a time */
    bool stale;      /* endpointslices stay as they are, whatever pods do */
    uint32_t cut_ms; /* how long an answer may go on after a FIN */
    uint32_t
        verdict_ms; /* how long the error stream is silent after the data stream's end */
    struct list_node targets, denied, granted, tokens;
};

#define CUT_MS 1000 /* containerd's */

void faults_init(struct faults *f);
void faults_finish(struct faults *f); /* frees; faults_init makes all well again */

/* target is "namespace/pod:port". */
void faults_set_target(struct faults *f, struct str target, enum pod_fault fault);
enum pod_fault faults_of_target(const struct faults *f, struct str target);

/* Tokens that are good beside that of the user, which may have expired. */
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
