#include "serve/outside.h"

#include "base/own.h"
#include "http/h1.h"
#include "net/outside_dial.h"
#include "route/route.h"
#include "serve/serve_state.h"

LOG_MODULE(serve);

struct outside {
    struct serve *serve;
    struct lease *lease;
    struct task *wake; /* of the lease's user */
    struct task dialled;
    struct outside_dial dial;
    struct h1_client h1;
};

static void hold_outside(struct outside *o)
{
    struct lease *lease = o->lease;

    lease->stream = TAKE(o->dial.stream);
    lease->stream->wake = o->wake;
    stream_set_patience(lease->stream, o->serve->config->ping_timeout_ms);
    h1_client_begin(&o->h1, lease->stream);
    lease->message = &o->h1.message;
}

static void note_dialled(struct outside *o)
{
    struct lease *lease = o->lease;

    lease->result = o->dial.result;
    lease->why = o->dial.why;
    if (!lease->result)
        hold_outside(o);
    log_debug(lease->via, "connection outside the cluster",
              LOG_S("result", lease->result ? lease->why.text : "connected"));
}

static void outside_on_dialled(struct task *task)
{
    struct outside *o = container_of(task, struct outside, dialled);

    note_dialled(o);
    task_wake(o->wake);
}

void outside_lease(struct serve *s, const struct route *route, struct lease *lease,
                   struct task *wake)
{
    struct outside *o = xcalloc(1, sizeof(*o));
    const struct config *c = s->config;

    o->serve = s;
    o->lease = lease;
    o->wake = wake;
    task_init(&o->dialled, s->sched, RANK_READ, outside_on_dialled);
    h1_client_init(&o->h1, (struct h1_limits){ c->max_head_size, c->max_head_fields });
    lease->outside = o;
    lease->via = (struct log_id){ .kind = 'o', .number = ++s->next_outside };
    lease->port = route->port;
    lease->result = ERR_AGAIN;
    outside_dial_start(&o->dial, s->outside, route->name.text, route->port,
                       c->dial_timeout_ms, &o->dialled);
    if (o->dial.result != ERR_AGAIN)
        task_wake(&o->dialled);
}

void outside_lease_move(struct lease *from, struct lease *to, struct task *wake)
{
    struct outside *o = from->outside;

    *to = *from;
    *from = (struct lease){ 0 };
    o->lease = to;
    o->wake = wake;
    if (to->stream)
        to->stream->wake = wake;
}

void outside_lease_return(struct lease *lease, enum release_mode release)
{
    struct outside *o = lease->outside;

    outside_dial_finish(&o->dial);
    task_cancel(&o->dialled);
    if (release == RELEASE_ABORT)
        stream_abort(lease->stream);
    else
        stream_close(lease->stream);
    h1_client_finish(&o->h1);
    free(o);
    *lease = (struct lease){ 0 };
}
