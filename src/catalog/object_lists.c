/* catalog/object_lists.c - slices and pods in lists that own them */
#include "base/own.h"
#include "catalog/objects.h"

/* Room for one more: the array doubles whenever its length is a power of two. */
static void *grown(void *at, size_t count)
{
    if (count & (count - 1))
        return at;
    return xrealloc(at, (count ? count * 2 : 1) * sizeof(void *));
}

struct str slice_set_key(const void *slice)
{
    const struct slice *s = slice;

    return str_of(s->key);
}

void slice_destroy(struct slice *s)
{
    free(s);
}

/* Few slices are searched one by one: a map for each service would cost more. */
#define SLICES_UNINDEXED 16

static struct slice **slot_of(struct slice_list *l, size_t i)
{
    return i ? &l->others[i - 1] : &l->first;
}

static void note_place(struct slice_list *l, size_t i)
{
    if (!l->places) {
        l->places = xmalloc(sizeof(*l->places));
        map_init(l->places);
    }
    map_set(l->places, str_of(slice_list_at(l, i)->name), (void *)(uintptr_t)(i + 1));
}

/* The index, or l->count when there is no slice of that name. */
static size_t find_slice(const struct slice_list *l, const char *name)
{
    uintptr_t place = l->places ? (uintptr_t)map_get(l->places, str_of(name)) : 0;
    size_t i = 0;

    if (l->places)
        return place ? place - 1 : l->count;
    while (i < l->count && strcmp(slice_list_at(l, i)->name, name) != 0)
        i++;
    return i;
}

void slice_list_add(struct slice_list *l, struct slice *s)
{
    if (l->count)
        l->others = grown(l->others, l->count - 1);
    *slot_of(l, l->count++) = s;
    if (l->places)
        note_place(l, l->count - 1);
    else if (l->count > SLICES_UNINDEXED)
        for (size_t i = 0; i < l->count; i++)
            note_place(l, i);
}

bool slice_list_put(struct slice_list *l, struct slice *s)
{
    size_t i = find_slice(l, s->name);

    if (i == l->count) {
        slice_list_add(l, s);
        return true;
    }
    struct slice **slot = slot_of(l, i);
    bool changed = s->version == 0 || s->version != (*slot)->version;
    slice_destroy(changed ? *slot : s);
    if (changed)
        *slot = s;
    return changed;
}

/* The last one takes its place. */
bool slice_list_remove(struct slice_list *l, const char *name)
{
    size_t i = find_slice(l, name);

    if (i == l->count)
        return false;
    if (l->places)
        map_remove(l->places, str_of(name));
    slice_destroy(slice_list_at(l, i));
    *slot_of(l, i) = slice_list_at(l, --l->count);
    if (l->places && i < l->count)
        note_place(l, i);
    if (l->count == 0)
        slice_list_finish(l);
    return true;
}

void slice_list_finish(struct slice_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        slice_destroy(slice_list_at(l, i));
    free(l->others);
    if (l->places)
        map_finish(l->places);
    free(l->places);
    *l = (struct slice_list){ 0 };
}

void pod_list_add(struct pod_list *l, struct pod *p)
{
    if (l->count == PODS_MAX) {
        l->left_out++;
        pod_destroy(p);
        return;
    }
    l->at = grown(l->at, l->count);
    l->at[l->count++] = p;
}

void pod_list_finish(struct pod_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        pod_destroy(l->at[i]);
    free(l->at);
    *l = (struct pod_list){ 0 };
}
