/* kube/kubeconfig.c - kubeconfig files: read one, merge several, find entries by name
 *
 * Tables define for each mapping which keys are read, into which field, and how
 * (yaml/fields.h).  Events are pulled one at a time, so memory goes with what is kept and
 * not with what the file holds; entries are found by a hash of their names, because files
 * of tens of thousands of contexts exist.
 */
#include "kube/kubeconfig.h"

#include "base/own.h"
#include "kube/yaml_json.h"
#include "yaml/fields.h"

#define EXEC_EXTENSION "client.authentication.k8s.io/exec"

#define TEXT(key, type, member)                                                          \
    {                                                                                    \
        key, offsetof(struct type, member), &yaml_text                                   \
    }
#define END                                                                              \
    {                                                                                    \
        NULL                                                                             \
    }

struct extension {
    char *name, *json;
};

static enum err read_json(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    json_t *value = NULL;
    enum err e = yaml_to_json(c, &value);
    (void)f;

    if (e)
        return e;
    *(char **)at = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(value);
    return OK;
}

static void clear_json(const struct yaml_field *f, void *at)
{
    (void)f;
    free(*(char **)at);
    *(char **)at = NULL;
}

static void copy_json(const struct yaml_field *f, void *to, const void *from)
{
    (void)f;
    *(char **)to = xstrdup_or_null(*(char *const *)from);
}

static const struct yaml_type json_text_type = { read_json, clear_json, copy_json };

static const struct yaml_field extension_fields[] = {
    TEXT("name", extension, name),
    { "extension", offsetof(struct extension, json), &json_text_type },
    END,
};

static enum err read_extension(struct yaml_cursor *c, void *at)
{
    char **json = at;
    struct extension x = { NULL, NULL };
    enum err e = yaml_read_fields(c, extension_fields, &x);

    if (!e && x.name && str_eq(str_of(x.name), STR(EXEC_EXTENSION))) {
        free(*json);
        *json = TAKE(x.json);
    }
    yaml_clear_fields(extension_fields, &x);
    return e;
}

static enum err read_extensions(struct yaml_cursor *c, const struct yaml_field *f,
                                void *at)
{
    (void)f;
    return yaml_read_each(c, YAML_LIST, read_extension, at);
}

static const struct yaml_type extensions_type = { read_extensions, clear_json,
                                                  copy_json };

static const struct yaml_field cluster_fields[] = {
    TEXT("server", kc_cluster, server),
    TEXT("tls-server-name", kc_cluster, tls_server_name),
    TEXT("proxy-url", kc_cluster, proxy),
    TEXT("certificate-authority", kc_cluster, ca_file),
    TEXT("certificate-authority-data", kc_cluster, ca_data),
    { "insecure-skip-tls-verify", offsetof(struct kc_cluster, insecure), &yaml_bool },
    { "disable-compression", offsetof(struct kc_cluster, disable_compression),
      &yaml_bool },
    { "extensions", offsetof(struct kc_cluster, exec_config), &extensions_type },
    END,
};

static const struct yaml_field context_fields[] = {
    TEXT("cluster", kc_context, cluster),
    TEXT("user", kc_context, user),
    TEXT("namespace", kc_context, ns),
    END,
};

static const struct yaml_field variable_fields[] = {
    TEXT("name", text_pair, name),
    TEXT("value", text_pair, value),
    END,
};

static enum err read_variable(struct yaml_cursor *c, void *at)
{
    struct text_pairs *pairs = at;
    struct text_pair v = { NULL, NULL };
    enum err e = yaml_read_fields(c, variable_fields, &v);

    if (e) {
        yaml_clear_fields(variable_fields, &v);
        return e;
    }
    yaml_pairs_add(pairs, v.name ? v.name : xstrdup(""), v.value ? v.value : xstrdup(""));
    return OK;
}

static enum err read_variables(struct yaml_cursor *c, const struct yaml_field *f,
                               void *at)
{
    (void)f;
    return yaml_read_each(c, YAML_LIST, read_variable, at);
}

static void clear_variables(const struct yaml_field *f, void *at)
{
    yaml_pairs.clear(f, at);
}

