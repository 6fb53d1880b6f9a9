/* tests/fuzz/catalog_fuzz.c - an API server that answers anything, up to the catalog
 *
 * The real kube/ and catalog/ on a scripted net/transfer.h.  Each line of the input is a step:
 *
 *     a0200   the oldest open request (0) is answered with the status 200
 *     d0{...  ... and this body
 *     e0      ... which ends
 *     x0      ... or is reset
 *     lshop/web, pshop/db-0, yshop/web    a look-up of a service, a pod, a Deployment
 *     n       a dial has shown that the first pod of a look-up is missing
 *     t5      five tenths of a second pass
 *
 * Whatever is answered: every entry of the catalog is consistent, a look-up ends with a
 * service or an error, and at the end all memory is free.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/catalog.h"
#include "kube/target.h"
#include "net/transfer.h"

#define OPEN_MAX                                                                         \
    256 /* two watches for each scope and each service that is watched by itself */
#define QUESTIONS 4

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* ---- in the place of net/transfer.h ---- */

struct scripted {
    struct transfer transfer;
    struct task *wake;
};

static struct loop *loop;
static struct scripted *open_now[OPEN_MAX]; /* the oldest first, no gaps */

struct transfer *transfer_open(struct transfers *t, const struct transfer_request *r,
                               struct task *wake)
{
    struct scripted *s = xcalloc(1, sizeof(*s));
    (void)t;

    s->wake = wake;
    s->transfer.result = ERR_AGAIN;
    bufq_init(&s->transfer.body, loop_pool(loop), r->body_limit);
    for (size_t i = 0; i < OPEN_MAX; i++) {
        if (open_now[i])
            continue;
        open_now[i] = s;
        return &s->transfer;
    }
    abort(); /* no question needs more than four, and there are 17 scopes and 50 services */
}

void transfer_resume(struct transfer *x)
{
    (void)x;
}

void transfer_close(struct transfer *x)
{
    size_t i = 0;

    if (!x)
        return;
    while (&open_now[i]->transfer != x)
        i++;
    bufq_finish(&x->body);
    free(open_now[i]);
    for (; i + 1 < OPEN_MAX; i++)
        open_now[i] = open_now[i + 1];
    open_now[i] = NULL;
}

/* ---- what holds ---- */

static struct catalog *catalog;
static struct task wake;
static struct lookup questions[QUESTIONS];
static size_t asked;

static void check_service(const struct service *s)
{
    assert(s->refs > 0 && s->ns && s->name);
    for (size_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint *e = s->endpoints[i];
        assert(e->pod && e->uid && e->key && e->ns);
        assert(!(e->ready && e->terminating));
        assert(!endpoint_port(s, e, s->port_count));
    }
}

static void count_service(void *owner, const struct service *s)
{
    (*(size_t *)owner)++;
    check_service(s);
}

static void check_all(void)
{
    size_t count = 0;

    catalog_each(catalog, count_service, &count);
    assert(count <= catalog_count(catalog)); /* some wait until their pods are listed */
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct lookup *l = &questions[i];
        assert((l->result == OK && l->wake) == (l->service != NULL));
        if (l->service)
            check_service(l->service);
        else if (l->result && l->result != ERR_AGAIN && l->result != ERR_CANCELLED)
            assert(l->error.code == l->result);
    }
}

static void on_gone(void *owner, const char *pod_key)
{
    assert(!owner && pod_key[0]);
}

static void on_change(void *owner, const struct service *before,
                      const struct service *after)
{
    assert(!owner && (before || after));
}

/* ---- the steps ---- */

static void on_wake(struct task *task)
{
    (void)task;
}

static void pass(uint64_t ms)
{
    struct sched *s = loop_sched(loop);
    uint64_t until = s->now + ms;

    sched_run(s, s->now);
    for (uint64_t wait; (wait = sched_wait(s)) <= until - s->now;)
        sched_run(s, s->now + wait);
    sched_run(s, until);
}

static struct scripted *find_open(struct str *line)
{
    size_t i = line->len ? (size_t)(line->at[0] - '0') : 0;

    *line = str_skip(*line, 1);
    return i < OPEN_MAX ? open_now[i] : NULL;
}

static void begin_answer(struct scripted *s, struct str status)
{
    uint64_t number = 200;

    if (s->transfer.status)
        return;
    if (str_to_uint(status, 599, &number) || number < 100)
        number = 200;
    s->transfer.status = (int)number;
}

static void end_answer(struct scripted *s, enum err result)
{
    if (!result)
        begin_answer(s, STR("200"));
    s->transfer.result = result;
    if (result)
        diag_set(&s->transfer.why, result, "so it ended");
}

static void answer(char what, struct str rest)
{
    struct scripted *s = find_open(&rest);

    if (!s || s->transfer.result != ERR_AGAIN)
        return;
    if (what == 'a')
        begin_answer(s, rest);
    if (what == 'd') {
        begin_answer(s, STR("200"));
        bufq_write(&s->transfer.body, rest.at, rest.len);
    }
    if (what == 'e' || what == 'x')
        end_answer(s, what == 'e' ? OK : ERR_RESET);
    task_wake(s->wake);
}

static void look_up(char what, struct str rest)
{
    struct lookup *l = &questions[asked++ % QUESTIONS];
    struct str ns, name = str_cut(rest, '/', &ns);

    if (!name.at)
        name = str_first(rest, 0);
    if (what == 'l')
        catalog_lookup(catalog, ns, name, 3000, l, &wake);
    else if (what == 'y')
        catalog_lookup_deployment(catalog, ns, name, 0, l, &wake);
    else
        catalog_lookup_pod(catalog, ns, name, 0, l, &wake);
}

static void miss(void)
{
    const struct service *s = questions[asked % QUESTIONS].service;

    if (s && s->endpoint_count)
        catalog_note_missing(catalog, s->endpoints[0]);
}

static void step(struct str line)
{
    char what = line.len ? line.at[0] : ' ';
    struct str rest = str_skip(line, 1);
    uint64_t tenths = 0;

    if (strchr("adex", what))
        answer(what, rest);
    if (what == 'l' || what == 'p' || what == 'y')
        look_up(what, rest);
    if (what == 'n')
        miss();
    if (what == 't' && str_to_uint(rest, 10000, &tenths))
        tenths = 0;
    pass(tenths * 100);
    check_all();
}

static struct api *make_api(void)
{
    struct kube_target *t = xcalloc(1, sizeof(*t));

    t->server = xstrdup("http://api.test");
    t->prefix = xstrdup("");
    return api_create(loop, NULL, t, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct catalog_settings settings = { .keep_ms = 3000,
                                         .call_ms = 10000,
                                         .home_ns = "home",
                                         .lazy_above = 20,
                                         .lazy_above_bytes = 1000000 };
    struct str rest = { (const char *)bytes, len }, line;

    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    loop_sched(loop)->random = 1;
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    struct api *api = make_api();
    catalog = catalog_create(loop_sched(loop), api, &settings);
    catalog_on_gone(catalog, on_gone, NULL);
    catalog_on_change(catalog, on_change, NULL);
    asked = 0;
    while (rest.len) {
        rest = str_cut(rest, '\n', &line);
        step(line);
    }
    for (size_t i = 0; i < QUESTIONS; i++)
        lookup_finish(&questions[i]);
    catalog_destroy(catalog);
    assert(!open_now[0]);
    api_destroy(api);
    task_cancel(&wake);
    loop_destroy(loop);
    return 0;
}
