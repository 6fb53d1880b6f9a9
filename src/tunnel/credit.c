#include "tunnel/credit.h"

#include <stddef.h>

/* A stuck worker may owe all its queue has room for, one of each round of five. */
_Static_assert(CREDIT_PINGS >= CREDIT_QUEUE * CREDIT_WORKERS,
               "every answer is understood");

static uint32_t frames_behind(const struct credit_worker *w)
{
    return w->sent_frames - w->taken_frames;
}

static uint32_t bytes_behind(const struct credit_worker *w)
{
    return w->sent_bytes - w->taken_bytes;
}

static bool has_room_for_ping(const struct credit_worker *w)
{
    return frames_behind(w) + w->pings < CREDIT_QUEUE;
}

static bool is_stuck(const struct credit *c, const struct credit_worker *w)
{
    if (w->pings < CREDIT_ROUNDS)
        return false;
    for (size_t i = 0; i < CREDIT_WORKERS; i++)
        if (c->workers[i].pings == 0)
            return true;
    return false;
}

bool credit_is_blind(const struct credit *c)
{
    for (size_t i = 0; i < CREDIT_WORKERS; i++)
        if (is_stuck(c, &c->workers[i]))
            return true;
    return false;
}

static bool room_for_pings(const struct credit *c)
{
    for (size_t i = 0; i < CREDIT_WORKERS; i++)
        if (!has_room_for_ping(&c->workers[i]))
            return false;
    return true;
}

/* No PING can be sent to learn more, and all that were sent to it have been answered. */
static bool goes_uncounted(const struct credit *c, const struct credit_worker *w)
{
    return credit_is_blind(c) && w->pings == 0 && !room_for_pings(c);
}

void credit_begin(struct credit *c, uint32_t pings)
{
    c->pings = c->first_ping = pings;
}

void credit_on_data(struct credit *c, unsigned worker, uint32_t bytes)
{
    struct credit_worker *w = &c->workers[worker];
    bool uncounted = goes_uncounted(c, w);

    w->sent_frames++;
    w->sent_bytes += bytes;
    if (uncounted) {
        w->taken_frames++;
        w->taken_bytes += bytes;
    }
}

void credit_on_ping(struct credit *c)
{
    struct credit_worker *w = &c->workers[c->pings % CREDIT_WORKERS];

    c->marks[c->pings % CREDIT_PINGS] =
        (struct credit_mark){ w->sent_frames, w->sent_bytes };
    w->asked_frames = w->sent_frames;
    w->asked_bytes = w->sent_bytes;
    w->pings++;
    c->pings++;
}

void credit_on_pong(struct credit *c, uint32_t number)
{
    struct credit_worker *w = &c->workers[number % CREDIT_WORKERS];
    const struct credit_mark *mark = &c->marks[number % CREDIT_PINGS];

    if (number >= c->pings || number < c->first_ping ||
        c->pings - number > CREDIT_PINGS || !w->pings)
        return;
    w->pings--;
    /* An answer may already have proven more. */
    if (mark->frames - w->taken_frames <= frames_behind(w))
        w->taken_frames = mark->frames;
    if (mark->bytes - w->taken_bytes <= bytes_behind(w))
        w->taken_bytes = mark->bytes;
}

void credit_on_answer(struct credit *c, unsigned worker)
{
    struct credit_worker *w = &c->workers[worker];
    if (bytes_behind(w) < CREDIT_ANSWER_BYTES)
        w->taken_frames = w->sent_frames;
}

bool credit_allows(const struct credit *c, unsigned worker)
{
    const struct credit_worker *w = &c->workers[worker];
    uint32_t behind = frames_behind(w);

    if (behind < CREDIT_FRAMES && behind + w->pings < CREDIT_QUEUE)
        return true;
    return goes_uncounted(c, w);
}

static bool all_rounds_are_out(const struct credit *c)
{
    for (size_t i = 0; i < CREDIT_WORKERS; i++)
        if (c->workers[i].pings >= CREDIT_ROUNDS)
            return true;
    return false;
}

/* Called in every turn of every shared tunnel, so what is mostly false comes first. */
bool credit_wants_pings(const struct credit *c, unsigned worker)
{
    const struct credit_worker *w = &c->workers[worker];
    bool much = w->sent_bytes - w->asked_bytes >= CREDIT_ASK_BYTES;

    if ((frames_behind(w) < CREDIT_ASK_FRAMES && !much) || !room_for_pings(c))
        return false;
    if (all_rounds_are_out(c)) /* what is left is for a worker that is at its limit */
        return w->pings == 0 && frames_behind(w) >= CREDIT_FRAMES;
    return much || w->sent_frames - w->asked_frames >= CREDIT_ASK_FRAMES;
}