static void copy_variables(const struct yaml_field *f, void *to, const void *from)
{
    yaml_pairs.copy(f, to, from);
}

static const struct yaml_type variables_type = { read_variables, clear_variables,
                                                 copy_variables };

static const struct yaml_field exec_fields[] = {
    TEXT("command", kc_exec, command),
    TEXT("apiVersion", kc_exec, api_version),
    TEXT("installHint", kc_exec, install_hint),
    TEXT("interactiveMode", kc_exec, interactive_mode),
    { "args", offsetof(struct kc_exec, args), &yaml_texts },
    { "env", offsetof(struct kc_exec, env), &variables_type },
    { "provideClusterInfo", offsetof(struct kc_exec, provide_cluster_info), &yaml_bool },
    END,
};

static const struct yaml_field provider_fields[] = {
    TEXT("name", kc_auth_provider, name),
    { "config", offsetof(struct kc_auth_provider, config), &yaml_pairs },
    END,
};

static void extras_add(struct kc_extras *x, struct kc_extra extra)
{
    if ((x->count & (x->count - 1)) == 0)
        x->at = xrealloc(x->at, (x->count ? x->count * 2 : 1) * sizeof(*x->at));
    x->at[x->count++] = extra;
}

/* The list is the extra's even when it could not be read to its end. */
static enum err read_extra(struct yaml_cursor *c, void *at)
{
    struct kc_extras *extras = at;
    struct kc_extra extra = { 0 };
    enum err e = yaml_read_text(c, &extra.name);

    if (e)
        return e;
    if (!extra.name)
        extra.name = xstrdup("");
    e = yaml_next(c);
    if (!e)
        e = yaml_texts.read(c, NULL, &extra.values);
    extras_add(extras, extra);
    return e;
}

static enum err read_extras(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    (void)f;
    return yaml_read_each(c, YAML_MAP, read_extra, at);
}

static void clear_extras(const struct yaml_field *f, void *at)
{
    struct kc_extras *x = at;
    (void)f;

    for (size_t i = 0; i < x->count; i++) {
        free(x->at[i].name);
        texts_finish(&x->at[i].values);
    }
    free(x->at);
    *x = (struct kc_extras){ 0 };
}

static void copy_extras(const struct yaml_field *f, void *to, const void *from)
{
    const struct kc_extras *x = from;

    for (size_t i = 0; i < x->count; i++) {
        struct kc_extra extra = { .name = xstrdup_or_null(x->at[i].name) };
        yaml_texts.copy(f, &extra.values, &x->at[i].values);
        extras_add(to, extra);
    }
}

static const struct yaml_type extras_type = { read_extras, clear_extras, copy_extras };

static const struct yaml_field user_fields[] = {
    TEXT("client-certificate", kc_user, certificate_file),
    TEXT("client-certificate-data", kc_user, certificate_data),
    TEXT("client-key", kc_user, key_file),
    TEXT("client-key-data", kc_user, key_data),
    TEXT("token", kc_user, token),
    TEXT("tokenFile", kc_user, token_file),
    TEXT("username", kc_user, username),
    TEXT("password", kc_user, password),
    TEXT("as", kc_user, as),
    TEXT("as-uid", kc_user, as_uid),
    { "as-groups", offsetof(struct kc_user, as_groups), &yaml_texts },
    { "as-user-extra", offsetof(struct kc_user, as_extra), &extras_type },
    { "exec", offsetof(struct kc_user, exec), &yaml_struct, exec_fields,
      sizeof(struct kc_exec) },
    { "auth-provider", offsetof(struct kc_user, auth_provider), &yaml_struct,
      provider_fields, sizeof(struct kc_auth_provider) },
    END,
};

/* One row of a list: "- name: x" and, under the kind's own key, the rest. */
static const struct yaml_field cluster_row[] = {
    TEXT("name", kc_cluster, entry.name),
    { "cluster", 0, &yaml_part, cluster_fields },
    END,
};
static const struct yaml_field user_row[] = {
    TEXT("name", kc_user, entry.name),
    { "user", 0, &yaml_part, user_fields },
    END,
};
static const struct yaml_field context_row[] = {
    TEXT("name", kc_context, entry.name),
    { "context", 0, &yaml_part, context_fields },
    END,
};

