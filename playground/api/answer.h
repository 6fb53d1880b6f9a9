/* playground/api/answer.h - the API server's response to one request
 *
 * respond() fills in the answer to a request; the connection sends it, or continues as
 * `next` states.
 */
#pragma once

#include "playground/api/path.h"
#include "playground/api/selector.h"
#include "playground/cluster.h"
#include "playground/text.h"
#include "wire/http1.h"

enum answer_next {
    NEXT_SEND,    /* status and body */
    NEXT_WATCH,   /* a stream of events from here on */
    NEXT_FORWARD, /* a port-forward to `pod` over SPDY */
    NEXT_TUNNEL,  /* the same, inside a WebSocket */
};

/* A collection, as a list or watch sees it. */
struct view {
    enum kind_id kind;
    char *ns, *label_text, *field_text; /* owned; "" for none */
    struct selector labels, fields;     /* views into the texts */
    bool table;
};

struct watch_start {
    struct view view;
    uint64_t revision; /* events after this one */
    bool initial;      /* ... and before them all existing objects, as ADDED */
    bool initial_end;  /* ... and a bookmark that marks their end */
    bool bookmarks;
    uint64_t timeout_s;
};

struct answer {
    enum answer_next next;
    int status;
    const char *content_type;
    struct text body;
    struct text fields;       /* more header lines */
    struct watch_start watch; /* NEXT_WATCH */
    char *pod_uid;            /* NEXT_FORWARD, NEXT_TUNNEL */
};

/* A request, with its authenticated user. */
struct call {
    const struct http1_head *head;
    struct str body;
    bool known; /* authenticated by a certificate, or by the listener of the connection */
};

/* The caller zeroes *a before, and finishes it. */
void respond(struct cluster *c, const struct call *call, struct answer *a);
void answer_finish(struct answer *a);

void view_finish(struct view *v);
bool view_shows(const struct view *v, const json_t *object);

/* Fills in an answer with JSON (takes over the reference), or with a failed Status whose
 * text is the API server's. */
void answer_json(struct answer *a, int status, json_t *tree);
void answer_failure(struct answer *a, int status, const char *reason, json_t *details,
                    const char *format, ...) PRINTF_LIKE(5, 6);
/* A Status as an object of its own. */
json_t *status_object(int code, const char *reason, json_t *details, const char *message);

/* Parts of the API; each returns false for paths that are not its own. */
bool respond_discovery(struct cluster *c, const struct call *call, struct answer *a);
bool respond_review(struct cluster *c, const struct call *call, struct answer *a);
void respond_collection(struct cluster *c, const struct call *call,
                        const struct api_path *path, const struct kind *kind,
                        struct answer *a);
void respond_forward(struct cluster *c, const struct call *call,
                     const struct api_path *path, struct answer *a);

/* Does the user have this right?  If not, *a is a 403. */
bool authorize(const struct cluster *c, const struct api_path *path, struct str verb,
               struct answer *a);
/* The same for the object of that name, which a field selector may give. */
bool authorize_name(const struct cluster *c, const struct api_path *path, struct str verb,
                    struct str name, struct answer *a);
