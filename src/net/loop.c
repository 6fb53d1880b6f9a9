#include "net/loop.h"

#include <assert.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/loop_uv.h"
#include "net/sock_diag.h"

/* How many chunks the free list of a loop keeps (16 KiB each): enough for the steady state
 * of a busy proxy, small enough to be idle with. */
#define FREE_CHUNKS 128

struct loop {
    uv_loop_t uv;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uv_timer_t wait; /* wakes the poll when the next timer of the run queue is due */
    uv_idle_t spin;  /* active while tasks have yielded: the poll must not block */
    struct sched sched;
    struct chunk_pool pool;
    int reserve;
    struct sock_diag diag;
};

struct loop_signal {
    uv_signal_t uv;
    unsigned *count;
    struct task *wake;
};

static uint64_t clock_ms(struct loop *l)
{
    return uv_now(&l->uv) + 1; /* 0 means "not set" in timers */
}

static void on_wait(uv_timer_t *timer)
{
    (void)timer;
}

static void on_spin(uv_idle_t *idle)
{
    (void)idle;
}

void loop_tick(struct loop *l)
{
    sched_tick(&l->sched, clock_ms(l));
}

static void arm(struct loop *l)
{
    uint64_t wait = sched_wait(&l->sched);

    if (wait > LOG_LAG_MS && log_pending())
        wait = LOG_LAG_MS;
    if (wait == 0)
        uv_idle_start(&l->spin, on_spin);
    else
        uv_idle_stop(&l->spin);
    if (wait != 0 && wait != UINT64_MAX)
        uv_timer_start(&l->wait, on_wait, wait, 0);
    else
        uv_timer_stop(&l->wait);
}

static void turn(struct loop *l, bool polled)
{
    sched_turn(&l->sched, clock_ms(l), polled);
    log_turn(l->sched.now);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct loop *l = container_of(prepare, struct loop, before_poll);
    turn(l, false);
    arm(l);
}

static void on_check(uv_check_t *check)
{
    turn(container_of(check, struct loop, after_poll), true);
}

static uint64_t random_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        seed = uv_hrtime();
    return seed;
}

struct loop *loop_create(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));

    if (uv_loop_init(&l->uv))
        abort(); /* only out of memory or descriptors before anything was opened */
    uv_prepare_init(&l->uv, &l->before_poll);
    uv_check_init(&l->uv, &l->after_poll);
    uv_timer_init(&l->uv, &l->wait);
    uv_idle_init(&l->uv, &l->spin);
    uv_prepare_start(&l->before_poll, on_prepare);
    uv_check_start(&l->after_poll, on_check);
    uv_unref((uv_handle_t *)&l->before_poll);
    uv_unref((uv_handle_t *)&l->after_poll);
    sched_init(&l->sched, random_seed());
    l->sched.now = clock_ms(l);
    chunk_pool_init(&l->pool, FREE_CHUNKS);
    l->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    l->diag = SOCK_DIAG_CLOSED;
    return l;
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->before_poll, NULL);
    uv_close((uv_handle_t *)&l->after_poll, NULL);
    uv_close((uv_handle_t *)&l->wait, NULL);
    uv_close((uv_handle_t *)&l->spin, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int left = uv_loop_close(&l->uv);
    assert(left == 0);
    (void)left;
    sched_finish(&l->sched);
    chunk_pool_finish(&l->pool);
    if (l->reserve >= 0)
        close(l->reserve);
    sock_diag_close(&l->diag);
    free(l);
}

struct sched *loop_sched(struct loop *l)
{
    return &l->sched;
}

struct chunk_pool *loop_pool(struct loop *l)
{
    return &l->pool;
}

int *loop_reserve(struct loop *l)
{
    return &l->reserve;
}

struct sock_diag *loop_sock_diag(struct loop *l)
{
    return &l->diag;
}

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

void loop_run(struct loop *l)
{
    uv_ref((uv_handle_t *)&l->before_poll); /* run until stopped, handles or not */
    uv_run(&l->uv, UV_RUN_DEFAULT);
    uv_unref((uv_handle_t *)&l->before_poll);
}

/* The end of a bounded wait.  The timer may fire before the poll: then the poll must not
 * block, and a yielded task is the sign of that. */
struct bound {
    struct timer timer;
    struct task end;
};

static void on_bound(struct timer *timer)
{
    task_yield(&container_of(timer, struct bound, timer)->end);
}

static void on_end(struct task *task)
{
    (void)task;
}

void loop_run_once(struct loop *l, uint64_t max_ms)
{
    struct bound bound;
    timer_init(&bound.timer, &l->sched, on_bound);
    task_init(&bound.end, &l->sched, RANK_READ, on_end);
    uv_update_time(&l->uv);
    loop_tick(l);
    timer_set(&bound.timer, max_ms);
    uv_ref((uv_handle_t *)&l->before_poll);
    uv_run(&l->uv, max_ms ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    uv_unref((uv_handle_t *)&l->before_poll);
    timer_stop(&bound.timer);
    task_cancel(&bound.end);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

static void on_signal(uv_signal_t *uv, int signum)
{
    struct loop_signal *s = container_of(uv, struct loop_signal, uv);
    (void)signum;
    (*s->count)++;
    task_wake(s->wake);
}

struct loop_signal *loop_signal_open(struct loop *l, int signum, unsigned *count,
                                     struct task *wake)
{
    struct loop_signal *s = xcalloc(1, sizeof(*s));
    s->count = count;
    s->wake = wake;
    uv_signal_init(&l->uv, &s->uv);
    uv_signal_start(&s->uv, on_signal, signum);
    uv_unref((uv_handle_t *)&s->uv);
    return s;
}

static void on_signal_closed(uv_handle_t *uv)
{
    free(container_of((uv_signal_t *)uv, struct loop_signal, uv));
}

void loop_signal_close(struct loop_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->uv, on_signal_closed);
}
