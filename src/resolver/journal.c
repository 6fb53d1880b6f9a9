/* resolver/journal.c - what is installed, and how it is undone, in a file */
#include "resolver/journal.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "resolver/beside.h"
#include "resolver/step_kind.h"

#define FORMAT 1
#define STEPS_MAX 256

void journal_finish(struct journal *j)
{
    resolver_want_finish(&j->want);
    plan_finish(&j->plan);
}

/* ---- reading ---- */

static void json_freep(json_t **json)
{
    json_decref(*json);
}

static char *copy_of(const json_t *object, const char *key)
{
    return xstrdup_or_null(json_string_value(json_object_get(object, key)));
}

static void read_want(const json_t *json, struct resolver_want *w)
{
    const json_t *domains = json_object_get(json, "domains");
    json_int_t port = json_integer_value(json_object_get(json, "port"));

    *w = (struct resolver_want){
        .backend = copy_of(json, "backend"),
        .server = copy_of(json, "server"),
        .port = port > 0 && port <= UINT16_MAX ? (uint16_t)port : 0,
        .low_ports = copy_of(json, "lowPorts"),
        .program = copy_of(json, "program"),
        .user = copy_of(json, "user"),
        .names = copy_of(json, "names"),
    };
    for (size_t i = 0; i < json_array_size(domains); i++) {
        const char *domain = json_string_value(json_array_get(domains, i));
        texts_add(&w->domains, xstrdup(domain ? domain : ""));
    }
}

static bool is_path(const char *path)
{
    return path && path[0] == '/' && path[1] && !strstr(path, "/../") &&
           !str_ends(str_of(path), STR("/..")) && !str_ends(str_of(path), STR("/"));
}

static bool read_step(const json_t *json, struct plan *p)
{
    const char *name = json_string_value(json_object_get(json, "kind"));
    enum step_kind kind = name ? step_kind_find(name) : STEP_KIND_COUNT;
    const char *path = json_string_value(json_object_get(json, "path"));
    const char *after = json_string_value(json_object_get(json, "after"));

    if (kind == STEP_KIND_COUNT || (kind != STEP_COMMAND && (!is_path(path) || !after)) ||
        (kind == STEP_COMMAND && path && !is_path(path)))
        return false;
    plan_add(p, kind, path, json_string_value(json_object_get(json, "before")), after);
    return true;
}

static enum err read_json(const char *path, const json_t *json, struct journal *ret,
                          struct diag *why)
{
    const json_t *steps = json_object_get(json, "steps"), *step;
    json_int_t format = json_integer_value(json_object_get(json, "format"));
    bool valid = json_is_array(steps) && json_array_size(steps) <= STEPS_MAX;
    size_t i;

    if (json_is_object(json) && format != FORMAT)
        return diag_set(
            why, ERR_VERSION,
            "%s: was written by another version of kube-tunnel (its format is "
            "%lld, and %d is known here): run \"dns uninstall\" of that "
            "version first",
            path, (long long)format, FORMAT);
    read_want(json_object_get(json, "want"), &ret->want);
    json_array_foreach(steps, i, step) valid = valid && read_step(step, &ret->plan);
    if (!valid)
        return diag_set(why, ERR_CONFIG, "%s: is damaged", path);
    return resolver_want_check(&ret->want, NULL) == OK
               ? OK
               : diag_set(why, ERR_CONFIG, "%s: is damaged", path);
}

/* Commands in it are run with this process's rights. */
static enum err check_owner(const char *path, struct diag *why)
{
    struct stat facts;

    if (lstat(path, &facts))
        return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_CONFIGURED
                                                   : path_failed(path, why);
    if (!S_ISREG(facts.st_mode) || facts.st_mode & 022 ||
        (facts.st_uid != 0 && facts.st_uid != geteuid()))
        return diag_set(why, ERR_CONFIG,
                        "%s: other users may write it, so it is not used: see what is in "
                        "it, and delete it",
                        path);
    return OK;
}

enum err journal_read(const struct machine *m, struct journal *ret, struct diag *why)
{
    AUTO_FREE char *path = machine_path(m, JOURNAL_PATH);
    AUTO(journal_finish) struct journal found = { 0 };
    AUTO_FREE char *text = NULL;
    size_t len;
    enum err e = check_owner(path, why);

    if (!e)
        e = file_read_regular(path, STEP_TEXT_MAX, &text, &len, why);
    if (e)
        return e;
    AUTO(json_freep) json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
    e = json ? read_json(path, json, &found, why)
             : diag_set(why, ERR_CONFIG, "%s: is damaged", path);
    if (e)
        return e;
    *ret = found;
    found = (struct journal){ 0 };
    return OK;
}

/* ---- writing ---- */

static json_t *want_json(const struct resolver_want *w)
{
    json_t *domains = json_array();

    for (size_t i = 0; i < w->domains.count; i++)
        json_array_append_new(domains, json_string(w->domains.at[i]));
    return json_pack("{s:s*, s:s, s:i, s:o, s:s, s:s*, s:s*, s:s*}", "backend",
                     w->backend, "server", w->server, "port", (int)w->port, "domains",
                     domains, "lowPorts", w->low_ports, "program", w->program, "user",
                     w->user, "names", w->names);
}

static json_t *steps_json(const struct plan *p)
{
    json_t *steps = json_array();

    for (size_t i = 0; i < p->count; i++) {
        const struct step *s = &p->at[i];
        json_array_append_new(steps, json_pack("{s:s, s:s*, s:s*, s:s*}", "kind",
                                               step_kind_name(s->kind), "path", s->path,
                                               "before", s->before, "after", s->after));
    }
    return steps;
}

enum err journal_write(const struct machine *m, const struct journal *j, struct diag *why)
{
    const struct beside_facts facts = { .mode = 0644,
                                        .uid = geteuid(),
                                        .gid = getegid() };
    AUTO_FREE char *path = machine_path(m, JOURNAL_PATH);
    AUTO_FREE char *beside = beside_path(path);
    AUTO(json_freep)
    json_t *json = json_pack("{s:i, s:o, s:o}", "format", FORMAT, "want",
                             want_json(&j->want), "steps", steps_json(&j->plan));
    AUTO_FREE char *text = json_dumps(json, JSON_INDENT(2));

    enum err e = text ? beside_write(beside, str_of(text), &facts, why)
                      : diag_set(why, ERR_CONFIG, "%s: a text is no UTF-8", path);
    if (!e && rename(beside, path)) {
        e = path_failed(path, why);
        unlink(beside);
    }
    return e ? e : path_sync_folder(path, why);
}

enum err journal_remove(const struct machine *m, struct diag *why)
{
    AUTO_FREE char *path = machine_path(m, JOURNAL_PATH);
    AUTO_FREE char *beside = beside_path(path);
    bool left = unlink(beside) == 0;

    if (unlink(path) == 0)
        left = true;
    else if (errno != ENOENT && errno != ENOTDIR)
        return path_failed(path, why);
    return left ? path_sync_folder(path, why) : OK;
}

bool journal_is_permitted(const struct machine *m)
{
    AUTO_FREE char *folder = machine_path(m, JOURNAL_FOLDER);

    return access(folder, W_OK | X_OK) == 0 || errno == ENOENT;
}
