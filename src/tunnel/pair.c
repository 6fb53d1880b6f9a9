#include "tunnel/pair.h"

#include <assert.h>

#include "base/log.h"
#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/pod.h"
#include "tunnel/worker_slots.h"
#include "tunnel/share.h"

LOG_MODULE(tunnel);

#define UNHEARD_MAX 40 /* frames; a worker's queue has room for 50 */

/* How long after one of the two streams ended the other may stay silent.  The runtime
 * closes both within a second of each other. */
#define VERDICT_MS 2000
#define LATE_MS 10000 /* ... and for a pod to take what was said before our FIN */

static struct pair *pair_of(struct stream *s)
{
    return container_of(s, struct pair, stream);
}

static bool text_has(struct str text, const char *phrase)
{
    return text.len && memmem(text.at, text.len, phrase, strlen(phrase));
}

/* The words of containerd, CRI-O and cri-dockerd (facts: portforward section 2.3). */
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

static enum verdict judge(const struct pair *p)
{
    enum verdict v = V_RESET;
    if (p->text_len)
        v = pair_classify((struct str){ p->text, p->text_len });
    else if (p->data_done && p->error_done && !p->reset)
        v = V_CLEAN;
    bool undelivered = v == V_REFUSED || v == V_TARGET_GONE;
    return undelivered && p->delivered ? V_RESET : v;
}

static bool settled(const struct pair *p)
{
    if (p->text_len || p->reset)
        return p->error_done || p->reset;
    return p->data_done && p->error_done;
}

bool pair_may_have_buried_its_worker(const struct pair *p)
{
    bool braked = p->tunnel->share && !p->unbraked; /* there credit sees to it */
    return !braked && p->unheard > UNHEARD_MAX;
}

void pair_set_lent(struct pair *p, bool lent)
{
    if (!p->tunnel || p->lent == lent)
        return;
    p->lent = lent;
    pod_on_lent(p->tunnel->pod, lent, p->alone);
    if (!lent)
        coalesce_on_end(p);
}

void pair_gone(struct pair *p)
{
    if (pair_may_have_buried_its_worker(p))
        tunnel_retire(p->tunnel);
    tunnel_on_pair_gone(p->tunnel, p);
    pair_destroy(p);
}

static void settle(struct pair *p)
{
    if (p->stream.end.verdict != V_OPEN)
        return;
    enum verdict v = judge(p);
    struct str reason = pair_reason((struct str){ p->text, p->text_len });
    char text[PAIR_TEXT_MAX + 1];
    memcpy(text, reason.at, reason.len);
    text[reason.len] = '\0';
    timer_stop(&p->verdict_due);
    if (v != V_CLEAN)
        log_debug(p->tunnel->id, "pair failed", LOG_U("pair", p->data_id),
                  LOG_S("reason", p->text_len ? text : "reset"));
    stream_end(&p->stream, v, p->text_len ? text : v == V_CLEAN ? NULL : "reset");
    if (v == V_REFUSED)
        ports_on_refusal(&p->tunnel->pod->ports, p->port);
    if (p->text_len && pair_classify(reason) == V_TARGET_GONE)
        pod_on_sandbox_gone(p->tunnel->pod);
    task_wake(&p->tunnel->flush); /* it may owe a FIN, or be gone with it */
    if (p->proves)
        task_wake(&p->tunnel->step); /* others may join now */
    if (p->parted)
        pair_gone(p);
}

