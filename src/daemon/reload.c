/* daemon/reload.c - apply a changed configuration to the running process */
#include "daemon/reload.h"

#include <assert.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/own.h"
#include "cluster/clusters.h"
#include "cluster/settings.h"
#include "daemon/cluster_settings.h"
#include "daemon/dns_server.h"
#include "daemon/names.h"
#include "daemon/outputs.h"
#include "daemon/refusals.h"
#include "daemon/service_rules.h"
#include "listen/change.h"
#include "net/file_watch.h"
#include "serve/proxy_users.h"
#include "serve/serve.h"
#include "upstream/tls_rules.h"

LOG_MODULE(daemon);

#define UNFINISHED_MS 100  /* a file that is being written is looked at this often */
#define UNFINISHED_MAX 100 /* ... and as many times */

struct reload {
    struct reload_parts parts;
    struct file_watch *watches[CONFIG_PATHS];
    struct task on_file;
    struct timer again;
    unsigned looks;  /* at files that are being written */
    bool incomplete; /* logged already */
    bool watched;    /* the reload that runs was caused by a changed file */
};

/* --- reading --- */

/* A pipe ("<(...)") can be read once, at the start: now it would block. */
static enum err check_regular(const struct config_source *source, struct diag *why)
{
    for (size_t i = 0; i < CONFIG_PATHS; i++) {
        const char *path = source->paths[i];
        struct stat st;
        if (path && !stat(path, &st) && !S_ISREG(st.st_mode))
            return diag_set(why, ERR_CONFIG,
                            "%s: not a regular file, so it cannot be read again", path);
    }
    return OK;
}

static enum err read_config(const struct reload *r, struct config **ret, struct diag *why)
{
    const struct config_source *source = r->parts.source;
    AUTO(config_unrefp) struct config *fresh = NULL;
    enum err e = check_regular(source, why);

    if (!e)
        e = source->load(source->owner, &fresh, why);
    if (!e)
        e = refusals_check(fresh, why);
    if (!e)
        *ret = TAKE(fresh);
    return e;
}

/* --- applying --- */

struct prepared {
    struct config *config;
    struct naming naming;
    struct tls_rules *rules;
    struct outputs_change *outputs;
    struct dns_server_change *dns;
    struct listeners_change *listeners;
    struct proxy_users *users;
    struct setting_changes changes;
};

static void prepared_finish(struct prepared *p)
{
    setting_changes_finish(&p->changes);
    naming_finish(&p->naming);
    outputs_discard(p->outputs);
    dns_server_discard(p->dns);
    proxy_users_destroy(p->users);
    tls_rules_unref(p->rules);
    config_unref(p->config);
}

/* Everything that can fail. */
static enum err prepare(struct reload *r, struct prepared *p, struct diag *why)
{
    const struct reload_parts *parts = &r->parts;
    enum err e = read_config(r, &p->config, why);

    if (e)
        return e;
    setting_changes_find(*parts->config, p->config, &p->changes);
    config_keep_unreloaded(p->config, *parts->config);
    e = refusals_check(p->config, why);
    if (!e)
        e = names_of(p->config, &p->naming, why);
    if (!e)
        e = proxy_users_read(p->config->proxy_users, &p->users, why);
    if (!e)
        e = service_rules_of(p->config, &p->rules, why);
    if (!e)
        e = outputs_prepare(parts->outputs, p->config, &p->outputs, why);
    if (!e)
        e = dns_server_prepare(parts->dns, p->config, &p->dns, why);
    if (!e)
        e = listeners_prepare(parts->listeners, p->config, &p->listeners, why);
    return e;
}

static void log_change(const struct setting_change *c)
{
    if (c->restart)
        log_warn(NO_ID, "a changed setting takes effect at the next start",
                 LOG_S("setting", c->setting->name), LOG_S("value", c->before),
                 LOG_S("next", c->after), LOG_S("from", c->origin));
    else
        log_info(NO_ID, "setting changed", LOG_S("setting", c->setting->name),
                 LOG_S("before", c->before), LOG_S("value", c->after),
                 LOG_S("from", c->origin));
}

static void set_log(const struct config *c)
{
    enum err e = log_set_levels(str_of(c->log_level), NULL);

    assert(!e); /* it was checked when it was loaded */
    log_set_format(c->log_format);
}

