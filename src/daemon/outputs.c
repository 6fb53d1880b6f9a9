/* daemon/outputs.c - the access log and the traces of this process */
#include "daemon/outputs.h"

#include <string.h>

#include "base/own.h"
#include "config/config.h"
#include "net/loop.h"
#include "otlp/otlp.h"
#include "serve/access_log.h"
#include "serve/serve.h"

struct outputs {
    struct loop *loop;
    struct serve *serve;
    const struct config *config; /* a reference: what is open now */
    struct access_log *access_log;
    struct otlp *traces;
    struct otlp *retired; /* given up, while its last batch is sent; or NULL */
    struct task on_retired;
};

struct outputs_change {
    struct outputs *all;
    const struct config *config; /* a reference */
    bool other_log, other_traces;
    struct access_log *access_log;
    struct otlp *traces;
};

/* --- what changes --- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_other_log(const struct config *before, const struct config *after)
{
    return !same_text(before->access_log, after->access_log) ||
           (after->access_log && before->access_log_format != after->access_log_format);
}

static enum err open_access_log(struct outputs_change *c, struct diag *why)
{
    const struct config *config = c->config;

    if (!c->other_log || !config->access_log)
        return OK;
    return access_log_open(loop_sched(c->all->loop), config->access_log,
                           config->access_log_format, &c->access_log, why);
}

static enum err open_traces(struct outputs_change *c, struct diag *why)
{
    if (!c->other_traces || !c->config->otlp)
        return OK;
    const struct otlp_environment environment = otlp_environment_read();
    return otlp_open(c->all->loop, c->config->otlp, &environment, &c->traces, why);
}

static void change_destroy(struct outputs_change *c)
{
    access_log_close(c->access_log);
    otlp_close(c->traces);
    config_unref(c->config);
    free(c);
}

enum err outputs_prepare(struct outputs *o, const struct config *config,
                         struct outputs_change **ret, struct diag *why)
{
    struct outputs_change *c = xcalloc(1, sizeof(*c));

    c->all = o;
    c->config = config_ref(config);
    c->other_log = !o->config || is_other_log(o->config, config);
    c->other_traces = !o->config || !same_text(o->config->otlp, config->otlp);
    enum err e = open_access_log(c, why);
    if (!e)
        e = open_traces(c, why);
    if (e)
        change_destroy(c);
    else
        *ret = c;
    return e;
}

void outputs_discard(struct outputs_change *c)
{
    if (c)
        change_destroy(c);
}

/* --- the change --- */

static void on_retired(struct task *t)
{
    struct outputs *o = container_of(t, struct outputs, on_retired);

    if (o->retired && otlp_idle(o->retired))
        otlp_close(TAKE(o->retired));
}

static void retire(struct outputs *o, struct otlp *traces)
{
    if (!traces)
        return;
    otlp_close(o->retired);
    o->retired = traces;
    otlp_drain(traces, &o->on_retired);
}

/* Lines that wait for the old log are written before the first of the new one, which may be
 * the same file. */
void outputs_commit(struct outputs_change *c)
{
    struct outputs *o = c->all;

    if (c->other_log) {
        access_log_close(o->access_log);
        o->access_log = TAKE(c->access_log);
        serve_set_access_log(o->serve, o->access_log);
    }
    if (c->other_traces) {
        retire(o, o->traces);
        o->traces = TAKE(c->traces);
        serve_set_traces(o->serve, o->traces);
    }
    config_unref(o->config);
    o->config = TAKE(c->config);
    change_destroy(c);
}

/* --- the rest of their life --- */

enum err outputs_open(struct loop *loop, struct serve *serve, const struct config *config,
                      struct outputs **ret, struct diag *why)
{
    struct outputs *o = xcalloc(1, sizeof(*o));
    struct outputs_change *first;

    o->loop = loop;
    o->serve = serve;
    task_init(&o->on_retired, loop_sched(loop), RANK_WORK, on_retired);
    enum err e = outputs_prepare(o, config, &first, why);
    if (e) {
        outputs_close(o);
        return e;
    }
    outputs_commit(first);
    *ret = o;
    return OK;
}

void outputs_close(struct outputs *o)
{
    if (!o)
        return;
    task_cancel(&o->on_retired);
    access_log_close(o->access_log);
    otlp_close(o->traces);
    otlp_close(o->retired);
    config_unref(o->config);
    free(o);
}

void outputs_reopen(struct outputs *o)
{
    if (o->access_log)
        access_log_reopen(o->access_log);
    if (o->traces)
        otlp_reopen(o->traces);
}

void outputs_drain(struct outputs *o, struct task *done)
{
    if (o->retired)
        otlp_drain(o->retired, done);
    if (o->traces)
        otlp_drain(o->traces, done);
}

bool outputs_idle(const struct outputs *o)
{
    return (!o->traces || otlp_idle(o->traces)) && (!o->retired || otlp_idle(o->retired));
}
