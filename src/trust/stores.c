/* trust/stores.c - all trust stores, of any kind */
#include "trust/store.h"

#include "base/own.h"
#include "trust/store_kind.h"

void stores_append(struct stores *s, const struct store_kind *kind, char *path,
                   const char *users)
{
    s->at = xrealloc(s->at, (s->count + 1) * sizeof(*s->at));
    s->at[s->count++] = (struct store){ kind, path, users };
}

void stores_find(struct stores *ret)
{
    *ret = (struct stores){ 0 };
    system_store_find(ret);
    nss_stores_find(ret);
}

void stores_finish(struct stores *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->at[i].path);
    free(s->at);
    *s = (struct stores){ 0 };
}

bool store_is_usable(const struct store *s, struct diag *why)
{
    return s->kind->is_usable(s, why);
}

bool store_has(const struct store *s, const struct trusted *t)
{
    return s->kind->has(s, t);
}

enum err store_add(const struct store *s, const struct trusted *t, char **ret_command,
                   struct diag *why)
{
    *ret_command = NULL;
    return s->kind->has(s, t) ? OK : s->kind->add(s, t, ret_command, why);
}

enum err store_remove(const struct store *s, const struct trusted *t, char **ret_command,
                      struct diag *why)
{
    *ret_command = NULL;
    return s->kind->has(s, t) ? s->kind->remove(s, t, ret_command, why) : OK;
}
