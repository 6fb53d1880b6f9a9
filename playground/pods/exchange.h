/* playground/pods/exchange.h - one request and its response, shared by http.c and pages.c
 *
 * http.c reads the head, begins the page, feeds it the body, and calls its `answer` until
 * it is complete; a page only writes.
 */
#pragma once

#include "playground/digest.h"
#include "playground/head.h"
#include "playground/pods/pod.h"
#include "playground/text.h"

enum progress {
    ANSWERED, /* the answer is complete */
    MORE,     /* call it again when there is room, or when the timer fires */
    HANG_UP,  /* send the queued bytes and close */
    RESET,    /* close with a reset, at once */
    TALK,     /* a WebSocket from here on */
};

struct exchange {
    struct pod *pod;
    struct stream *stream;
    struct timer timer; /* a page may set it; when it fires, the page writes more */
    const struct page *page;
    bool keep_alive;
    bool bodyless; /* HEAD: the response has no body */
    bool continue_wanted, refused;
    uint64_t received;   /* bytes of the request body */
    struct sha256 *hash; /* hash of the body, if the page needs it */
    uint64_t number;     /* the page's number from the query */
    uint64_t sent;       /* the page's progress */
    uint64_t left;
    struct text kept; /* bytes of the head that the page needs later; memory is reused */
};

struct page {
    const char *path;
    /* Copies from the head what the answer needs; may be NULL. */
    void (*begin)(struct exchange *x, const struct http1_head *head, struct str raw);
    /* Called when the body has been read (or refused): writes the response. */
    enum progress (*answer)(struct exchange *x);
};

const struct page *page_find(struct str path);
extern const struct page page_raw_head;

/* A page may write this much before it must check for room. */
#define ANSWER_ROOM 4096
