/* config/file.c - read one configuration file and apply its settings */
#include "config/file.h"

#include "base/own.h"
#include "config/layer.h"
#include "config/entries.h"

static enum err unknown_key(const struct entry *entry, struct diag *why)
{
    const char *nearest = setting_nearest(entry->key);

    if (!nearest)
        return diag_set(why, ERR_CONFIG, "no setting is called \"%.*s\"",
                        STR_ARG(entry->key));
    return diag_set(why, ERR_CONFIG, "no setting is called \"%.*s\"; is it \"%s\"?",
                    STR_ARG(entry->key), nearest);
}

static enum err apply_entry(struct config *c, const struct origin *origin,
                            const struct entry *entry, struct diag *why)
{
    const struct setting *s = setting_find_loosely(entry->key);

    if (!s)
        return unknown_key(entry, why);
    if (entry->problem)
        return diag_set(why, ERR_CONFIG, "%s: %s", s->name, entry->problem);
    if (entry->in_section && !setting_has_sections(s))
        return diag_set(why, ERR_CONFIG, "%s: expected a value or a list", s->name);
    if (entry->in_list && !setting_is_list(s))
        return diag_set(why, ERR_CONFIG, "%s: takes one value, not a list", s->name);
    if (entry->first && layer_holds(c, s, origin))
        return diag_set(why, ERR_CONFIG, "%s: is already set in line %u", s->name,
                        c->origins[s - settings].line);
    enum err e = layer_apply(c, s, origin, entry->value, why);
    return e ? diag_prefix(why, e, "%s", s->name) : OK;
}

enum err config_file_apply(struct config *c, enum source source, const char *path,
                           struct str text, struct diag *why)
{
    AUTO(entries_destroyp) struct entries *s = entries_create(path, text, why);
    struct entry entry;
    enum err e;

    while (!(e = entries_next(s, &entry))) {
        struct origin origin = { source, path, entry.line };
        e = apply_entry(c, &origin, &entry, why);
        if (e)
            return diag_prefix(why, e, "%s:%u", path, entry.line);
    }
    return e == ERR_EOF ? OK : e;
}
