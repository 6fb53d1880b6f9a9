/* config/type_list.c - the types of settings that take several values */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "config/type.h"
#include "config/web_origin.h"

static enum err check_room(const struct setting *s, size_t count, struct diag *why)
{
    if (count < s->max)
        return OK;
    return diag_set(why, ERR_CONFIG, "more than %" PRIu64 " values", s->max);
}

static char *joined(char *list, const char *next)
{
    if (!list)
        return xstrdup(next);
    char *longer = xasprintf("%s,%s", list, next);
    free(list);
    return longer;
}

static void string_add(struct string_list *list, struct str text)
{
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = str_dup(text);
}

static char *strings_print(const struct setting *s, const void *field)
{
    const struct string_list *list = field;
    char *text = NULL;

    (void)s;
    for (size_t i = 0; i < list->count; i++)
        text = joined(text, list->at[i]);
    return text ? text : xstrdup("");
}

static void strings_clear(void *field)
{
    struct string_list *list = field;

    for (size_t i = 0; i < list->count; i++)
        free(list->at[i]);
    free(list->at);
}

static enum err labels_parse(const struct setting *s, struct str text, void *field,
                             struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (!is_dns_label(text))
        return value_is_not(why, text, EXPECTED_LABEL);
    string_add(list, text);
    return OK;
}

static enum err origins_parse(const struct setting *s, struct str text, void *field,
                              struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (!origin_pattern_is_valid(text))
        return value_is_not(why, text,
                            "an origin: https://app.example, app.example, *.example, "
                            "vscode-webview://* or null");
    string_add(list, text);
    return OK;
}

/* A user or @group, as in passwd(5) or as a directory service names it (EXAMPLE\\ann,
 * ann@example).
 */
static bool is_client(struct str s)
{
    struct str name = str_starts(s, STR("@")) ? str_skip(s, 1) : s;

    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] > '~' || strchr("\"'`$:/", name.at[i]))
            return false;
    return name.len > 0 && name.len <= 255 && name.at[0] != '-';
}

static bool list_has(const struct string_list *list, struct str text)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(str_of(list->at[i]), text))
            return true;
    return false;
}

static enum err clients_parse(const struct setting *s, struct str text, void *field,
                              struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (!is_client(text))
        return value_is_not(why, text, "same-user, any, a user, or a group like @dev");
    if (!list_has(list, text))
        string_add(list, text);
    return OK;
}

/* Any name is accepted; it is checked when the kubeconfig is read. */
static enum err contexts_parse(const struct setting *s, struct str text, void *field,
                               struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (!is_printable_text(text))
        return diag_set(why, ERR_CONFIG, "the value has control characters in it");
    if (!list_has(list, text))
        string_add(list, text);
    return OK;
}

static enum err hosts_parse(const struct setting *s, struct str text, void *field,
                            struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (!host_pattern_is_valid(text))
        return value_is_not(why, text, "a host: app.example or *.example");
    string_add(list, text);
    return OK;
}

static enum err ports_parse(const struct setting *s, struct str text, void *field,
                            struct diag *why)
{
    struct port_list *list = field;
    uint64_t port = 0;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    if (str_to_uint(text, UINT16_MAX, &port) || !port)
        return value_is_not(why, text, "a port from 1 to 65535");
    for (size_t i = 0; i < list->count; i++)
        if (list->at[i] == port)
            return OK;
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = (uint16_t)port;
    return OK;
}

static char *ports_print(const struct setting *s, const void *field)
{
    const struct port_list *list = field;
    char *text = NULL;

    (void)s;
    for (size_t i = 0; i < list->count; i++) {
        AUTO_FREE char *one = xasprintf("%u", list->at[i]);
        text = joined(text, one);
    }
    return text ? text : xstrdup("");
}

static void ports_clear(void *field)
{
    struct port_list *list = field;
    free(list->at);
}

static enum err files_parse(const struct setting *s, struct str text, void *field,
                            struct diag *why)
{
    struct string_list *list = field;
    enum err e = check_room(s, list->count, why);

    if (e)
        return e;
    AUTO_FREE char *path = str_dup(text);
    if (access(path, R_OK))
        return diag_set(why, ERR_CONFIG, "%s: %s", path, strerror(errno));
    if (!list_has(list, text))
        string_add(list, text);
    return OK;
}

static enum err listens_parse(const struct setting *s, struct str text, void *field,
                              struct diag *why)
{
    struct listen_list *list = field;
    struct listen_address address;
    enum err e = check_room(s, list->count, why);

    if (!e)
        e = s == &settings[SETTING_listen] ? listen_any_parse(text, &address, why)
                                           : listen_address_parse(text, &address, why);
    if (e)
        return e;
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = address;
    return OK;
}

static char *listens_print(const struct setting *s, const void *field)
{
    const struct listen_list *list = field;
    char *text = NULL;

    (void)s;
    for (size_t i = 0; i < list->count; i++) {
        char one[LISTEN_TEXT_SIZE];
        listen_address_print(&list->at[i], one);
        text = joined(text, one);
    }
    return text ? text : xstrdup("");
}

