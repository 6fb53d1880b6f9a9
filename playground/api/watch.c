#include "playground/api/watch.h"

#include <stdio.h>

#include "base/own.h"
#include "playground/api/object.h"
#include "playground/api/table.h"

static void write_event(struct text *out, const char *type, json_t *object)
{
    AUTO_FREE char *text = json_dumps(object, JSON_COMPACT);
    text_printf(out, "{\"type\":\"%s\",\"object\":%s}\n", type, text);
}

static void write_object(struct watch *w, struct text *out, const char *type,
                         json_t *object)
{
    const struct kind *k = &kinds[w->start.view.kind];
    if (!w->start.view.table) {
        write_event(out, type, object);
        return;
    }
    json_t *table = table_create(k, "", !w->columns_sent);
    table_add(table, k, object);
    write_event(out, type, table);
    json_decref(table);
    w->columns_sent = true;
}

static void write_gone(struct watch *w, const struct store *s, struct text *out)
{
    char message[96];
    snprintf(message, sizeof(message), "too old resource version: %llu (%llu)",
             (unsigned long long)w->start.revision, (unsigned long long)store_oldest(s));
    json_t *status = status_object(410, "Expired", NULL, message);
    write_event(out, "ERROR", status);
    json_decref(status);
    w->over = true;
}

static json_t *bookmark(const struct watch *w, bool initial_end)
{
    char version[64];
    char revision[24];
    kind_api_version(&kinds[w->start.view.kind], version);
    snprintf(revision, sizeof(revision), "%llu", (unsigned long long)w->start.revision);
    json_t *b = json_pack("{s:s, s:s, s:{s:s, s:n}}", "kind",
                          kinds[w->start.view.kind].name, "apiVersion", version,
                          "metadata", "resourceVersion", revision, "creationTimestamp");
    if (initial_end)
        json_object_set_new(json_object_get(b, "metadata"), "annotations",
                            json_pack("{s:s}", "k8s.io/initial-events-end", "true"));
    return b;
}

void watch_bookmark(struct watch *w, struct text *out)
{
    json_t *b = bookmark(w, false);
    write_event(out, "BOOKMARK", b);
    json_decref(b);
}

static void write_initial(struct watch *w, const struct store *s, struct text *out)
{
    const struct view *v = &w->start.view;
    for (size_t i = 0; i < store_count(s, v->kind); i++) {
        json_t *object = store_at(s, v->kind, i);
        if (view_shows(v, object))
            write_object(w, out, "ADDED", object);
    }
    w->start.initial = false;
    if (w->start.initial_end) {
        json_t *b = bookmark(w, true);
        write_event(out, "BOOKMARK", b);
        json_decref(b);
    }
}

/* The event type for a client that sees only the objects of the view: one that no longer
 * matches is DELETED. */
static const char *seen_as(const struct view *v, const struct event *e)
{
    bool now = view_shows(v, e->object);
    bool before = e->before ? view_shows(v, e->before) : now;

    if (e->type == EVENT_DELETED)
        return now ? "DELETED" : NULL;
    if (now)
        return e->type == EVENT_ADDED || !before ? "ADDED" : "MODIFIED";
    return before ? "DELETED" : NULL;
}

static void write_event_object(struct watch *w, const struct event *e, struct text *out)
{
    const char *type = e->kind == w->start.view.kind ? seen_as(&w->start.view, e) : NULL;
    if (type)
        write_object(w, out, type, e->object);
    w->start.revision = e->revision;
}

void watch_write(struct watch *w, const struct store *s, struct text *out, size_t max)
{
    if (w->over)
        return;
    if (w->start.initial)
        write_initial(w, s, out);
    if (w->start.revision < store_oldest(s)) {
        write_gone(w, s, out);
        return;
    }
    while (out->len < max) {
        const struct event *e = store_event_after(s, w->start.revision);
        if (!e)
            break;
        write_event_object(w, e, out);
    }
}
