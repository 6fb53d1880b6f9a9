#include "tunnel/pair.h"

#include <assert.h>
#include <string.h>

#include "base/own.h"
#include "wire/spdy.h"

#define UNANSWERED_MAX 40 /* frames; a worker's queue has room for 50 */

/* How long after one of the two streams ended the other may stay silent.  The runtime
 * closes both within a second of each other. */
#define VERDICT_MS 2000
#define LATE_MS 10000 /* time-out for the verdict after our FIN */

static struct pair *pair_of(struct stream *s)
{
    return container_of(s, struct pair, stream);
}

static bool text_has(struct str text, const char *phrase)
{
    return text.len && memmem(text.at, text.len, phrase, strlen(phrase));
}

/* Knows the texts of containerd, CRI-O and cri-dockerd. */
enum verdict pair_classify(struct str text)
{
    static const char *const gone[] = {
        "network namespace for sandbox",
        "failed to find sandbox",
        "is not running",
        "PodSandbox with ID starting with",
        "sandbox container is not running",
    };
    static const char *const refused[] = {
        "connection refused",
        "Connection refused",
        "failed to connect to localhost",
    };

    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        if (text_has(text, gone[i]))
            return V_TARGET_GONE;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (text_has(text, refused[i]))
            return V_REFUSED;
    return V_RESET;
}

static struct str after(struct str text, const char *phrase)
{
    const char *at = text.len ? memmem(text.at, text.len, phrase, strlen(phrase)) : NULL;
    return at ? str_skip(text, (size_t)(at - text.at) + strlen(phrase))
              : (struct str){ NULL, 0 };
}

struct str pair_reason(struct str text)
{
    struct str cause = after(after(text, ", uid "), ": ");
    if (str_empty(cause))
        return text;
    struct str inner = after(cause, "\": ");
    bool wrapped = str_starts(cause, STR("failed to execute portforward in network"));
    return wrapped && !str_empty(inner) ? inner : cause;
}

static enum verdict pair_verdict(const struct pair *p)
{
    enum verdict v = V_RESET;
    if (p->text_len)
        v = pair_classify((struct str){ p->text, p->text_len });
    else if (p->data_done && p->error_done && !p->reset)
        v = V_CLEAN;
    bool undelivered = v == V_REFUSED || v == V_TARGET_GONE;
    return undelivered && p->answered ? V_RESET : v;
}

static bool is_settled(const struct pair *p)
{
    if (p->text_len || p->reset)
        return p->error_done || p->reset;
    return p->data_done && p->error_done;
}

bool pair_target_is_gone(const struct pair *p)
{
    struct str text = { p->text, p->text_len };
    return p->text_len && pair_classify(pair_reason(text)) == V_TARGET_GONE;
}

/* False on a shared tunnel, where credit limits the frames, unless it was exceeded. */
bool pair_worker_queue_may_be_full(const struct pair *p)
{
    bool has_credit = p->kept_in_all && !p->without_credit;
    return !has_credit && p->unanswered > UNANSWERED_MAX;
}

void pair_on_frame(struct pair *p)
{
    p->unanswered++;
    p->overran = p->overran || pair_worker_queue_may_be_full(p);
}

void pair_set_lent(struct pair *p, bool lent)
{
    if (!p->owner || p->lent == lent)
        return;
    p->lent = lent;
    p->owner->ops->lent(p->owner, p);
}

void pair_on_moved(struct pair *p, size_t n)
{
    bool was_large = pair_is_large(p);
    p->moved += n;
    if (!was_large && pair_is_large(p))
        p->owner->ops->large(p->owner);
}

void pair_account(struct pair *p)
{
    size_t *all = p->kept_in_all;
    if (!all)
        return;
    if (p->stream.in.len < p->counted)
        p->taken += p->counted - p->stream.in.len;
    *all += p->stream.in.len;
    *all -= p->counted;
    p->counted = p->stream.in.len;
}

/* The owner may destroy the pair. */
static void settle(struct pair *p)
{
    if (!pair_is_open(p))
        return;
    enum verdict v = pair_verdict(p);
    struct str reason = pair_reason((struct str){ p->text, p->text_len });
    char text[PAIR_TEXT_MAX + 1];
    memcpy(text, reason.at, reason.len);
    text[reason.len] = '\0';
    timer_stop(&p->verdict_due);
    stream_end(&p->stream, v, p->text_len ? text : v == V_CLEAN ? NULL : "reset");
    task_wake(p->owner->flush); /* the flush sends its FIN */
    p->owner->ops->settled(p->owner, p);
}

static void on_verdict_due(struct timer *timer)
{
    struct pair *p = container_of(timer, struct pair, verdict_due);
    if (!p->owner->ops->is_reading(p->owner)) { /* it may wait unread in the transport */
        timer_set(&p->verdict_due, VERDICT_MS);
        return;
    }
    p->reset = true;
    settle(p);
}

static void expect_verdict(struct pair *p, uint64_t ms)
{
    uint64_t at = p->verdict_due.sched->now + ms;
    if (!p->verdict_due.at || at < p->verdict_due.at)
        timer_set_at(&p->verdict_due, at);
}

static void on_part_of_end(struct pair *p)
{
    task_wake(p->owner->flush);
    if (is_settled(p))
        settle(p);
    else
        expect_verdict(p, VERDICT_MS);
}

