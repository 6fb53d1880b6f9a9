/* kube/kubeconfig.c - kubeconfig files: read one, merge several
 *
 * A table says for each mapping which keys we read, into which field, and how; whatever
 * it does not name is skipped.  libyaml's events are pulled one at a time, so memory goes
 * with what we keep and not with what the file holds.
 *
 * Aliases (*name) are refused: nobody writes them into a kubeconfig, and skipping over
 * one where it stands for something we need would be a silent mistake.
 */
#include "kube/kubeconfig.h"

#include <yaml.h>

#include "base/own.h"

struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the one at hand */
    const char *path;
    struct diag *why;
};

/* `at` is the struct plus the field's offset.  Called with the value's first event at
 * hand, returns with its last. */
typedef enum err read_fn(struct reader *r, void *at);

struct field {
    const char *key;
    size_t offset;
    read_fn *read;
};

static unsigned line_of(const struct reader *r)
{
    return (unsigned)r->event.start_mark.line + 1;
}

static enum err next(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return OK;
    unsigned long line = (unsigned long)r->parser.problem_mark.line + 1;
    return diag_set(r->why, ERR_CONFIG, "%s:%lu: %s", r->path, line,
                    r->parser.problem ? r->parser.problem : "not YAML");
}

static enum err wanted(const struct reader *r, const char *what)
{
    if (r->event.type == YAML_ALIAS_EVENT)
        what = "no alias (*): they are not supported here";
    return diag_set(r->why, ERR_CONFIG, "%s:%u: expected %s", r->path, line_of(r), what);
}

static struct str scalar(const struct reader *r)
{
    return (struct str){ (const char *)r->event.data.scalar.value,
                         r->event.data.scalar.length };
}

static bool is_null(const struct reader *r)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };

    if (r->event.type != YAML_SCALAR_EVENT ||
        r->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (str_eq(scalar(r), str_of(nulls[i])))
            return true;
    return false;
}

/* Over one value of any shape; an empty list or mapping has two events. */
static enum err skip_counting(struct reader *r, size_t *ret_events)
{
    for (int depth = 0;;) {
        ++*ret_events;
        yaml_event_type_t type = r->event.type;
        if (type == YAML_ALIAS_EVENT)
            return wanted(r, "a value");
        depth += type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
        depth -= type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
        if (depth == 0)
            return OK;
        enum err e = next(r);
        if (e)
            return e;
    }
}

static enum err skip(struct reader *r)
{
    size_t events = 0;
    return skip_counting(r, &events);
}

static enum err read_text(struct reader *r, void *at)
{
    char **text = at;

    if (r->event.type != YAML_SCALAR_EVENT)
        return wanted(r, "text");
    if (is_null(r) || str_empty(scalar(r)))
        return OK;
    if (memchr(scalar(r).at, '\0', scalar(r).len))
        return wanted(r, "text without NUL bytes");
    if (*text)
        return diag_set(r->why, ERR_CONFIG, "%s:%u: given twice", r->path, line_of(r));
    *text = str_dup(scalar(r));
    return OK;
}

static enum err read_bool(struct reader *r, void *at)
{
    static const char *const yes[] = { "true", "yes", "on" };
    static const char *const no[] = { "false", "no", "off" };
    bool *value = at;

    if (is_null(r))
        return OK;
    for (size_t i = 0; r->event.type == YAML_SCALAR_EVENT && i < ARRAY_LEN(yes); i++) {
        if (!str_ieq(scalar(r), str_of(yes[i])) && !str_ieq(scalar(r), str_of(no[i])))
            continue;
        *value = str_ieq(scalar(r), str_of(yes[i]));
        return OK;
    }
    return wanted(r, "true or false");
}

/* Only whether there is anything. */
static enum err read_presence(struct reader *r, void *at)
{
    bool *present = at;
    bool is_text = r->event.type == YAML_SCALAR_EVENT;
    bool is_something = is_text && !str_empty(scalar(r)) && !is_null(r);
    size_t events = 0;
    enum err e = skip_counting(r, &events);

    *present |= is_something || (!is_text && events > 2);
    return e;
}

static enum err read_value(struct reader *r, const struct field *field, void *into)
{
    return field ? field->read(r, (char *)into + field->offset) : skip(r);
}

static const struct field *find(const struct field *fields, struct str key)
{
    for (; fields->key; fields++)
        if (str_eq(str_of(fields->key), key))
            return fields;
    return NULL;
}

static enum err read_mapping(struct reader *r, const struct field *fields, void *into)
{
    if (is_null(r))
        return OK;
    if (r->event.type != YAML_MAPPING_START_EVENT)
        return wanted(r, "a mapping (key: value)");
    for (;;) {
        enum err e = next(r);
        if (e || r->event.type == YAML_MAPPING_END_EVENT)
            return e;
        if (r->event.type != YAML_SCALAR_EVENT)
            return wanted(r, "a plain key");
        const struct field *field = find(fields, scalar(r));
        e = next(r);
        if (!e)
            e = read_value(r, field, into);
        if (e)
            return e;
    }
}

