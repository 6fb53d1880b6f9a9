/* serve/first_line.c - is a client's first line an HTTP/1 request line? */
#include "serve/first_line.h"

#include "base/own.h"
#include "net/stream.h"

#define HOLD_MS 500     /* for the rest of what may be a request line */
#define HOLD_WORD_MS 50 /* ... after a word that may be its method */
#define WORD_MAX 64     /* longer methods are not written by any program */

static void on_hold(struct timer *timer)
{
    struct first_line *f = container_of(timer, struct first_line, hold);

    f->held_long = true;
    task_wake(f->wake);
}

void first_line_init(struct first_line *f, struct sched *sched, struct task *wake)
{
    *f = (struct first_line){ .is = LINE_MORE, .wake = wake };
    timer_init(&f->hold, sched, on_hold);
}

void first_line_wait(struct first_line *f, uint64_t ms)
{
    timer_set(&f->hold, ms);
}

void first_line_stop(struct first_line *f)
{
    timer_stop(&f->hold);
}

/* No browser sends a method alone, so a word that waits for a response is of another protocol. */
static uint64_t hold_ms(const struct first_line *f)
{
    bool word = f->looked <= WORD_MAX && request_line_is_word(&f->reader);
    return word ? HOLD_WORD_MS : HOLD_MS;
}

bool first_line_is_http(struct first_line *f, const struct stream *client, size_t longest)
{
    size_t seen = f->looked, n = 1;

    while (f->is == LINE_MORE && n) {
        uint8_t part[512];
        n = bufq_copy(&client->in, f->looked, part, sizeof(part));
        f->is = request_line_feed(&f->reader, part, n);
        f->looked += n;
    }
    bool more_came = f->looked != seen;
    if (f->is == LINE_MORE && (bufq_full(&client->in) || f->looked >= longest))
        f->is = LINE_HTTP1;
    else if (f->is == LINE_MORE && (client->in_eof || (f->held_long && !more_came)))
        f->is = LINE_OTHER;
    else if (f->is == LINE_MORE && more_came)
        timer_set(&f->hold, hold_ms(f));
    f->held_long = false;
    return f->is == LINE_HTTP1;
}
