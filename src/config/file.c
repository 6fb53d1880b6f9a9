/* config/file.c - read one configuration file and apply its settings */
#include "config/file.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/own.h"
#include "config/layer.h"
#include "config/entries.h"

static enum err of_errno(const char *path, struct diag *why)
{
    enum err e = errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND
                 : errno == EACCES || errno == EPERM ? ERR_ACCESS
                                                     : ERR_IO;
    return diag_set(why, e, "%s: %s", path, strerror(errno));
}

static void file_closep(FILE **f)
{
    if (*f)
        fclose(*f);
}

enum err config_file_read(const char *path, char **ret, size_t *ret_len, struct diag *why)
{
    AUTO(file_closep) FILE *f = fopen(path, "re");
    struct stat status;

    if (!f || fstat(fileno(f), &status))
        return of_errno(path, why);
    if (S_ISDIR(status.st_mode))
        return diag_set(why, ERR_IO, "%s: is a directory", path);

    /* Not the size that stat says: it may be a pipe. */
    AUTO_FREE char *text = xmalloc(CONFIG_FILE_MAX + 1);
    size_t len = fread(text, 1, CONFIG_FILE_MAX + 1, f);
    if (ferror(f))
        return of_errno(path, why);
    if (len > CONFIG_FILE_MAX)
        return diag_set(why, ERR_LIMIT, "%s: larger than 1 MiB", path);
    text[len] = '\0';
    *ret = TAKE(text);
    *ret_len = len;
    return OK;
}

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
