/* config/load.c - defaults, files, environment and flags, in ascending precedence */
#include "config/config.h"

#include <assert.h>
#include <stdio.h>

#include "base/file.h"
#include "base/own.h"
#include "config/file.h"
#include "config/layer.h"
#include "config/setting.h"

#define VARIABLE_PREFIX "KTUN_"

static const char *keep(struct string_list *list, char *text)
{
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = text;
    return text;
}

static void forget(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
}

struct config *config_default(void)
{
    struct config *c = xcalloc(1, sizeof(*c));

    c->refs = 1;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        enum err e = setting_apply(&settings[i], str_of(settings[i].initial), c, NULL);
        assert(!e);
    }
    return c;
}

/* The cast is safe: only the reference count changes in a shared config. */
const struct config *config_ref(const struct config *c)
{
    ((struct config *)(uintptr_t)c)->refs++;
    return c;
}

void config_unref(const struct config *shared)
{
    struct config *c = (struct config *)(uintptr_t)shared;

    if (!c || --c->refs)
        return;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        setting_clear(&settings[i], c);
    forget(&c->files);
    forget(&c->warnings);
    free(c);
}

uint16_t config_listen_port(const struct config *c)
{
    for (size_t i = 0; i < c->listen.count; i++)
        if (!listen_is_bridge(&c->listen.at[i]))
            return c->listen.at[i].port;
    return c->port;
}

bool config_short_names(const struct config *c)
{
    return c->short_names == AUTO_BOOL_AUTO ? c->in_pod
                                            : c->short_names == AUTO_BOOL_TRUE;
}

/* In a pod there is no browser of the user, and no home for a key. */
enum service_tls_mode config_tls_mode(const struct config *c, struct str ns,
                                      struct str service)
{
    enum service_tls_mode mode = service_tls_mode(&c->tls, ns, service);
    bool wanted = c->tls_termination == AUTO_BOOL_AUTO
                      ? !c->in_pod
                      : c->tls_termination == AUTO_BOOL_TRUE;

    return mode || wanted ? mode : SERVICE_TLS_PASSTHROUGH;
}

bool config_is_set(const struct config *c, enum setting_id id)
{
    return c->origins[id].source != FROM_DEFAULT;
}

bool layer_holds(const struct config *c, const struct setting *s,
                 const struct origin *origin)
{
    return c->origins[s - settings].source == origin->source;
}

enum err layer_apply(struct config *c, const struct setting *s,
                     const struct origin *origin, struct str text, struct diag *why)
{
    if (!layer_holds(c, s, origin)) {
        setting_clear(s, c);
        c->origins[s - settings] = *origin;
    }
    return setting_apply(s, text, c, why);
}

static enum err apply_file(struct config *c, enum source source, const char *path,
                           bool needed, struct diag *why)
{
    AUTO_FREE char *text = NULL;
    size_t len = 0;

    if (!path)
        return OK;
    enum err e = file_read(path, CONFIG_FILE_MAX, &text, &len, why);
    if (e == ERR_NOT_FOUND && !needed)
        return OK;
    if (e == ERR_NOT_FOUND && why) {
        struct diag what = *why;
        return diag_set(why, e, "%s; name another file with --config or KTUN_CONFIG",
                        what.text);
    }
    if (e)
        return e;
    path = keep(&c->files, xstrdup(path));
    return config_file_apply(c, source, path, (struct str){ text, len }, why);
}

static enum err apply_files(struct config *c, const struct config_input *input,
                            struct diag *why)
{
    if (input->file)
        return apply_file(c, FROM_FILE, input->file, true, why);
    enum err e = apply_file(c, FROM_SYSTEM_FILE, input->system_file, false, why);
    return e ? e : apply_file(c, FROM_FILE, input->user_file, false, why);
}

static void warn_of_variable(struct config *c, struct str name, struct str rest)
{
    const char *nearest = setting_nearest(rest);
    const struct setting *s = nearest ? setting_find(str_of(nearest)) : NULL;
    AUTO_FREE char *variable = s ? setting_variable(s) : NULL;

    keep(&c->warnings,
         variable ? xasprintf("%.*s is no setting; is it %s?", STR_ARG(name), variable)
                  : xasprintf("%.*s is no setting", STR_ARG(name)));
}

/* An empty variable counts as not set: shells and manifests unset a variable like that.
 */