void pair_on_reply(struct pair *p)
{
    p->stream.end.opened = true;
}

void pair_on_text(struct pair *p, const uint8_t *bytes, size_t n)
{
    size_t room = sizeof(p->text) - p->text_len;
    size_t part = n < room ? n : room;
    memcpy(p->text + p->text_len, bytes, part);
    p->text_len += part;
    on_part_of_end(p);
}

void pair_on_fin(struct pair *p, uint32_t stream_id)
{
    if (stream_id == p->error_id)
        p->error_done = true;
    else
        p->data_done = true;
    on_part_of_end(p);
}

void pair_on_reset(struct pair *p, uint32_t stream_id)
{
    p->reset = true;
    pair_on_fin(p, stream_id);
}

void pair_fail(struct pair *p, const char *why)
{
    p->reset = true;
    timer_stop(&p->verdict_due);
    stream_end(&p->stream, V_RESET, why);
    task_wake(p->owner->flush);
}

void pair_give_up_idle(struct pair *p)
{
    if (!p->lent && !p->closed && pair_is_open(p))
        stream_end(&p->stream, V_TRANSPORT_LOST, "its tunnel may be blocked");
}

void pair_on_tunnel_lost(struct pair *p, const char *why)
{
    pair_set_lent(p, false);
    list_remove(&p->in_owner);
    p->owner = NULL;
    if (p->closed) {
        pair_destroy(p);
        return;
    }
    timer_stop(&p->verdict_due);
    stream_end(&p->stream, V_TRANSPORT_LOST, why);
}

bool pair_may_send(const struct pair *p)
{
    return !p->data_done && !p->fin_sent && !p->closed && pair_is_open(p);
}

/* Our FIN is sent when the user shuts or closes the pair, or when the far end has ended: a byte
 * after the far end's FIN would stop a worker of the runtime for ever. */
bool pair_needs_fin(const struct pair *p)
{
    if (p->fin_sent)
        return false;
    return p->closed || p->data_done || !pair_is_open(p) ||
           (p->stream.shut && bufq_empty(&p->stream.out));
}

static void pair_update(struct stream *s)
{
    struct pair *p = pair_of(s);
    pair_account(p);
    if (!p->owner)
        return;
    task_wake(p->owner->read); /* bytes in the transport may have room now */
    task_wake(p->owner->flush);
}

/* Send FIN; the pair waits for its verdict and is then destroyed. */
static void pair_close(struct stream *s)
{
    struct pair *p = pair_of(s);

    s->wake = NULL;
    p->closed = true;
    pair_set_lent(p, false);
    bufq_clear(&s->in);
    pair_account(p);
    bufq_clear(&s->out);
    if (!p->owner) {
        pair_destroy(p);
        return;
    }
    task_wake(p->owner->read);
    if (pair_is_open(p))
        expect_verdict(p, LATE_MS);
    task_wake(p->owner->flush);
}

/* If other pairs use the tunnel, close the pair with a FIN: without one the pod would continue
 * to send on this tunnel. */
static void pair_abort(struct stream *s)
{
    struct pair *p = pair_of(s);

    if (!p->owner || !pair_is_open(p) || !p->owner->ops->may_abort(p->owner, p)) {
        pair_close(s);
        return;
    }
    s->wake = NULL;
    stream_end(s, V_RESET, NULL);
    pair_set_lent(p, false);
    p->owner->ops->aborted(p->owner, p);
}

static bool pair_is_reusable(const struct stream *s)
{
    const struct pair *p = container_of(s, const struct pair, stream);
    return p->owner && p->owner->ops->is_reusable(p->owner);
}

static bool pair_is_free(const struct stream *s, bool alone)
{
    const struct pair *p = container_of(s, const struct pair, stream);
    return p->owner && p->owner->ops->is_free(p->owner, alone);
}

static void pair_lend(struct stream *s, bool lent)
{
    struct pair *p = pair_of(s);

    pair_set_lent(p, lent);
    p->moved = 0;
    p->without_credit = p->overran = false;
    if (p->owner && !lent)
        p->owner->ops->returned(p->owner);
}

static void pair_set_alone(struct stream *s, bool alone)
{
    assert(!pair_of(s)->lent);
    pair_of(s)->alone = alone;
}

static const struct stream_ops pair_ops = {
    .update = pair_update,
    .close = pair_close,
    .abort = pair_abort,
    .lend = pair_lend,
    .set_alone = pair_set_alone,
    .is_reusable = pair_is_reusable,
    .is_free = pair_is_free,
};

struct pair *pair_create(struct pair_owner *owner, const struct spdy_pair *ids,
                         struct chunk_pool *pool, size_t *kept_in_all)
{
    struct pair *p = xcalloc(1, sizeof(*p));
    stream_init(&p->stream, &pair_ops, pool, PAIR_IN_LIMIT, PAIR_OUT_LIMIT);
    timer_init(&p->verdict_due, owner->flush->sched, on_verdict_due);
    list_init(&p->in_owner);
    p->owner = owner;
    p->error_id = ids->error_id;
    p->data_id = ids->data_id;
    p->port = ids->port;
    p->kept_in_all = kept_in_all;
    return p;
}

void pair_destroy(struct pair *p)
{
    timer_stop(&p->verdict_due);
    list_remove(&p->in_owner);
    bufq_clear(&p->stream.in);
    pair_account(p);
    stream_finish(&p->stream);
    free(p);
}