static void listens_clear(void *field)
{
    struct listen_list *list = field;
    free(list->at);
}

/* "any-host" and "raw" belong to the element before them; false: the text is neither. */
static bool exposed_option(struct expose_list *list, struct str text)
{
    struct expose *last = list->count ? &list->at[list->count - 1] : NULL;

    if (last && str_eq(text, STR("any-host")))
        last->any_host = true;
    else if (last && str_eq(text, STR("raw")))
        last->raw = true;
    else
        return false;
    return true;
}

static enum err exposes_parse(const struct setting *s, struct str text, void *field,
                              struct diag *why)
{
    struct expose_list *list = field;
    struct expose exposed;

    if (exposed_option(list, text))
        return OK;
    enum err e = check_room(s, list->count, why);

    if (!e)
        e = expose_parse(text, &exposed, why);
    if (e)
        return e;
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = exposed;
    return OK;
}

static char *exposes_print(const struct setting *s, const void *field)
{
    const struct expose_list *list = field;
    char *text = NULL;

    (void)s;
    for (size_t i = 0; i < list->count; i++) {
        const struct expose *e = &list->at[i];
        char local[LISTEN_TEXT_SIZE];
        listen_address_print(&e->local, local);
        AUTO_FREE char *one =
            xasprintf("%s:%s=%s%s%s", e->name, e->port, local,
                      e->any_host ? ",any-host" : "", e->raw ? ",raw" : "");
        text = joined(text, one);
    }
    return text ? text : xstrdup("");
}

static void exposes_clear(void *field)
{
    struct expose_list *list = field;

    for (size_t i = 0; i < list->count; i++)
        expose_finish(&list->at[i]);
    free(list->at);
}

static enum err aliases_parse(const struct setting *s, struct str text, void *field,
                              struct diag *why)
{
    struct alias_text_list *list = field;
    struct alias_text alias;
    enum err e = check_room(s, list->count, why);

    if (!e)
        e = alias_parse(text, &alias, why);
    if (e)
        return e;
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = alias;
    return OK;
}

static char *aliases_print(const struct setting *s, const void *field)
{
    const struct alias_text_list *list = field;
    char *text = NULL;

    (void)s;
    for (size_t i = 0; i < list->count; i++) {
        const struct alias_text *a = &list->at[i];
        AUTO_FREE char *one = xasprintf("%s=%s%s%s", a->name, a->target,
                                        a->port ? ":" : "", a->port ? a->port : "");
        text = joined(text, one);
    }
    return text ? text : xstrdup("");
}

static void aliases_clear(void *field)
{
    struct alias_text_list *list = field;

    for (size_t i = 0; i < list->count; i++)
        alias_text_finish(&list->at[i]);
    free(list->at);
}

const struct setting_type type_ALIAS_LIST = {
    .argument = "NAME=TARGET",
    .parse = aliases_parse,
    .print = aliases_print,
    .clear = aliases_clear,
    .size = FIELD_SIZE_OF(alias),
    .list = true,
};
const struct setting_type type_LABEL_LIST = {
    .argument = "NAME",
    .parse = labels_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(allow_namespace),
    .list = true,
};
const struct setting_type type_ORIGIN_LIST = {
    .argument = "ORIGIN",
    .parse = origins_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(allow_origin),
    .list = true,
};
const struct setting_type type_CLIENT_LIST = {
    .argument = "same-user|any|USER|@GROUP",
    .parse = clients_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(clients),
    .list = true,
};
const struct setting_type type_CONTEXT_LIST = {
    .argument = "NAME|all",
    .parse = contexts_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(contexts),
    .list = true,
};
const struct setting_type type_FILE_LIST = {
    .argument = "FILE",
    .parse = files_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(tls_ca),
    .list = true,
};
const struct setting_type type_HOST_LIST = {
    .argument = "NAME",
    .parse = hosts_parse,
    .print = strings_print,
    .clear = strings_clear,
    .size = FIELD_SIZE_OF(allow_host),
    .list = true,
};
const struct setting_type type_PORT_LIST = {
    .argument = "PORT",
    .parse = ports_parse,
    .print = ports_print,
    .clear = ports_clear,
    .size = FIELD_SIZE_OF(proxy_outside_ports),
    .list = true,
};
const struct setting_type type_LISTEN_LIST = {
    .argument = "ADDR:PORT",
    .parse = listens_parse,
    .print = listens_print,
    .clear = listens_clear,
    .size = FIELD_SIZE_OF(listen),
    .list = true,
};
const struct setting_type type_EXPOSE_LIST = {
    .argument = "NAME:PORT",
    .parse = exposes_parse,
    .print = exposes_print,
    .clear = exposes_clear,
    .size = FIELD_SIZE_OF(expose),
    .list = true,
};
