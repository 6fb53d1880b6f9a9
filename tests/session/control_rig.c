/* tests/session/control_rig.c - the real control socket, on streams in memory */
#include "control_rig.h"

#include "base/own.h"
#include "config/config.h"

static void on_stop(void *owner, bool now)
{
    struct control_rig *r = owner;
    (void)now;
    r->stops++;
}

static void on_drain(void *owner)
{
    struct control_rig *r = owner;
    r->drains++;
}

static const struct config *config_of(void *owner)
{
    const struct control_rig *r = owner;
    return r->config;
}

static struct listeners *no_listeners(void *owner)
{
    (void)owner;
    return NULL;
}

static const char *state_of(void *owner)
{
    (void)owner;
    return "running";
}

struct control_rig *control_rig_create(void)
{
    struct control_rig *r = xcalloc(1, sizeof(*r));

    r->loop = loop_create();
    r->config = config_default();
    naming_init(&r->naming, "cluster.local");
    r->serve = serve_create(loop_sched(r->loop), loop_pool(r->loop), NULL, r->config,
                            &r->naming, NULL);
    r->control =
        control_create(&(struct control_parts){ .loop = r->loop,
                                                .serve = r->serve,
                                                .naming = &r->naming,
                                                .orders = { .stop = on_stop,
                                                            .drain = on_drain,
                                                            .config = config_of,
                                                            .listeners = no_listeners,
                                                            .state = state_of,
                                                            .owner = r } });
    return r;
}

void control_rig_destroy(struct control_rig *r)
{
    control_destroy(r->control);
    control_rig_run(r);
    serve_destroy(r->serve);
    config_unref(r->config);
    naming_finish(&r->naming);
    loop_destroy(r->loop);
    free(r);
}

struct stream *control_rig_client(struct control_rig *r, size_t limit)
{
    struct stream_pair pair =
        mem_stream_pair(loop_sched(r->loop), loop_pool(r->loop), limit);

    control_accept(r->control, pair.a);
    control_rig_run(r);
    return pair.b;
}

void control_rig_run(struct control_rig *r)
{
    sched_run(loop_sched(r->loop), loop_sched(r->loop)->now);
}

void control_rig_pass(struct control_rig *r, uint64_t ms)
{
    sched_run(loop_sched(r->loop), loop_sched(r->loop)->now + ms);
}
