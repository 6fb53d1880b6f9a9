/* config/change.c - what differs between two configurations */
#include "config/change.h"

#include <assert.h>

#include "base/own.h"

static const bool reloaded[SETTING_COUNT] = {
#define X(field) [SETTING_##field] = true,
    SETTINGS_RELOADED(X)
#undef X
};

bool setting_is_reloaded(const struct setting *s)
{
    return reloaded[s - settings];
}

void setting_changes_find(const struct config *before, const struct config *after,
                          struct setting_changes *ret)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct setting *s = &settings[i];
        AUTO_FREE char *old = setting_print(s, before);
        AUTO_FREE char *new = setting_print(s, after);
        if (strcmp(old, new) == 0)
            continue;
        ret->at = xrealloc(ret->at, (ret->count + 1) * sizeof(*ret->at));
        ret->at[ret->count++] = (struct setting_change){
            .setting = s,
            .before = TAKE(old),
            .after = TAKE(new),
            .origin = setting_origin(s, after),
            .restart = !setting_is_reloaded(s),
        };
    }
}

void setting_changes_finish(struct setting_changes *c)
{
    for (size_t i = 0; i < c->count; i++) {
        free(c->at[i].before);
        free(c->at[i].after);
        free(c->at[i].origin);
    }
    free(c->at);
    *c = (struct setting_changes){ 0 };
}

/* What setting_print writes, setting_apply accepts. */
static void keep_value(struct config *c, const struct setting *s,
                       const struct config *running)
{
    AUTO_FREE char *value = setting_print(s, running);

    setting_clear(s, c);
    enum err e = setting_apply(s, str_of(value), c, NULL);
    assert(!e);
    c->origins[s - settings] = running->origins[s - settings];
}

void config_keep_unreloaded(struct config *c, const struct config *running)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (!setting_is_reloaded(&settings[i]))
            keep_value(c, &settings[i], running);
}