#define TEXT(key, type, member)                                                          \
    {                                                                                    \
        key, offsetof(struct type, member), read_text                                    \
    }
#define END                                                                              \
    {                                                                                    \
        NULL, 0, NULL                                                                    \
    }

static const struct field cluster_fields[] = {
    TEXT("server", kc_cluster, server),
    TEXT("tls-server-name", kc_cluster, tls_server_name),
    TEXT("proxy-url", kc_cluster, proxy),
    TEXT("certificate-authority", kc_cluster, ca_file),
    TEXT("certificate-authority-data", kc_cluster, ca_data),
    { "insecure-skip-tls-verify", offsetof(struct kc_cluster, insecure), read_bool },
    END,
};

static enum err read_cluster(struct reader *r, void *at)
{
    return read_mapping(r, cluster_fields, at);
}

static const struct field context_fields[] = {
    TEXT("cluster", kc_context, cluster),
    TEXT("user", kc_context, user),
    TEXT("namespace", kc_context, ns),
    END,
};

static enum err read_context(struct reader *r, void *at)
{
    return read_mapping(r, context_fields, at);
}

static const struct field exec_fields[] = {
    TEXT("command", kc_user, exec_command),
    TEXT("installHint", kc_user, exec_hint),
    END,
};

static const struct field provider_fields[] = {
    TEXT("name", kc_user, auth_provider),
    END,
};

/* That there is a plugin counts, even one without a name. */
static enum err read_plugin(struct reader *r, const struct field *fields,
                            struct kc_user *user, char **name)
{
    bool nothing = is_null(r);
    enum err e = read_mapping(r, fields, user);

    if (!e && !nothing && !*name)
        *name = xstrdup("");
    return e;
}

static enum err read_exec(struct reader *r, void *at)
{
    struct kc_user *user = at;
    return read_plugin(r, exec_fields, user, &user->exec_command);
}

static enum err read_provider(struct reader *r, void *at)
{
    struct kc_user *user = at;
    return read_plugin(r, provider_fields, user, &user->auth_provider);
}

static const struct field user_fields[] = {
    TEXT("client-certificate", kc_user, certificate_file),
    TEXT("client-certificate-data", kc_user, certificate_data),
    TEXT("client-key", kc_user, key_file),
    TEXT("client-key-data", kc_user, key_data),
    TEXT("token", kc_user, token),
    TEXT("tokenFile", kc_user, token_file),
    TEXT("username", kc_user, username),
    TEXT("password", kc_user, password),
    { "exec", 0, read_exec },
    { "auth-provider", 0, read_provider },
    { "as", offsetof(struct kc_user, impersonates), read_presence },
    { "as-uid", offsetof(struct kc_user, impersonates), read_presence },
    { "as-groups", offsetof(struct kc_user, impersonates), read_presence },
    { "as-user-extra", offsetof(struct kc_user, impersonates), read_presence },
    END,
};

static enum err read_user(struct reader *r, void *at)
{
    return read_mapping(r, user_fields, at);
}

/* One row of a list: "- name: x" and, under the kind's own key, the rest. */
static const struct field cluster_row[] = {
    TEXT("name", kc_cluster, entry.name),
    { "cluster", 0, read_cluster },
    END,
};
static const struct field user_row[] = {
    TEXT("name", kc_user, entry.name),
    { "user", 0, read_user },
    END,
};
static const struct field context_row[] = {
    TEXT("name", kc_context, entry.name),
    { "context", 0, read_context },
    END,
};

static const struct kc_entry *find_entry(const struct list_node *list, const char *name)
{
    list_for_each (e, (struct list_node *)(uintptr_t)list, struct kc_entry, node)
        if (name && str_eq(str_of(e->name), str_of(name)))
            return e;
    return NULL;
}

static enum err read_row(struct reader *r, struct list_node *list, const char *kind,
                         const struct field *row, size_t size)
{
    struct kc_entry *entry = xcalloc(1, size);

    list_init(&entry->node);
    entry->file = xstrdup(r->path);
    entry->line = line_of(r);
    enum err e = read_mapping(r, row, entry);
    const struct kc_entry *other = find_entry(list, entry->name);
    list_append(list, &entry->node);
    if (e)
        return e;
    if (!entry->name)
        return diag_set(r->why, ERR_CONFIG, "%s:%u: a %s without a name", r->path,
                        entry->line, kind);
    if (other)
        return diag_set(r->why, ERR_CONFIG, "%s:%u: %s \"%s\" stands in line %u already",
                        r->path, entry->line, kind, entry->name, other->line);
    return OK;
}