static void free_entry(const struct yaml_field *row, struct kc_entry *entry)
{
    list_remove(&entry->node);
    yaml_clear_fields(row, entry);
    free(entry);
}

static enum err read_row(struct yaml_cursor *c, const struct yaml_field *f,
                         struct kc_table *table)
{
    struct kc_entry *entry = xcalloc(1, f->size);

    list_append(&table->list, &entry->node);
    entry->file = table->file;
    entry->line = yaml_at(c)->line;
    enum err e = yaml_read_fields(c, f->fields, entry);
    if (e)
        return e;
    if (!entry->name)
        entry->name = xstrdup("");
    const struct kc_entry *other = map_get(&table->by_name, str_of(entry->name));
    if (other)
        return yaml_refuse_line(c, entry->line,
                                "%s \"%s\" is already defined in line "
                                "%u",
                                table->kind, entry->name, other->line);
    map_set(&table->by_name, str_of(entry->name), entry);
    return OK;
}

static enum err read_rows(struct yaml_cursor *c, const struct yaml_field *f, void *at)
{
    bool is_list;
    enum err e = yaml_expect(c, YAML_LIST, &is_list);

    while (!e && is_list) {
        e = yaml_next(c);
        if (e || yaml_at(c)->kind == YAML_LIST_END)
            return e;
        e = read_row(c, f, at);
    }
    return e;
}

static void clear_rows(const struct yaml_field *f, void *at)
{
    struct kc_table *table = at;

    list_for_each (e, &table->list, struct kc_entry, node)
        free_entry(f->fields, e);
    map_finish(&table->by_name);
}

static const struct yaml_type rows_type = { read_rows, clear_rows, NULL };

static const struct yaml_field top_fields[] = {
    TEXT("apiVersion", kubeconfig, api_version),
    TEXT("kind", kubeconfig, kind),
    TEXT("current-context", kubeconfig, current),
    { "clusters", offsetof(struct kubeconfig, clusters), &rows_type, cluster_row,
      sizeof(struct kc_cluster) },
    { "users", offsetof(struct kubeconfig, users), &rows_type, user_row,
      sizeof(struct kc_user) },
    { "contexts", offsetof(struct kubeconfig, contexts), &rows_type, context_row,
      sizeof(struct kc_context) },
    END,
};

static enum err check_kind(const struct kubeconfig *kc, const char *path,
                           struct diag *why)
{
    if (kc->kind && !str_eq(str_of(kc->kind), STR("Config")))
        return diag_set(why, ERR_CONFIG, "%s: it is a %s, not a kubeconfig", path,
                        kc->kind);
    if (kc->api_version && !str_eq(str_of(kc->api_version), STR("v1")))
        return diag_set(why, ERR_CONFIG, "%s: apiVersion \"%s\" is not known (v1 is)",
                        path, kc->api_version);
    return OK;
}

static void set_file(struct kubeconfig *kc, const char *path)
{
    texts_add(&kc->files, xstrdup(path));
    kc->clusters.file = kc->users.file = kc->contexts.file = kc->files.at[0];
}

/* The first document; an empty file is an empty configuration. */
enum err kubeconfig_parse(struct str text, const char *path, struct kubeconfig **ret,
                          struct diag *why)
{
    AUTO(kubeconfig_destroyp) struct kubeconfig *kc = kubeconfig_create();
    struct yaml_cursor *c = yaml_cursor_create(path, text, why);

    set_file(kc, path);
    enum err e = yaml_next(c);
    if (!e && yaml_at(c)->kind != YAML_END)
        e = yaml_read_fields(c, top_fields, kc);
    kc->warnings = yaml_take_warnings(c);
    yaml_cursor_destroy(c);
    if (!e)
        e = check_kind(kc, path, why);
    if (!e)
        *ret = TAKE(kc);
    return e;
}

static void table_init(struct kc_table *table, const char *kind)
{
    list_init(&table->list);
    map_init(&table->by_name);
    table->kind = kind;
}

