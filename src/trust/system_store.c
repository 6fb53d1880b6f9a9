/* trust/system_store.c - the system's trust store: a folder, and a program that reads it */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "base/program.h"
#include "trust/store_kind.h"

#define CERTIFICATE_MAX 65536

/* The first one whose folder exists is the system's. */
static const struct layout {
    const char *folder, *suffix, *updater;
    const char *fresh; /* its option after a removal, without which links stay; or NULL */
} layouts[] = {
    /* Debian, Ubuntu, Alpine */
    { "/usr/local/share/ca-certificates", ".crt", "update-ca-certificates", "--fresh" },
    /* Fedora, RHEL */
    { "/etc/pki/ca-trust/source/anchors", ".pem", "update-ca-trust", NULL },
    /* Arch */
    { "/etc/ca-certificates/trust-source/anchors", ".crt", "update-ca-trust", NULL },
    /* openSUSE */
    { "/etc/pki/trust/anchors", ".pem", "update-ca-certificates", "--fresh" },
};

static const struct layout *layout_of(const struct store *s)
{
    size_t i = 0;

    while (strcmp(layouts[i].folder, s->path) != 0)
        i++;
    return &layouts[i];
}

static char *file_of(const struct store *s, const struct trusted *t)
{
    return xasprintf("%s/%s%s", s->path, t->name, layout_of(s)->suffix);
}

/* Distributions have them in a folder that may not be in a user's path. */
static char *updater_of(const struct store *s)
{
    const char *name = layout_of(s)->updater;
    char *found = program_find(name);
    AUTO_FREE char *usual = xasprintf("/usr/sbin/%s", name);

    return found || access(usual, X_OK) ? found : TAKE(usual);
}

static bool system_is_usable(const struct store *s, struct diag *why)
{
    AUTO_FREE char *updater = updater_of(s);

    if (!updater)
        diag_set(why, ERR_NOT_FOUND, "%s is not installed", layout_of(s)->updater);
    return updater != NULL;
}

static bool system_has(const struct store *s, const struct trusted *t)
{
    AUTO_FREE char *path = file_of(s, t);
    AUTO_FREE char *text = NULL;
    size_t len;

    return file_read_regular(path, CERTIFICATE_MAX, &text, &len, NULL) == OK &&
           strcmp(text, t->pem) == 0;
}

static enum err update(const struct store *s, const char *option, struct diag *why)
{
    AUTO_FREE char *updater = updater_of(s);
    const char *const words[] = { updater, option, NULL };

    return updater ? program_run(words, NULL, why)
                   : diag_set(why, ERR_NOT_FOUND, "%s is not installed",
                              layout_of(s)->updater);
}

static enum err system_add(const struct store *s, const struct trusted *t,
                           char **ret_command, struct diag *why)
{
    AUTO_FREE char *path = file_of(s, t);
    enum err e = file_replace(path, str_of(t->pem), 0644, why);

    if (e == ERR_ACCESS)
        *ret_command = xasprintf("sudo install -m 644 '%s' '%s' && sudo %s", t->file,
                                 path, layout_of(s)->updater);
    return e ? e : update(s, NULL, why);
}

static enum err system_remove(const struct store *s, const struct trusted *t,
                              char **ret_command, struct diag *why)
{
    const struct layout *l = layout_of(s);
    AUTO_FREE char *path = file_of(s, t);

    if (unlink(path) == 0)
        return update(s, l->fresh, why);
    *ret_command = xasprintf("sudo rm '%s' && sudo %s%s%s", path, l->updater,
                             l->fresh ? " " : "", l->fresh ? l->fresh : "");
    return diag_set(why, ERR_ACCESS, "%s: %s", path, strerror(errno));
}

static const struct store_kind system_kind = {
    .is_usable = system_is_usable,
    .has = system_has,
    .add = system_add,
    .remove = system_remove,
};

void system_store_find(struct stores *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(layouts); i++) {
        if (access(layouts[i].folder, F_OK))
            continue;
        stores_append(ret, &system_kind, xstrdup(layouts[i].folder),
                      "curl, git, openssl and most programs");
        return;
    }
}
