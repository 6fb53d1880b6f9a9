/* playground/api/collection.c - lists, in pages or whole, and the beginning of watches */
#include <stdio.h>

#include "base/own.h"
#include "playground/api/answer.h"
#include "playground/api/object.h"
#include "playground/api/table.h"

void view_finish(struct view *v)
{
    free(v->ns);
    free(v->label_text);
    free(v->field_text);
    *v = (struct view){ 0 };
}

bool view_shows(const struct view *v, const json_t *object)
{
    if (*v->ns && strcmp(v->ns, object_namespace(object)) != 0)
        return false;
    return selector_matches_labels(&v->labels, object) &&
           selector_matches_fields(&v->fields, object);
}

static char *value_or_empty(const struct call *call, const char *key)
{
    char *value = query_value(call->head->target, key);
    return value ? value : xstrdup("");
}

static struct str accepted(const struct call *call)
{
    const struct http1_field *accept = http1_find(call->head, FIELD_ACCEPT);
    return accept ? accept->value : STR("");
}

static enum err view_init(struct view *v, const struct call *call,
                          const struct api_path *path, const struct kind *kind)
{
    *v = (struct view){ .kind = kind_number(kind), .ns = str_dup(path->ns) };
    v->label_text = value_or_empty(call, "labelSelector");
    v->field_text = value_or_empty(call, "fieldSelector");
    v->table = table_wanted(accepted(call));
    enum err e = selector_parse(str_of(v->label_text), &v->labels);
    if (!e)
        e = selector_parse(str_of(v->field_text), &v->fields);
    return e ? e : selector_check_fields(&v->fields);
}

/* A page: which objects, and where the next one begins. */
struct page_request {
    uint64_t limit;    /* 0: all */
    uint64_t revision; /* of the first page; 0: this is the first page */
    char *after; /* "namespace/name" of the last object seen; NULL: from the start */
};

/* Tokens are opaque to clients: "revision:namespace/name". */
static enum err parse_token(const char *token, struct page_request *ret)
{
    struct str revision;
    struct str after = str_cut(str_of(token), ':', &revision);
    enum err e = str_to_uint(revision, UINT64_MAX, &ret->revision);
    if (e || str_empty(after))
        return ERR_PROTO;
    ret->after = str_dup(after);
    return OK;
}

/* The index of the first object of a page; objects are in order of namespace and name. */
static size_t first_place(const struct store *s, const struct view *v, const char *after)
{
    if (!after)
        return *v->ns ? store_place(s, v->kind, v->ns, "") : 0;
    struct str ns;
    struct str name = str_cut(str_of(after), '/', &ns);
    AUTO_FREE char *ns_text = str_dup(ns);
    /* the first name after it */
    AUTO_FREE char *next = xasprintf("%.*s\x01", STR_ARG(name));
    return store_place(s, v->kind, ns_text, next);
}

/* One past the last object that a view of one namespace may show. */
static size_t last_place(const struct store *s, const struct view *v)
{
    AUTO_FREE char *next = xasprintf("%s\x01", v->ns);
    return *v->ns ? store_place(s, v->kind, next, "") : store_count(s, v->kind);
}

/* Objects in typed lists have no kind and apiVersion. */
static json_t *list_item(json_t *object)
{
    json_t *item = json_copy(object);
    json_object_del(item, "kind");
    json_object_del(item, "apiVersion");
    return item;
}

static json_t *empty_list(const struct kind *kind, const char *revision)
{
    char version[64];
    char name[64];
    kind_api_version(kind, version);
    snprintf(name, sizeof(name), "%sList", kind->name);
    return json_pack("{s:s, s:s, s:{s:s}, s:[]}", "kind", name, "apiVersion", version,
                     "metadata", "resourceVersion", revision, "items");
}

static void add_object(json_t *list, const struct view *v, json_t *object)
{
    if (v->table)
        table_add(list, &kinds[v->kind], object);
    else
        json_array_append_new(json_object_get(list, "items"), list_item(object));
}

static void set_continue(json_t *list, const char *revision, const json_t *last,
                         size_t left, bool counted)
{
    json_t *metadata = json_object_get(list, "metadata");
    AUTO_FREE char *token =
        xasprintf("%s:%s/%s", revision, object_namespace(last), object_name(last));
    json_object_set_new(metadata, "continue", json_string(token));
    if (counted)
        json_object_set_new(metadata, "remainingItemCount",
                            json_integer((json_int_t)left));
}