struct kubeconfig *kubeconfig_create(void)
{
    struct kubeconfig *kc = xcalloc(1, sizeof(*kc));

    table_init(&kc->clusters, "cluster");
    table_init(&kc->users, "user");
    table_init(&kc->contexts, "context");
    return kc;
}

void kubeconfig_destroy(struct kubeconfig *kc)
{
    if (!kc)
        return;
    yaml_clear_fields(top_fields, kc);
    texts_finish(&kc->files);
    texts_finish(&kc->warnings);
    free(kc->origin);
    free(kc);
}

/* What is left in `from` afterwards was defined before. */
static void merge_table(struct kc_table *into, struct kc_table *from)
{
    list_for_each (e, &from->list, struct kc_entry, node) {
        if (map_get(&into->by_name, str_of(e->name)))
            continue;
        list_remove(&e->node);
        list_append(&into->list, &e->node);
        map_set(&into->by_name, str_of(e->name), e);
    }
}

/* The first of the files: nothing to compare with. */
static void take_table(struct kc_table *into, struct kc_table *from)
{
    struct map none = into->by_name;

    into->by_name = from->by_name;
    from->by_name = none;
    if (list_empty(&from->list))
        return;
    list_insert_before(from->list.next, &into->list);
    list_remove(&from->list);
}

static void add_table(struct kc_table *into, struct kc_table *from)
{
    if (list_empty(&into->list))
        take_table(into, from);
    else
        merge_table(into, from);
}

static void move_texts(struct texts *into, struct texts *from)
{
    for (size_t i = 0; i < from->count; i++)
        texts_add(into, TAKE(from->at[i]));
}

void kubeconfig_merge(struct kubeconfig *into, struct kubeconfig *from)
{
    add_table(&into->clusters, &from->clusters);
    add_table(&into->users, &from->users);
    add_table(&into->contexts, &from->contexts);
    if (!into->current)
        into->current = TAKE(from->current);
    move_texts(&into->files, &from->files);
    move_texts(&into->warnings, &from->warnings);
    kubeconfig_destroy(from);
}

bool kubeconfig_empty(const struct kubeconfig *kc)
{
    return list_empty(&kc->clusters.list) && list_empty(&kc->users.list) &&
           list_empty(&kc->contexts.list) && !kc->current;
}

const struct kc_cluster *kubeconfig_cluster(const struct kubeconfig *kc, const char *name)
{
    return map_get(&kc->clusters.by_name, str_of(name));
}

const struct kc_user *kubeconfig_user(const struct kubeconfig *kc, const char *name)
{
    return map_get(&kc->users.by_name, str_of(name));
}

const struct kc_context *kubeconfig_context(const struct kubeconfig *kc, const char *name)
{
    return map_get(&kc->contexts.by_name, str_of(name));
}

const char *kc_pair(const struct text_pairs *pairs, const char *name)
{
    for (size_t i = pairs->count; i--;)
        if (str_eq(str_of(pairs->at[i].name), str_of(name)))
            return pairs->at[i].value;
    return NULL;
}

static void *copy_entry(const struct yaml_field *row, const struct kc_entry *from,
                        size_t size)
{
    struct kc_entry *copy = xcalloc(1, size);

    yaml_copy_fields(row, copy, from);
    list_init(&copy->node);
    copy->file = xstrdup(from->file);
    copy->line = from->line;
    return copy;
}

static void destroy_copy(const struct yaml_field *row, struct kc_entry *copy)
{
    free((char *)(uintptr_t)copy->file);
    free_entry(row, copy);
}

struct kc_user *kc_user_copy(const struct kc_user *u)
{
    return u ? copy_entry(user_row, &u->entry, sizeof(*u)) : NULL;
}

void kc_user_destroy(struct kc_user *u)
{
    if (u)
        destroy_copy(user_row, &u->entry);
}

struct kc_cluster *kc_cluster_copy(const struct kc_cluster *c)
{
    return c ? copy_entry(cluster_row, &c->entry, sizeof(*c)) : NULL;
}

void kc_cluster_destroy(struct kc_cluster *c)
{
    if (c)
        destroy_copy(cluster_row, &c->entry);
}