static enum err read_rows(struct reader *r, struct list_node *list, const char *kind,
                          const struct field *row, size_t size)
{
    if (is_null(r))
        return OK;
    if (r->event.type != YAML_SEQUENCE_START_EVENT)
        return wanted(r, "a list (- name: ...)");
    for (;;) {
        enum err e = next(r);
        if (e || r->event.type == YAML_SEQUENCE_END_EVENT)
            return e;
        e = read_row(r, list, kind, row, size);
        if (e)
            return e;
    }
}

static enum err read_clusters(struct reader *r, void *at)
{
    return read_rows(r, at, "cluster", cluster_row, sizeof(struct kc_cluster));
}

static enum err read_users(struct reader *r, void *at)
{
    return read_rows(r, at, "user", user_row, sizeof(struct kc_user));
}

static enum err read_contexts(struct reader *r, void *at)
{
    return read_rows(r, at, "context", context_row, sizeof(struct kc_context));
}

static const struct field top_fields[] = {
    TEXT("current-context", kubeconfig, current),
    { "clusters", offsetof(struct kubeconfig, clusters), read_clusters },
    { "users", offsetof(struct kubeconfig, users), read_users },
    { "contexts", offsetof(struct kubeconfig, contexts), read_contexts },
    END,
};

/* The first document; an empty file is an empty configuration. */
static enum err read_file(struct reader *r, struct kubeconfig *kc)
{
    enum err e = next(r); /* the stream's start */

    if (!e)
        e = next(r);
    if (e || r->event.type == YAML_STREAM_END_EVENT)
        return e;
    e = next(r);
    return e ? e : read_mapping(r, top_fields, kc);
}

enum err kubeconfig_parse(struct str text, const char *path, struct kubeconfig **ret,
                          struct diag *why)
{
    struct reader r = { .path = path, .why = why };
    struct kubeconfig *kc = kubeconfig_create();

    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.at, text.len);
    enum err e = read_file(&r, kc);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    if (e) {
        kubeconfig_destroy(kc);
        return e;
    }
    *ret = kc;
    return OK;
}

struct kubeconfig *kubeconfig_create(void)
{
    struct kubeconfig *kc = xcalloc(1, sizeof(*kc));

    list_init(&kc->clusters);
    list_init(&kc->users);
    list_init(&kc->contexts);
    return kc;
}

static void free_texts(const struct field *fields, void *from)
{
    for (; fields->key; fields++)
        if (fields->read == read_text)
            free(*(char **)((char *)from + fields->offset));
}

static void free_entry(struct kc_entry *entry)
{
    list_remove(&entry->node);
    free(entry->name);
    free(entry->file);
    free(entry);
}

static void free_user(struct kc_entry *entry)
{
    free_texts(user_fields, entry);
    free_texts(exec_fields, entry);
    free_texts(provider_fields, entry);
    free_entry(entry);
}

static void free_cluster(struct kc_entry *entry)
{
    free_texts(cluster_fields, entry);
    free_entry(entry);
}

static void free_context(struct kc_entry *entry)
{
    free_texts(context_fields, entry);
    free_entry(entry);
}

static void free_list(struct list_node *list, void (*destroy)(struct kc_entry *))
{
    list_for_each (e, list, struct kc_entry, node)
        destroy(e);
}

void kubeconfig_destroy(struct kubeconfig *kc)
{
    if (!kc)
        return;
    free_list(&kc->clusters, free_cluster);
    free_list(&kc->users, free_user);
    free_list(&kc->contexts, free_context);
    free(kc->current);
    free(kc);
}

/* What is left in `from` afterwards was defined before. */
static void merge_list(struct list_node *into, struct list_node *from)
{
    list_for_each (e, from, struct kc_entry, node) {
        if (find_entry(into, e->name))
            continue;
        list_remove(&e->node);
        list_append(into, &e->node);
    }
}

void kubeconfig_merge(struct kubeconfig *into, struct kubeconfig *from)
{
    merge_list(&into->clusters, &from->clusters);
    merge_list(&into->users, &from->users);
    merge_list(&into->contexts, &from->contexts);
    if (!into->current)
        into->current = TAKE(from->current);
    kubeconfig_destroy(from);
}

bool kubeconfig_empty(const struct kubeconfig *kc)
{
    return list_empty(&kc->clusters) && list_empty(&kc->users) &&
           list_empty(&kc->contexts) && !kc->current;
}

const struct kc_cluster *kubeconfig_cluster(const struct kubeconfig *kc, const char *name)
{
    return (const struct kc_cluster *)find_entry(&kc->clusters, name);
}

const struct kc_user *kubeconfig_user(const struct kubeconfig *kc, const char *name)
{
    return (const struct kc_user *)find_entry(&kc->users, name);
}

const struct kc_context *kubeconfig_context(const struct kubeconfig *kc, const char *name)
{
    return (const struct kc_context *)find_entry(&kc->contexts, name);
}
