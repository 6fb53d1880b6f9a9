#include "tunnel/credit.h"

#include <stddef.h>

/* Each round has one PING for a stuck worker, and its queue limits how many rounds are sent. */
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

bool credit_has_stuck_worker(const struct credit *c)
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

/* No further PING can be sent, since another worker is stuck, and all PINGs of this worker
 * were answered: frames to it are not counted. */
static bool skips_counting(const struct credit *c, const struct credit_worker *w)
{
    return credit_has_stuck_worker(c) && w->pings == 0 && !room_for_pings(c);
}

void credit_begin(struct credit *c, uint32_t pings)
{
    c->pings = c->first_ping = pings;
}

void credit_on_data(struct credit *c, unsigned worker, uint32_t bytes)
{
    struct credit_worker *w = &c->workers[worker];
    bool uncounted = skips_counting(c, w);

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
    w->pinged_frames = w->sent_frames;
    w->pinged_bytes = w->sent_bytes;
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
    /* credit_on_answer may have proven more already. */
    if (mark->frames - w->taken_frames <= frames_behind(w))
        w->taken_frames = mark->frames;
    if (mark->bytes - w->taken_bytes <= bytes_behind(w))
        w->taken_bytes = mark->bytes;
}

void credit_on_answer(struct credit *c, unsigned worker)
{
    struct credit_worker *w = &c->workers[worker];
    if (bytes_behind(w) < CREDIT_PROVEN_BYTES)
        w->taken_frames = w->sent_frames;
}

bool credit_allows(const struct credit *c, unsigned worker)
{
    const struct credit_worker *w = &c->workers[worker];
    uint32_t behind = frames_behind(w);

    if (behind < CREDIT_FRAMES && behind + w->pings < CREDIT_QUEUE)
        return true;
    return skips_counting(c, w);
}

static bool rounds_are_exhausted(const struct credit *c)
{
    for (size_t i = 0; i < CREDIT_WORKERS; i++)
        if (c->workers[i].pings >= CREDIT_ROUNDS)
            return true;
    return false;
}

/* Called in every turn of every shared tunnel, so the condition that is mostly false is
 * checked first. */
bool credit_wants_pings(const struct credit *c, unsigned worker)
{
    const struct credit_worker *w = &c->workers[worker];
    bool much = w->sent_bytes - w->pinged_bytes >= CREDIT_PING_BYTES;

    if ((frames_behind(w) < CREDIT_PING_FRAMES && !much) || !room_for_pings(c))
        return false;
    if (rounds_are_exhausted(c)) /* further rounds only for a worker without credit */
        return w->pings == 0 && frames_behind(w) >= CREDIT_FRAMES;
    return much || w->sent_frames - w->pinged_frames >= CREDIT_PING_FRAMES;
}