static void commit(struct reload *r, struct prepared *p)
{
    const struct reload_parts *parts = &r->parts;
    const struct config *before = *parts->config;

    *parts->config = config_ref(p->config);
    naming_exchange_aliases(parts->naming, &p->naming);
    cluster_settings_update(parts->settings, p->config);
    tls_rules_unref(parts->settings->upstream.tls.rules);
    parts->settings->upstream.tls.rules = TAKE(p->rules);
    clusters_configure(parts->clusters);
    serve_configure(parts->serve, p->config);
    serve_set_proxy_users(parts->serve, TAKE(p->users));
    outputs_commit(TAKE(p->outputs));
    dns_server_commit(TAKE(p->dns));
    parts->limit(parts->owner);
    listeners_commit(p->listeners);
    config_unref(before);
    if (p->changes.count || !r->watched)
        log_info(NO_ID, "configuration reloaded", LOG_U("changes", p->changes.count));
    for (size_t i = 0; i < p->changes.count; i++)
        log_change(&p->changes.at[i]);
    set_log(p->config);
}

enum err reload_run(struct reload *r, struct setting_changes *ret, struct diag *why)
{
    AUTO(prepared_finish) struct prepared p = { .config = NULL };

    timer_stop(&r->again);
    enum err e = prepare(r, &p, why);
    if (e) {
        log_error(NO_ID, "the configuration was refused: keeping the last one",
                  LOG_S("reason", diag_text(why, e)));
        return e;
    }
    r->incomplete = false;
    commit(r, &p);
    if (ret) {
        *ret = p.changes;
        p.changes = (struct setting_changes){ 0 };
    }
    return OK;
}

enum err reload_preview(const struct reload *r, struct setting_changes *ret,
                        struct diag *why)
{
    AUTO(config_unrefp) struct config *fresh = NULL;
    enum err e = read_config(r, &fresh, why);

    if (!e)
        setting_changes_find(*r->parts.config, fresh, ret);
    return e;
}

/* --- changed files --- */

static bool was_read(const struct reload *r, const char *path)
{
    const struct string_list *files = &(*r->parts.config)->files;

    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->at[i], path) == 0)
            return true;
    return false;
}

/* Returns the file that had settings and has none now, as while it is being replaced. */
static const char *emptied_file(const struct reload *r)
{
    for (size_t i = 0; i < CONFIG_PATHS; i++) {
        const char *path = r->parts.source->paths[i];
        struct stat st;
        if (path && was_read(r, path) && (stat(path, &st) || st.st_size == 0))
            return path;
    }
    return NULL;
}

static bool is_being_written(const struct reload *r)
{
    for (size_t i = 0; i < CONFIG_PATHS; i++) {
        const char *path = r->parts.source->paths[i];
        if (path && file_is_being_written(path))
            return true;
    }
    return false;
}

static void look_at_files(struct reload *r)
{
    struct diag why = { "" };

    if (is_being_written(r) && r->looks++ < UNFINISHED_MAX) {
        timer_set(&r->again, UNFINISHED_MS);
        return;
    }
    r->looks = 0;
    const char *emptied = emptied_file(r);
    if (!emptied) {
        r->watched = true;
        enum err e = reload_run(r, NULL, &why);
        (void)e; /* it was logged */
        r->watched = false;
    } else if (!r->incomplete) {
        r->incomplete = true;
        log_warn(NO_ID,
                 "a configuration file is empty or missing: keeping the last "
                 "configuration (SIGHUP applies it)",
                 LOG_S("file", emptied));
    }
}

static void on_file(struct task *t)
{
    look_at_files(container_of(t, struct reload, on_file));
}

static void on_again(struct timer *t)
{
    look_at_files(container_of(t, struct reload, again));
}

struct reload *reload_open(const struct reload_parts *parts)
{
    struct reload *r = xcalloc(1, sizeof(*r));
    struct sched *sched = loop_sched(parts->loop);

    r->parts = *parts;
    task_init(&r->on_file, sched, RANK_WORK, on_file);
    timer_init(&r->again, sched, on_again);
    for (size_t i = 0; i < CONFIG_PATHS; i++)
        if (parts->source->paths[i])
            r->watches[i] =
                file_watch_open(parts->loop, parts->source->paths[i], &r->on_file);
    return r;
}

void reload_close(struct reload *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < CONFIG_PATHS; i++)
        file_watch_close(r->watches[i]);
    timer_stop(&r->again);
    task_cancel(&r->on_file);
    free(r);
}
