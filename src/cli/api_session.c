/* cli/api_session.c - a connection to one API server, for a command that queries it and
 * ends */
#include "cli/api_session.h"

#include <stdio.h>

#include "cluster/clusters.h"
#include "daemon/cluster_settings.h"
#include "kube/exec_plugin.h"
#include "net/transfers.h"
#include "serve/explain_lease.h"

static void on_credentials(struct task *t)
{
    struct api_session *a = container_of(t, struct api_session, on_credentials);
    struct credential *credential = NULL;

    if (a->authenticated != ERR_AGAIN)
        return;
    a->authenticated =
        credentials_get(api_credentials(a->api), &a->want, &credential, &a->why);
    credential_unref(credential);
    if (a->authenticated != ERR_AGAIN)
        loop_stop(a->loop);
}

static void on_deadline(struct timer *t)
{
    loop_stop(container_of(t, struct api_session, deadline)->loop);
}

static enum err load_target(struct api_session *a, const struct config *config,
                            struct kube_target **ret, struct diag *why)
{
    const struct clusters_choice choice = clusters_choice_of(config, true);
    struct clusters *clusters;
    enum err e = clusters_create(a->loop, NULL, &choice, &clusters, why);

    if (e)
        return e;
    e = clusters_target(clusters, 0, ret, why);
    clusters_destroy(clusters);
    return e;
}

enum err api_session_open(struct api_session *a, const struct config *config,
                          uint64_t unattended_ms, struct diag *why)
{
    struct exec_settings exec = exec_settings_of(config);
    struct kube_target *target;

    a->loop = loop_create();
    exec.shown = !unattended_ms;
    exec.no_terminal = unattended_ms > 0;
    a->plugins = exec_plugins_create(a->loop, &exec);
    a->authenticated = ERR_AGAIN;
    task_init(&a->on_credentials, loop_sched(a->loop), RANK_WORK, on_credentials);
    a->want.wake = &a->on_credentials;
    a->want.no_terminal = unattended_ms > 0;
    timer_init(&a->deadline, loop_sched(a->loop), on_deadline);
    timer_set(&a->deadline, unattended_ms);
    enum err e = load_target(a, config, &target, why);
    if (e)
        return e;
    a->transfers = transfers_create(a->loop);
    a->api = api_create(a->loop, a->transfers, target, a->plugins);
    task_wake(&a->on_credentials);
    loop_run(a->loop);
    *why = a->why;
    return a->authenticated;
}

void api_session_close(struct api_session *a)
{
    timer_stop(&a->deadline);
    credentials_leave(&a->want);
    api_destroy(a->api);
    transfers_destroy(a->transfers);
    exec_plugins_destroy(a->plugins);
    task_cancel(&a->on_credentials);
    loop_destroy(a->loop);
}

void api_session_print_error(const char *context, enum err e, const struct diag *why)
{
    struct explanation text;

    explanation_begin(&text, "");
    explanation_first(&text, "%s%s%s%s", context ? "context " : "",
                      context ? context : "", context ? ": " : "", diag_text(why, e));
    explain_access(e, &text);
    fprintf(stderr, "kube-tunnel: %s\n", text.first);
    if (text.detail[0])
        fprintf(stderr, "%s\n%s\n", text.detail, text.hint);
}
