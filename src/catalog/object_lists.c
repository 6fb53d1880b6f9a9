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

void slice_destroy(struct slice *s)
{
    free(s);
}

/* Few slices are searched one by one: a map for each service would cost more. */
#define SLICES_UNINDEXED 16

static void note_place(struct slice_list *l, size_t i)
{
    map_set(&l->places, str_of(l->at[i]->name), (void *)(uintptr_t)(i + 1));
}

/* The index, or l->count when there is no slice of that name. */
static size_t find_slice(const struct slice_list *l, const char *name)
{
    uintptr_t place = (uintptr_t)map_get(&l->places, str_of(name));
    size_t i = 0;

    if (l->places.count)
        return place ? place - 1 : l->count;
    while (i < l->count && strcmp(l->at[i]->name, name) != 0)
        i++;
    return i;
}

void slice_list_add(struct slice_list *l, struct slice *s)
{
    l->at = grown(l->at, l->count);
    l->at[l->count++] = s;
    if (l->places.count)
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
    bool changed = s->version == 0 || s->version != l->at[i]->version;
    slice_destroy(changed ? l->at[i] : s);
    if (changed)
        l->at[i] = s;
    return changed;
}

/* The last one takes its place. */
bool slice_list_remove(struct slice_list *l, const char *name)
{
    size_t i = find_slice(l, name);

    if (i == l->count)
        return false;
    map_remove(&l->places, str_of(name));
    slice_destroy(l->at[i]);
    l->at[i] = l->at[--l->count];
    if (l->places.count && i < l->count)
        note_place(l, i);
    if (l->count == 0)
        slice_list_finish(l);
    return true;
}

void slice_list_finish(struct slice_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        slice_destroy(l->at[i]);
    free(l->at);
    map_finish(&l->places);
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
