/* trust/nss_store.c - NSS databases, which Chromium, Chrome and Firefox use, by certutil */
#include <errno.h>
#include <glob.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "base/program.h"
#include "trust/store_kind.h"

#define CHROMIUM "Chromium and Chrome"
#define DATABASE "cert9.db"

/* Below $HOME; a "*" stands for a profile. */
static const struct place {
    const char *pattern, *users;
} places[] = {
    { ".pki/nssdb", CHROMIUM },
    { ".local/share/pki/nssdb", CHROMIUM },
    { "snap/chromium/current/.pki/nssdb", CHROMIUM },
    { ".mozilla/firefox/*", "Firefox" },
    { ".config/mozilla/firefox/*", "Firefox" },
    { "snap/firefox/common/.mozilla/firefox/*", "Firefox" },
    { ".var/app/org.mozilla.firefox/.mozilla/firefox/*", "Firefox" },
};

static bool nss_is_usable(const struct store *s, struct diag *why)
{
    AUTO_FREE char *certutil = program_find("certutil");

    (void)s;
    if (!certutil)
        diag_set(why, ERR_NOT_FOUND,
                 "certutil is not installed (Debian and Ubuntu: libnss3-tools, Fedora: "
                 "nss-tools, Arch: nss)");
    return certutil != NULL;
}

/* certutil -d sql:PATH with these words; `-f /dev/null` is an empty password, so that it does
 * not prompt. */
static enum err certutil(const struct store *s, const char *const *words, size_t count,
                         const char *input, struct diag *why)
{
    AUTO_FREE char *database = xasprintf("sql:%s", s->path);
    const char *all[16] = { "certutil", "-f", "/dev/null", "-d", database };

    for (size_t i = 0; i < count; i++)
        all[5 + i] = words[i];
    enum err e = program_run(all, input, why);
    return e ? diag_prefix(why, e, "%s", s->path) : OK;
}

static bool has_database(const char *path)
{
    AUTO_FREE char *file = xasprintf("%s/" DATABASE, path);

    return access(file, F_OK) == 0;
}

static bool nss_has(const struct store *s, const struct trusted *t)
{
    const char *const words[] = { "-L", "-n", t->name };

    return has_database(s->path) &&
           certutil(s, words, ARRAY_LEN(words), NULL, NULL) == OK;
}

/* As Chromium does at its first start. */
static enum err make_database(const struct store *s, struct diag *why)
{
    static const char *const words[] = { "-N", "--empty-password" };
    AUTO_FREE char *parent = xstrndup(s->path, (size_t)(strrchr(s->path, '/') - s->path));

    mkdir(parent, 0700);
    if (mkdir(s->path, 0700) && errno != EEXIST)
        return diag_set(why, ERR_IO, "%s: %s", s->path, strerror(errno));
    return certutil(s, words, ARRAY_LEN(words), NULL, why);
}

static enum err nss_add(const struct store *s, const struct trusted *t,
                        char **ret_command, struct diag *why)
{
    const char *const words[] = { "-A", "-a", "-t", "C,,", "-n", t->name };

    (void)ret_command;
    enum err e = has_database(s->path) ? OK : make_database(s, why);
    return e ? e : certutil(s, words, ARRAY_LEN(words), t->pem, why);
}

static enum err nss_remove(const struct store *s, const struct trusted *t,
                           char **ret_command, struct diag *why)
{
    const char *const words[] = { "-D", "-n", t->name };

    (void)ret_command;
    return certutil(s, words, ARRAY_LEN(words), NULL, why);
}

static const struct store_kind nss_kind = {
    .is_usable = nss_is_usable,
    .has = nss_has,
    .add = nss_add,
    .remove = nss_remove,
};

static void find_in(const char *home, const struct place *place, struct stores *ret)
{
    AUTO_FREE char *pattern = xasprintf("%s/%s", home, place->pattern);
    glob_t found = { 0 };

    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (has_database(found.gl_pathv[i]))
                stores_append(ret, &nss_kind, xstrdup(found.gl_pathv[i]), place->users);
    globfree(&found);
}

void nss_stores_find(struct stores *ret)
{
    const char *home = getenv("HOME");
    size_t before = ret->count;

    if (!home || home[0] != '/')
        return;
    for (size_t i = 0; i < ARRAY_LEN(places); i++)
        find_in(home, &places[i], ret);
    bool chromium = false;
    for (size_t i = before; i < ret->count; i++)
        chromium |= strcmp(ret->at[i].users, CHROMIUM) == 0;
    if (!chromium)
        stores_append(ret, &nss_kind, xasprintf("%s/.pki/nssdb", home), CHROMIUM);
}