static enum err apply_variable(struct config *c, const char *variable, struct diag *why)
{
    static const struct origin origin = { .source = FROM_ENVIRONMENT };
    struct str name;
    struct str value = str_cut(str_of(variable), '=', &name);

    if (!str_starts(name, STR(VARIABLE_PREFIX)) || str_empty(value))
        return OK;
    struct str rest = str_skip(name, sizeof(VARIABLE_PREFIX) - 1);
    if (str_eq(rest, STR("CONFIG")))
        return OK; /* the path of the file, which the caller applies, like --config */

    const struct setting *s = setting_find_loosely(rest);
    if (!s) {
        warn_of_variable(c, name, rest);
        return OK;
    }
    enum err e = layer_apply(c, s, &origin, value, why);
    return e ? diag_prefix(why, e, "%.*s", STR_ARG(name)) : OK;
}

static enum err apply_environment(struct config *c, const struct config_input *input,
                                  struct diag *why)
{
    enum err e = OK;

    for (char *const *v = input->environment; v && *v && !e; v++)
        e = apply_variable(c, *v, why);
    return e;
}

static enum err apply_flag(struct config *c, const struct config_flag *flag,
                           struct diag *why)
{
    static const struct origin origin = { .source = FROM_FLAG };
    const struct setting *s = setting_find(str_of(flag->name));

    if (!s)
        return diag_set(why, ERR_CONFIG, "--%s: no such setting", flag->name);
    if (setting_is_list(s) && !flag->value[0])
        return diag_set(why, ERR_CONFIG, "--%s: a value is missing", s->name);
    enum err e = layer_apply(c, s, &origin, str_of(flag->value), why);
    return e ? diag_prefix(why, e, "--%s", s->name) : OK;
}

static enum err apply_flags(struct config *c, const struct config_input *input,
                            struct diag *why)
{
    enum err e = OK;

    for (size_t i = 0; i < input->flag_count && !e; i++)
        e = apply_flag(c, &input->flags[i], why);
    return e;
}

/* Resets the setting to its default, as if it had not been set. */
static void withdraw(struct config *c, enum setting_id id)
{
    setting_clear(&settings[id], c);
    c->origins[id] = (struct origin){ .source = FROM_DEFAULT };
}

/* --port and --listen both set where to listen, so the one with higher precedence
 * counts. */
static enum err settle_port(struct config *c, struct diag *why)
{
    enum source port = c->port ? c->origins[SETTING_port].source : FROM_DEFAULT;
    enum source listen =
        c->listen.count ? c->origins[SETTING_listen].source : FROM_DEFAULT;

    if (port == FROM_DEFAULT || listen == FROM_DEFAULT)
        return OK;
    if (port == listen) {
        AUTO_FREE char *origin = setting_origin(&settings[SETTING_port], c);
        return diag_set(why, ERR_CONFIG,
                        "%s: port and listen exclude one another; use listen alone",
                        origin);
    }
    withdraw(c, port < listen ? SETTING_port : SETTING_listen);
    return OK;
}

/* Before a tunnel counts as dead, at least one PING must have been sent. */
static enum err check_pings(const struct config *c, struct diag *why)
{
    if (c->ping_timeout_ms > c->ping_interval_ms)
        return OK;
    AUTO_FREE char *timeout = setting_origin(&settings[SETTING_ping_timeout_ms], c);
    AUTO_FREE char *interval = setting_origin(&settings[SETTING_ping_interval_ms], c);
    return diag_set(why, ERR_CONFIG,
                    "ping-timeout (%s) must be longer than ping-interval (%s)", timeout,
                    interval);
}

static enum err check_tls(const struct config *c, struct diag *why)
{
    AUTO_FREE char *origin = setting_origin(&settings[SETTING_tls], c);
    enum err e = service_tls_check(&c->tls, why);

    return e ? diag_prefix(why, e, "tls (%s)", origin) : OK;
}

enum err config_load(const struct config_input *input, struct config **ret,
                     struct diag *why)
{
    AUTO(config_unrefp) struct config *c = config_default();
    enum err e = apply_files(c, input, why);

    c->in_pod = input->in_pod;
    if (!e)
        e = apply_environment(c, input, why);
    if (!e)
        e = apply_flags(c, input, why);
    if (!e)
        e = settle_port(c, why);
    if (!e)
        e = check_pings(c, why);
    if (!e)
        e = check_tls(c, why);
    if (e)
        return e;
    *ret = TAKE(c);
    return OK;
}
