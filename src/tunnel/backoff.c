#include "tunnel/backoff.h"

#define BACKOFF_MS 50u
#define BACKOFF_MAX_MS 400u
#define RETRY_AFTER_MAX_MS 30000u

static uint64_t pause_ms(struct sched *s, uint32_t failures)
{
    uint64_t ms = failures < 4 ? BACKOFF_MS << failures : BACKOFF_MAX_MS;
    return ms - ms / 4 + sched_random_below(s, ms / 2);
}

/* Limited, since a Retry-After of a day would stop everything for a day, for a reason that
 * users would not see. */
static uint64_t retry_after_ms(const struct api_error *error)
{
    uint64_t ms = (uint64_t)error->retry_after * 1000;
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

void backoff_on_failure(struct backoff *b, struct sched *s, const struct api_error *error)
{
    uint64_t asked = s->now + retry_after_ms(error);
    bool outranked = s->now < b->retry_after_until && !error->retry_after;

    if (s->now >= b->not_before)
        b->not_before = s->now + pause_ms(s, b->failures++);
    if (b->retry_after_until < asked)
        b->retry_after_until = asked;
    if (b->not_before < b->retry_after_until)
        b->not_before = b->retry_after_until;
    if (!outranked)
        b->last_error = *error;
}

void backoff_on_shared_failure(struct backoff *b, struct sched *s,
                               const struct api_error *error)
{
    if (s->now < b->not_before)
        return;
    b->not_before = s->now + pause_ms(s, b->failures++);
    b->last_error = *error;
}

void backoff_on_success(struct backoff *b, const struct sched *s)
{
    b->failures = 0;
    b->not_before = s->now < b->retry_after_until ? b->retry_after_until : 0;
}

const struct api_error *backoff_reason(const struct backoff *b, const struct sched *s)
{
    return s->now < b->not_before ? &b->last_error : NULL;
}
