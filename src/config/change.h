/* config/change.h - what differs between two configurations
 *
 * The table of settings (SETTINGS_RELOADED in config/settings.h) determines which changes a
 * running process applies; the others take effect at its next start.
 */
#pragma once

#include "config/setting.h"

struct setting_change {
    const struct setting *setting;
    char *before, *after; /* as setting_print writes them; owned */
    char *origin;         /* where the new value comes from; owned */
    bool restart;         /* it takes effect at the next start */
};

struct setting_changes {
    struct setting_change *at;
    size_t count;
};

/* Is a change of this setting applied by a reload? */
bool setting_is_reloaded(const struct setting *s);

/* In the order of the table; zeroed before. */
void setting_changes_find(const struct config *before, const struct config *after,
                          struct setting_changes *ret);
void setting_changes_finish(struct setting_changes *c);

/* Gives every setting that a reload does not apply the value and origin that it has in
 * `running`, of which *c then borrows texts: `running` must outlive it.  *c is not shared
 * yet. */
void config_keep_unreloaded(struct config *c, const struct config *running);
