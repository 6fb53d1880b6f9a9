/* kube/renewal.h - when to renew a secret that expires, for all callers that need it
 *
 * One run (of an exec plugin, or a request to a provider) serves all callers that wait.  A
 * secret is kept until it expires or the API server rejects it.  After a failure, and after a
 * new secret was rejected, there is a pause that doubles, with jitter.  A call during the pause
 * gets the last failure at once.  Requests of clients have a shorter pause than background
 * calls, so that credentials that were renewed elsewhere (a login in another window) are found
 * soon.
 *
 * The owner obtains the secret: it calls renewal_look, begins a run on RENEWAL_DUE, and reports
 * the result.  A failure is logged once, and its end.
 */
#pragma once

#include "base/err.h"
#include "kube/credentials_want.h"
#include "kube/secret.h"

#define RENEWAL_PAUSE_MS 1000
#define RENEWAL_REQUEST_MAX_MS 5000
#define RENEWAL_BACKGROUND_MAX_MS 60000
/* The pauses with `patient`. */
#define RENEWAL_PATIENT_REQUEST_MAX_MS 60000
#define RENEWAL_PATIENT_MAX_MS 600000

struct renewal {
    struct sched *sched;
    int64_t (*wall_ms)(void);
    char *label; /* "exec plugin \"aws\"", for messages */
    struct secret secret;
    uint64_t generation; /* of the secret, from 1; 0: none yet */
    uint64_t obtained_at;
    uint64_t used_until; /* one that had expired when it came is used until then */
    bool rejected;       /* by the API server */
    bool running;
    bool patient;        /* each run prompts the user: long pauses for requests, too */
    unsigned failures;   /* in a row */
    unsigned rejections; /* of secrets that were new, in a row */
    uint64_t request_after, background_after;
    struct diag why;          /* of the last failure */
    uint64_t logged;          /* hash of the failure that was logged; 0: none */
    struct list_node waiting; /* struct credentials_want */
};

enum renewal_state {
    RENEWAL_VALID,  /* use the secret */
    RENEWAL_RUNS,   /* wait */
    RENEWAL_DUE,    /* run now */
    RENEWAL_PAUSED, /* ->why */
};

void renewal_init(struct renewal *r, struct sched *s, char *label); /* label taken over */
void renewal_finish(struct renewal *r);                             /* ends all waits */

enum renewal_state renewal_look(const struct renewal *r, bool background);
/* Is there a valid secret, other than that of generation `refused` (0: any)?  Callers with
 * different API servers share the renewal, and only one of the servers may have rejected it. */
bool renewal_serves(const struct renewal *r, uint64_t refused);
void renewal_wait(struct renewal *r, struct credentials_want *w);
void renewal_wake(struct renewal *r); /* all that wait */

/* A run begins; it ends with renewal_succeed or renewal_fail, which wake all that wait. */
void renewal_begin(struct renewal *r);
void renewal_succeed(struct renewal *r, struct secret *s); /* taken over */
void renewal_fail(struct renewal *r, const struct diag *why);

/* The API server did not accept the secret of this generation. */
void renewal_reject(struct renewal *r, uint64_t generation);