static bool has_selectors(const struct view *v)
{
    return v->labels.count || v->fields.count;
}

/* Counts the remaining objects of the view; without selectors, all of them. */
static size_t count_left(const struct store *s, const struct view *v, size_t from,
                         size_t end)
{
    size_t left = 0;

    if (!has_selectors(v))
        return end - from;
    for (size_t i = from; i < end; i++)
        left += view_shows(v, store_at(s, v->kind, i));
    return left;
}

/* Fills the list; returns how many objects of the view did not fit, and the last that
 * did. */
static size_t fill_list(const struct store *s, const struct view *v,
                        const struct page_request *page, json_t *list,
                        const json_t **ret_last)
{
    size_t shown = 0;
    size_t end = last_place(s, v);
    size_t i = first_place(s, v, page->after);

    for (; i < end; i++) {
        json_t *object = store_at(s, v->kind, i);
        if (!view_shows(v, object))
            continue;
        if (page->limit && shown == page->limit)
            return count_left(s, v, i, end);
        add_object(list, v, object);
        *ret_last = object;
        shown++;
    }
    return 0;
}

static void answer_list(struct cluster *c, const struct view *v,
                        const struct page_request *page, struct answer *a)
{
    uint64_t at = page->revision ? page->revision : store_revision(c->store);
    const json_t *last = NULL;
    char revision[24];

    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)at);
    json_t *list = v->table ? table_create(&kinds[v->kind], revision, true)
                            : empty_list(&kinds[v->kind], revision);
    size_t left = fill_list(c->store, v, page, list, &last);
    if (left)
        set_continue(list, revision, last, left, !has_selectors(v));
    answer_json(a, 200, list);
}

static void respond_list(struct cluster *c, const struct call *call, const struct view *v,
                         struct answer *a)
{
    struct page_request page = { 0 };
    AUTO_FREE char *limit = value_or_empty(call, "limit");
    AUTO_FREE char *token = value_or_empty(call, "continue");

    if (str_to_uint(str_of(limit), UINT32_MAX, &page.limit))
        page.limit = 0;
    if (*token && parse_token(token, &page)) {
        answer_failure(a, 400, "BadRequest", NULL, "continue key is not valid");
    } else if (page.revision && page.revision < store_oldest(c->store)) {
        answer_failure(
            a, 410, "Expired", NULL,
            "The provided continue parameter is too old to display a consistent "
            "list result. You can start a new list without the continue "
            "parameter.");
    } else {
        answer_list(c, v, &page, a);
    }
    free(page.after);
}

static bool is_set(const char *value)
{
    return value && (strcmp(value, "1") == 0 || strcmp(value, "true") == 0);
}

static bool query_flag(const struct call *call, const char *key)
{
    AUTO_FREE char *value = query_value(call->head->target, key);
    return is_set(value);
}

static uint64_t query_uint(const struct call *call, const char *key)
{
    AUTO_FREE char *value = value_or_empty(call, key);
    uint64_t n;
    return str_to_uint(str_of(value), UINT64_MAX, &n) ? 0 : n;
}

static void start_watch(const struct store *s, const struct call *call, struct answer *a)
{
    struct watch_start *w = &a->watch;
    w->revision = query_uint(call, "resourceVersion");
    w->bookmarks = query_flag(call, "allowWatchBookmarks");
    w->initial_end = query_flag(call, "sendInitialEvents");
    w->initial = w->revision == 0 || w->initial_end;
    w->timeout_s = query_uint(call, "timeoutSeconds");
    if (w->initial)
        w->revision = store_revision(s);
    a->status = 200;
    a->next = NEXT_WATCH;
}

void respond_collection(struct cluster *c, const struct call *call,
                        const struct api_path *path, const struct kind *kind,
                        struct answer *a)
{
    bool watch = query_flag(call, "watch");
    struct view *v = &a->watch.view;

    AUTO_FREE char *fields = value_or_empty(call, "fieldSelector");
    struct str name = str_starts(str_of(fields), STR("metadata.name="))
                          ? str_skip(str_of(fields), 14)
                          : STR("");

    if (!authorize_name(c, path, watch ? STR("watch") : STR("list"), name, a))
        return;
    if (view_init(v, call, path, kind))
        answer_failure(a, 400, "BadRequest", NULL, "unable to parse requirement");
    else if (watch)
        start_watch(c->store, call, a);
    else
        respond_list(c, call, v, a);
}
