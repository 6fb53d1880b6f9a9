/* config/setting.h - the rows of the table of settings, to iterate over
 *
 * For code that shows, documents or parses settings by name (cli/).  Code that only reads
 * values includes config/config.h.
 */
#pragma once

#include "config/config.h"

enum setting_group {
#define X(NAME, title) GROUP_##NAME,
    SETTING_GROUPS(X)
#undef X
        GROUP_COUNT
};

struct setting {
    const char *name; /* "idle-timeout" */
    const struct setting_type *type;
    size_t offset; /* of the field in struct config */
    const char *initial;
    uint64_t min, max;
    enum setting_group group;
    const char *help;
};

extern const struct setting settings[SETTING_COUNT];

const char *setting_group_title(enum setting_group group);
/* The placeholder of the value in help: "DURATION", "text|json"; NULL for a boolean. */
const char *setting_argument(const struct setting *s);
bool setting_is_bool(const struct setting *s);
bool setting_is_list(const struct setting *s);
bool setting_has_sections(const struct setting *s); /* see struct setting_type */

/* By its exact name, or in any spelling (idleTimeout, IDLE_TIMEOUT); NULL: there is none.
 */
const struct setting *setting_find(struct str name);
const struct setting *setting_find_loosely(struct str name);
/* Is it this name, in any spelling? */
bool setting_name_matches(struct str written, const char *name);
/* The most similar name, or NULL when none is similar. */
const char *setting_nearest(struct str name);
/* The same for any list of names, which ends with NULL. */
const char *nearest_name(struct str name, const char *const *names);

/* "KTUN_IDLE_TIMEOUT"; owned by the caller. */
char *setting_variable(const struct setting *s);
/* The value as text that setting_apply would accept; lists with commas.  Owned by the
 * caller. */
char *setting_print(const struct setting *s, const struct config *c);
/* "default", "--port", "KTUN_PORT", "/etc/kube-tunnel/config.yaml:3".  Owned. */
char *setting_origin(const struct setting *s, const struct config *c);

/* Give the setting a value, or add to its list.  "" is "not set", where that is the
 * default. ERR_CONFIG and a sentence that begins with the value; the value of the setting
 * is undefined then. */
MUST_CHECK enum err setting_apply(const struct setting *s, struct str text,
                                  struct config *c, struct diag *why);
/* Free what the value owns and zero it. */
void setting_clear(const struct setting *s, struct config *c);