static void on_verdict_due(struct timer *timer)
{
    struct pair *p = container_of(timer, struct pair, verdict_due);
    if (!tunnel_is_reading(p->tunnel)) { /* the verdict may lie there */
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

static void ended(struct pair *p)
{
    task_wake(&p->tunnel->flush);
    if (settled(p))
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
    ended(p);
}

void pair_on_fin(struct pair *p, uint32_t stream_id)
{
    if (stream_id == p->error_id)
        p->error_done = true;
    else
        p->data_done = true;
    ended(p);
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
    task_wake(&p->tunnel->flush);
}

void pair_on_tunnel_lost(struct pair *p, const char *why)
{
    timer_stop(&p->verdict_due);
    stream_end(&p->stream, V_TRANSPORT_LOST, why);
}

bool pair_may_send(const struct pair *p)
{
    return !p->data_done && !p->fin_sent && !p->left && p->stream.end.verdict == V_OPEN;
}

/* Our half ends when the user says so, when the far end has ended (never a byte after
 * that: it would stop a worker of the runtime for ever), or when nobody is left. */
bool pair_owes_fin(const struct pair *p)
{
    if (p->fin_sent)
        return false;
    return p->left || p->data_done || p->stream.end.verdict != V_OPEN ||
           (p->stream.shut && bufq_empty(&p->stream.out));
}

static void pair_update(struct stream *s)
{
    struct pair *p = pair_of(s);
    share_account(p);
    if (!p->tunnel)
        return;
    task_wake(&p->tunnel->step); /* room for bytes that wait in the transport */
    task_wake(&p->tunnel->flush);
}

/* The user is done: say FIN and wait, without it, for the verdict.  A connection that was
 * only kept ends no use of its tunnel: the idle time goes on. */
static void pair_close(struct stream *s)
{
    struct pair *p = pair_of(s);
    bool was_lent = p->lent;

    s->wake = NULL;
    p->left = true;
    pair_set_lent(p, false);
    bufq_clear(&s->in);
    share_account(p);
    bufq_clear(&s->out);
    if (!p->tunnel) {
        pair_destroy(p);
        return;
    }
    if (was_lent)
        tunnel_used(p->tunnel);
    task_wake(&p->tunnel->step);
    if (s->end.verdict == V_OPEN)
        expect_verdict(p, LATE_MS);
    task_wake(&p->tunnel->flush);
}

static bool has_others(const struct pair *p)
{
    list_for_each (other, &p->tunnel->pairs, struct pair, in_tunnel)
        if (other != p && !other->left)
            return true;
    return false;
}

/* Where others use the tunnel, a FIN has to tell the pod that nobody listens any more: it
 * would go on sending into their tunnel for ever. */
static void pair_abort(struct stream *s)
{
    struct pair *p = pair_of(s);
    struct tunnel *t = p->tunnel;

    if (!t || s->end.verdict != V_OPEN || has_others(p)) {
        pair_close(s);
        return;
    }
    s->wake = NULL;
    stream_end(s, V_RESET, NULL);
    pair_set_lent(p, false);
    pair_gone(p);
    task_wake(&t->flush); /* nobody is slow any more */
    if (slots_have_delivered(t))
        tunnel_close(t, ERR_CANCELLED, "a connection was aborted with undelivered data");
    else
        tunnel_retire(t); /* closes once that is so */
}

static bool pair_is_reusable(const struct stream *s)
{
    const struct pair *p = container_of(s, const struct pair, stream);

    return p->tunnel && !p->tunnel->retired && !p->tunnel->pod->gone &&
           !coalesce_leaves(p->tunnel);
}

static bool pair_is_free(const struct stream *s, bool alone)
{
    const struct pair *p = container_of(s, const struct pair, stream);

    if (!p->tunnel)
        return false;
    return p->tunnel->share ? !alone && share_welcomes(p->tunnel)
                            : !tunnel_in_use(p->tunnel);
}

static void pair_lend(struct stream *s, bool lent)
{
    struct pair *p = pair_of(s);

    pair_set_lent(p, lent);
    p->moved = 0;
    p->unbraked = false;
    if (!p->tunnel)
        return;
    if (!lent)
        coalesce_convert(p->tunnel);
    tunnel_used(p->tunnel);
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

struct pair *pair_create(struct tunnel *t, const struct spdy_pair *ids)
{
    struct pair *p = xcalloc(1, sizeof(*p));
    stream_init(&p->stream, &pair_ops, loop_pool(t->origin->loop), PAIR_IN_LIMIT,
                PAIR_OUT_LIMIT);
    timer_init(&p->verdict_due, t->step.sched, on_verdict_due);
    p->tunnel = t;
    p->error_id = ids->error_id;
    p->data_id = ids->data_id;
    p->port = ids->port;
    p->kept_in_all = t->share ? t->origin->kept_for_slow : NULL;
    list_append(&t->pairs, &p->in_tunnel);
    return p;
}

void pair_destroy(struct pair *p)
{
    timer_stop(&p->verdict_due);
    list_remove(&p->in_tunnel);
    bufq_clear(&p->stream.in);
    share_account(p);
    stream_finish(&p->stream);
    free(p);
}
