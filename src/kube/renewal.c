/* kube/renewal.c - when to renew a secret that expires, for all callers that need it */
#include "kube/renewal.h"

#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "base/utf8.h"

LOG_MODULE(kube);

#define EXPIRED_USE_MS                                                                   \
    30000                /* a new secret that has expired is used for this long, since our
                                clock may be wrong */
#define TRUSTED_MS 60000 /* a secret that was not rejected for this long was good */

static struct metric metric_runs = {
    .name = "kube_tunnel_credential_renewals_total",
    .help = "Runs of exec plugins and requests to OIDC providers, by result.",
    .type = METRIC_COUNTER,
    .label = "result",
    .values = { "ok", "failed" },
};

void renewal_init(struct renewal *r, struct sched *s, char *label)
{
    *r = (struct renewal){ .sched = s, .label = label, .wall_ms = wall_clock_ms };
    list_init(&r->waiting);
    metrics_register(&metric_runs);
}

void renewal_finish(struct renewal *r)
{
    list_for_each (w, &r->waiting, struct credentials_want, waiting)
        list_remove(&w->waiting);
    secret_finish(&r->secret);
    free(TAKE(r->label));
}

static bool has_expired(const struct renewal *r)
{
    return r->wall_ms() >= r->secret.expires_at;
}

bool renewal_serves(const struct renewal *r, uint64_t refused)
{
    return r->generation && r->generation != refused &&
           (!has_expired(r) || r->sched->now < r->used_until);
}

static bool is_valid(const struct renewal *r)
{
    return !r->rejected && renewal_serves(r, 0);
}

enum renewal_state renewal_look(const struct renewal *r, bool background)
{
    uint64_t after = background ? r->background_after : r->request_after;

    if (is_valid(r))
        return RENEWAL_VALID;
    if (r->running)
        return RENEWAL_RUNS;
    return r->sched->now < after ? RENEWAL_PAUSED : RENEWAL_DUE;
}

void renewal_wait(struct renewal *r, struct credentials_want *w)
{
    credentials_leave(w);
    list_append(&r->waiting, &w->waiting);
}

void renewal_wake(struct renewal *r)
{
    list_for_each (w, &r->waiting, struct credentials_want, waiting) {
        list_remove(&w->waiting);
        task_wake(w->wake);
    }
}

void renewal_begin(struct renewal *r)
{
    r->running = true;
}

/* The pause after so many failures in a row; between three quarters and five quarters. */
static uint64_t pause_ms(struct renewal *r, unsigned failures, uint64_t max_ms)
{
    uint64_t ms = failures < 12 ? (uint64_t)RENEWAL_PAUSE_MS << (failures - 1) : max_ms;

    if (ms > max_ms)
        ms = max_ms;
    return ms - ms / 4 + sched_random_below(r->sched, ms / 2);
}

static void pause_after(struct renewal *r, unsigned failures)
{
    uint64_t request_max =
        r->patient ? RENEWAL_PATIENT_REQUEST_MAX_MS : RENEWAL_REQUEST_MAX_MS;
    uint64_t background_max =
        r->patient ? RENEWAL_PATIENT_MAX_MS : RENEWAL_BACKGROUND_MAX_MS;

    r->request_after = r->sched->now + pause_ms(r, failures, request_max);
    r->background_after = r->sched->now + pause_ms(r, failures, background_max);
    if (r->background_after < r->request_after)
        r->background_after = r->request_after;
}

static const char *reason_of(const struct renewal *r)
{
    return !r->generation ? "no credentials"
           : r->rejected  ? "credentials refused, and not renewed"
                          : "credentials expired, and not renewed";
}

static void log_failure(struct renewal *r)
{
    uint64_t hash = str_hash(str_of(r->why.text)) | 1;

    if (hash == r->logged)
        log_debug(NO_ID, reason_of(r), LOG_S("reason", r->why.text));
    else
        log_warn(NO_ID, reason_of(r), LOG_S("reason", r->why.text));
    r->logged = hash;
}

static void log_success(struct renewal *r)
{
    char until[RFC3339_ROOM] = "never";

    if (r->secret.expires_at != NEVER_EXPIRES)
        rfc3339_write(r->secret.expires_at, until);
    log_info(NO_ID, r->generation > 1 ? "credentials renewed" : "credentials obtained",
             LOG_S("source", r->label), LOG_S("expires", until));
    r->logged = 0;
}

/* That of the secret it replaces, which was valid for long, does not count any more. */
static void note_arrival(struct renewal *r)
{
    bool expired = has_expired(r);

    r->obtained_at = r->sched->now;
    r->used_until = expired ? r->sched->now + EXPIRED_USE_MS : 0;
    if (expired)
        log_warn(NO_ID, "these credentials have expired already: is the clock right?",
                 LOG_S("source", r->label));
}

void renewal_succeed(struct renewal *r, struct secret *s)
{
    secret_finish(&r->secret);
    r->secret = *s;
    *s = (struct secret){ 0 };
    r->generation++;
    r->running = r->rejected = false;
    r->failures = 0;
    if (!r->rejections)
        r->request_after = r->background_after = 0;
    metric_add(&metric_runs, 0, 1);
    log_success(r);
    note_arrival(r);
    renewal_wake(r);
}

void renewal_fail(struct renewal *r, const struct diag *why)
{
    r->running = false;
    r->why = *why;
    text_make_printable(r->why.text, false);
    diag_prefix(&r->why, ERR_CREDENTIALS, "%s", r->label);
    r->failures++;
    pause_after(r, r->failures);
    metric_add(&metric_runs, 1, 1);
    log_failure(r);
    renewal_wake(r);
}

/* The first one is renewed at once; one that was new and is refused, too, after a pause. */
void renewal_reject(struct renewal *r, uint64_t generation)
{
    if (generation != r->generation || r->rejected)
        return;
    r->rejected = true;
    if (r->sched->now - r->obtained_at >= TRUSTED_MS)
        r->rejections = 0;
    if (r->rejections) {
        pause_after(r, r->rejections);
        diag_set(&r->why, ERR_CREDENTIALS,
                 "%s: the API server does not accept what it returned (401)", r->label);
        log_failure(r);
    }
    r->rejections++;
}
