#include "playground/pods/tcp.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/drop.h"

/* a server that never reads must check whether its client has closed */
#define STUCK_LOOK_MS 1000

struct guest {
    struct pod_connection base;
    void (*run)(struct guest *g);
    uint64_t got;
    struct timer look;
};

static void guest_destroy(struct pod_connection *c)
{
    struct guest *g = container_of(c, struct guest, base);
    timer_stop(&g->look);
    pod_connection_finish(c);
    free(g);
}

static void guest_work(struct task *task)
{
    struct guest *g = container_of(task, struct guest, base.work);
    struct stream *s = g->base.stream;

    if (!s->broken)
        g->run(g);
    if (s->broken || s->out_eof)
        guest_destroy(&g->base);
    else
        stream_update(s);
}

static void on_look(struct timer *timer)
{
    struct guest *g = container_of(timer, struct guest, look);

    if (drop_was_left(drop_fd(g->base.stream)))
        guest_destroy(&g->base);
    else
        timer_set(&g->look, STUCK_LOOK_MS);
}

static struct guest *guest_create(struct loop *l, struct pod *pod, struct stream *s,
                                  void (*run)(struct guest *))
{
    struct guest *g = xcalloc(1, sizeof(*g));
    g->run = run;
    timer_init(&g->look, loop_sched(l), on_look);
    pod_connection_init(&g->base, l, pod, s, guest_work, guest_destroy);
    return g;
}

static bool at_end(const struct stream *s)
{
    return s->in_eof && bufq_empty(&s->in);
}

static void run_echo(struct guest *g)
{
    struct stream *s = g->base.stream;
    bufq_move(&s->out, &s->in);
    if (at_end(s))
        stream_shutdown(s);
}

static void run_sink(struct guest *g)
{
    struct stream *s = g->base.stream;
    bufq_clear(&s->in);
    if (at_end(s))
        stream_shutdown(s);
}

static void run_stuck(struct guest *g)
{
    g->base.stream->paused = true;
}

static void run_late(struct guest *g)
{
    struct stream *s = g->base.stream;
    char line[48];

    g->got += s->in.len;
    bufq_clear(&s->in);
    if (!at_end(s) || s->shut)
        return;
    int n = snprintf(line, sizeof(line), "got %llu\n", (unsigned long long)g->got);
    bufq_write(&s->out, line, (size_t)n);
    stream_shutdown(s);
}

static void run_greeting(struct guest *g)
{
    struct stream *s = g->base.stream;
    char line[128];

    if (!g->got++) {
        int n = snprintf(line, sizeof(line), "220 %.100s hello\r\n", g->base.pod->name);
        bufq_write(&s->out, line, (size_t)n);
    }
    run_sink(g);
}

void tcp_serve_echo(struct loop *l, struct pod *pod, struct stream *s)
{
    guest_create(l, pod, s, run_echo);
}

void tcp_serve_sink(struct loop *l, struct pod *pod, struct stream *s)
{
    guest_create(l, pod, s, run_sink);
}

void tcp_serve_stuck(struct loop *l, struct pod *pod, struct stream *s)
{
    struct guest *g = guest_create(l, pod, s, run_stuck);
    timer_set(&g->look, STUCK_LOOK_MS);
}

void tcp_serve_late(struct loop *l, struct pod *pod, struct stream *s)
{
    guest_create(l, pod, s, run_late);
}

void tcp_serve_greeting(struct loop *l, struct pod *pod, struct stream *s)
{
    guest_create(l, pod, s, run_greeting);
}

void tcp_serve_reset(struct loop *l, struct pod *pod, struct stream *s)
{
    (void)l;
    (void)pod;
    stream_abort(s);
}
