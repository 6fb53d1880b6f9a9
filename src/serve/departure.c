/* serve/departure.c - has the client of a raw connection gone? */
#include "serve/departure.h"

#include "base/own.h"

#define LINGER_MS 10000 /* while no byte moves */

static void on_linger(struct timer *timer)
{
    task_wake(container_of(timer, struct departure, linger)->wake);
}

void departure_init(struct departure *d, struct sched *sched, struct task *wake)
{
    *d = (struct departure){ .wake = wake };
    timer_init(&d->linger, sched, on_linger);
}

bool departure_check(struct departure *d, const struct stream *client)
{
    if (client->in_eof || client->paused || bufq_full(&client->in))
        peer_watch_start(&d->peer, client, d->wake);
    return d->peer.gone;
}

bool departure_lingers(struct departure *d, uint64_t passed)
{
    uint64_t now = d->wake->sched->now;

    if (d->peer.reset)
        return false;
    if (!d->linger_until || passed != d->lingered) {
        d->lingered = passed;
        d->linger_until = now + LINGER_MS;
        timer_set_at(&d->linger, d->linger_until);
    }
    return now < d->linger_until;
}

void departure_stop(struct departure *d)
{
    peer_watch_stop(&d->peer);
    timer_stop(&d->linger);
}
