/* control/reader.c - readers of the event stream */
#include "control/reader.h"

#include "base/bufq.h"
#include "base/log.h"
#include "base/own.h"
#include "base/rfc3339.h"
#include "control/control_state.h"
#include "control/event.h"
#include "control/history.h"
#include "control/operation.h"
#include "serve/serve.h"

LOG_MODULE(control);

#define FLUSH_MS 20
#define LOST_ROOM 64      /* for the line with the number of lost events */
#define LINE_LEAST 128    /* bytes of an event, at least */
#define FLUSH_BYTES 65536 /* so many are sent at once */

/* --- filters --- */

static enum err read_number(struct str query, const char *name, uint64_t max,
                            uint64_t *ret, struct diag *why)
{
    AUTO_FREE char *text = query_value(query, name);

    if (!text || !str_to_uint(str_of(text), max, ret))
        return OK;
    return diag_set(why, ERR_CONFIG, "%s=%.100s is not a number", name, text);
}

/* "404" or "5xx". */
static enum err read_status(struct str query, struct reader_filter *f, struct diag *why)
{
    AUTO_FREE char *text = query_value(query, "status");
    struct str s = str_of(text);
    uint64_t n;

    if (!text)
        return OK;
    if (s.len == 3 && str_ieq(str_skip(s, 1), STR("xx")) && s.at[0] >= '1' &&
        s.at[0] <= '5') {
        f->class = s.at[0] - '0';
        return OK;
    }
    if (str_to_uint(s, 599, &n) || n < 100)
        return diag_set(why, ERR_CONFIG,
                        "status=%.100s is neither a status like 404 nor a class like 5xx",
                        text);
    f->status = (int)n;
    return OK;
}

enum err reader_filter_read(struct str query, struct reader_filter *ret, struct diag *why)
{
    *ret = (struct reader_filter){ .name = query_value(query, "name"),
                                   .queries = query_flag(query, "queries"),
                                   .heads = query_flag(query, "heads"),
                                   .bodies = query_flag(query, "bodies") };
    enum err e = read_status(query, ret, why);
    if (!e)
        e = read_number(query, "slow", UINT32_MAX, &ret->slow_ms, why);
    if (e)
        free(TAKE(ret->name));
    return e;
}

/* --- publishing --- */

static void put_lost(struct reader *r)
{
    AUTO_FREE char *line = r->lost ? xasprintf("{\"type\":\"lost\",\"events\":%llu}\n",
                                               (unsigned long long)r->lost)
                                   : NULL;

    if (line && bufq_put(r->out, line, strlen(line)))
        r->lost = 0;
}

/* The loop's clock and that of the wall differ by a constant, until one is changed. */
static void compare_clocks(struct control *c)
{
    c->wall_ahead_ms = (uint64_t)wall_clock_ms() - c->sched->now;
}

/* The line that is in c->line. */
static void send_line(struct reader *r)
{
    struct control *c = r->control;

    if (r->lost && bufq_room(r->out) >= c->line.len + LOST_ROOM)
        put_lost(r);
    if (r->lost || !bufq_put(r->out, c->line.at, c->line.len))
        r->lost++;
    else if (r->out->len >= FLUSH_BYTES)
        task_wake(r->flush);
    else if (!c->flush_later.at)
        timer_set(&c->flush_later, FLUSH_MS);
}

/* For a reader that sleeps no line is written: it would be dropped. */
static bool drops(struct reader *r)
{
    bool full = r->lost && bufq_room(r->out) < LOST_ROOM + LINE_LEAST;

    r->lost += full;
    return full;
}

/* True: the reader wants it. */
static bool publish(struct reader *r, const struct request_event *e)
{
    struct control *c = r->control;

    if (!event_matches(e, &r->filter))
        return false;
    if (drops(r))
        return true;
    event_write(e, &r->filter, c->sched->now + c->wall_ahead_ms, &c->line);
    send_line(r);
    return true;
}

static void on_connection(void *owner, const struct connection_event *e)
{
    struct control *c = owner;

    list_for_each (r, &c->readers, struct reader, node) {
        if (!event_matches_connection(e, &r->filter) || drops(r))
            continue;
        event_write_connection(e, &r->filter, c->sched->now + c->wall_ahead_ms, &c->line);
        send_line(r);
    }
}

static void on_request(void *owner, const struct request_event *e)
{
    struct control *c = owner;

    bool wanted = false;

    list_for_each (r, &c->readers, struct reader, node)
        wanted |= publish(r, e);
    if (wanted && e->name->kind != NAME_OWN)
        history_add(&c->history, e);
}

static void on_flush_later(struct timer *t)
{
    struct control *c = container_of(t, struct control, flush_later);

    compare_clocks(c);
    list_for_each (r, &c->readers, struct reader, node)
        task_wake(r->flush);
}

/* --- the set of readers --- */

static void log_bodies(const struct control *c, bool before)
{
    if (c->observer.bodies == before)
        return;
    if (before)
        log_info(NO_ID, "bodies of requests are no longer recorded");
    else
        log_warn(NO_ID, "bodies of requests are recorded for a reader of events");
}

/* Copies are made only of what one of the readers wants. */
static void update_observer(struct control *c)
{
    bool before = c->observer.bodies;

    c->observer.heads = c->observer.bodies = false;
    list_for_each (r, &c->readers, struct reader, node) {
        c->observer.heads |= r->filter.heads;
        c->observer.bodies |= r->filter.bodies;
    }
    log_bodies(c, before);
    serve_observe(c->parts.serve, list_empty(&c->readers) ? NULL : &c->observer);
}

enum err reader_add(struct reader *r, struct control *c)
{
    size_t count = 0;

    list_for_each (other, &c->readers, struct reader, node)
        count++;
    if (count >= READERS_MAX)
        return ERR_LIMIT;
    r->control = c;
    compare_clocks(c);
    list_append(&c->readers, &r->node);
    update_observer(c);
    return OK;
}

void reader_end(struct reader *r)
{
    const struct str line = STR("{\"type\":\"end\"}\n");

    if (!r->control)
        return;
    put_lost(r);
    bufq_write(r->out, line.at, line.len);
}

void reader_remove(struct reader *r)
{
    struct control *c = TAKE(r->control);

    free(TAKE(r->filter.name));
    if (!c)
        return;
    list_remove(&r->node);
    update_observer(c);
}

void readers_init(struct control *c)
{
    list_init(&c->readers);
    timer_init(&c->flush_later, c->sched, on_flush_later);
    c->observer = (struct observer){ .on_request = on_request,
                                     .on_connection = on_connection,
                                     .owner = c };
    history_init(&c->history, c->sched);
}

void readers_finish(struct control *c)
{
    serve_observe(c->parts.serve, NULL);
    timer_stop(&c->flush_later);
    json_out_finish(&c->line);
    history_finish(&c->history);
}
