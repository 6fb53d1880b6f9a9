/* tunnel/pair.h - the two SPDY streams of one forwarded connection, as one stream
 *
 * Private to tunnel/.  The data stream carries the bytes; the error stream alone says how
 * the connection ended (facts: cri-streaming portforward/httpstream.go):
 *
 *     error stream           data stream     verdict
 *     FIN without text       FIN             V_CLEAN
 *     text                   any             V_REFUSED, V_TARGET_GONE, V_RESET: by the text
 *     RST                    any             V_RESET
 *     nothing for 2 s        FIN             V_RESET
 */
#pragma once

#include "tunnel/tunnel.h"

#define PAIR_IN_LIMIT (4 * CHUNK_ROOM)
#define PAIR_OUT_LIMIT (4 * CHUNK_ROOM)
#define PAIR_TEXT_MAX 640
#define PAIR_DROPPED_MAX (64 * 1024) /* on an own tunnel, of one that was left */

struct pair {
    struct stream stream;
    struct tunnel *tunnel;
    struct list_node in_tunnel;
    uint32_t error_id, data_id;
    bool alone;    /* its user wanted a tunnel to itself */
    bool proves;   /* the first one to its port: not joined before it is answered */
    bool unbraked; /* alone on a shared tunnel, it went on without credit */
    uint16_t port;
    bool lent;      /* in use, and not only kept in a pool; pair_set_lent sets it */
    bool left;      /* the user closed it: only the verdict is waited for */
    bool delivered; /* a byte of the answer came */
    bool data_done; /* FIN or RST on the data stream came */
    bool error_done;
    bool reset; /* RST on either stream */
    bool fin_sent;
    uint32_t allowance; /* bytes it may still send in this turn: frames.c */
    uint32_t unheard;   /* data frames sent since the pod last said something */
    bool parted;    /* left, and FIN is sent: nothing of it uses the tunnel any more */
    size_t dropped; /* what came after it was left */
    size_t text_len;
    char text[PAIR_TEXT_MAX]; /* of the error stream, cut */
    struct timer verdict_due;
    size_t *kept_in_all; /* of a shared tunnel: what all such pairs hold; else NULL */
    size_t counted;      /* our part of it */
    uint64_t taken;      /* bytes its user took so far */
    uint64_t taken_mark; /* ... at `marked_at`, to tell a slow user from a fast one */
    uint64_t marked_at;
    uint64_t moved; /* bytes since it was lent, both ways */
};

struct pair *pair_create(struct tunnel *t, const struct spdy_pair *ids);
void pair_destroy(struct pair *p);
/* In use, or only kept, or left. */
void pair_set_lent(struct pair *p, bool lent);
/* Its user has left and its verdict is known: tell the tunnel, and destroy it. */
void pair_gone(struct pair *p);

/* What came from the wire, from frames.c.  A pair that has parted may be gone with it. */
void pair_on_reply(struct pair *p);
void pair_on_text(struct pair *p, const uint8_t *bytes, size_t n);
void pair_on_fin(struct pair *p, uint32_t stream_id);
void pair_on_reset(struct pair *p, uint32_t stream_id);
void pair_on_tunnel_lost(struct pair *p, const char *why);

/* Give it up, alone: what still comes for it is dropped. */
void pair_fail(struct pair *p, const char *why);

/* So much was sent without a word of the pod that, had it ended before, the queue of its
 * worker would be full and the session with it would stand still. */
bool pair_may_have_buried_its_worker(const struct pair *p);

/* What frames.c may still send for it. */
bool pair_may_send(const struct pair *p);
bool pair_owes_fin(const struct pair *p);

/* What a text of the error stream says about the connection. */
enum verdict pair_classify(struct str text);
/* The part of it that a person needs: without the sandbox id and the namespace's path. */
struct str pair_reason(struct str text);
