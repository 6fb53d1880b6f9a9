/* resolver/machine.c - find out which resolver the machine has */
#include <glob.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "resolver/backend.h"
#include "resolver/nsswitch.h"
#include "resolver/step_kind.h"

char *machine_text(const struct machine *m, const char *path)
{
    AUTO_FREE char *full = machine_path(m, path);
    char *text = NULL;
    size_t len;

    return file_read_regular(full, STEP_TEXT_MAX, &text, &len, NULL) == OK ? text
                                                                           : xstrdup("");
}

bool machine_has(const struct machine *m, const char *path)
{
    AUTO_FREE char *full = machine_path(m, path);

    return access(full, F_OK) == 0;
}

/* In another root a link to /run leads out of it, so where it leads is looked at. */
static bool links_to_resolved(const struct machine *m)
{
    AUTO_FREE char *full = machine_path(m, "/etc/resolv.conf");
    char target[4096];
    ssize_t n = readlink(full, target, sizeof(target) - 1);

    target[n > 0 ? n : 0] = '\0';
    return strstr(target, "run/systemd/resolve/") != NULL;
}

bool machine_has_server(const struct machine *m, const char *address)
{
    AUTO_FREE char *text = machine_text(m, "/etc/resolv.conf");
    struct str rest = str_of(text), line;

    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        line = str_trim_space(line);
        if (str_starts(line, STR("nameserver")) &&
            str_eq(str_trim_space(str_skip(line, 10)), str_of(address)))
            return true;
    }
    return false;
}

bool machine_uses_resolved(const struct machine *m)
{
    AUTO_FREE char *nsswitch = machine_text(m, "/etc/nsswitch.conf");

    return links_to_resolved(m) || machine_has_server(m, "127.0.0.53") ||
           machine_has_server(m, "127.0.0.54") ||
           (nsswitch_has(str_of(nsswitch), STR("resolve")) &&
            machine_has(m, "/run/systemd/resolve"));
}

/* Of "…/libsystemd-shared-257.so", "…/libsystemd-shared-257.4-1.fc42.so". */
static unsigned version_of(const char *path)
{
    const char *number = strstr(path, "libsystemd-shared-");

    return number ? (unsigned)strtoul(number + 18, NULL, 10) : 0;
}

unsigned machine_systemd_version(const struct machine *m)
{
    static const char *const places[] = {
        "/usr/lib/systemd/libsystemd-shared-*.so",
        "/usr/lib/*/systemd/libsystemd-shared-*.so",
        "/usr/lib64/systemd/libsystemd-shared-*.so",
        "/lib/systemd/libsystemd-shared-*.so",
    };
    unsigned version = 0;

    for (size_t i = 0; i < ARRAY_LEN(places) && !version; i++) {
        AUTO_FREE char *pattern = machine_path(m, places[i]);
        glob_t found = { 0 };
        if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0 && found.gl_pathc)
            version = version_of(found.gl_pathv[0]);
        globfree(&found);
    }
    return version;
}

char *join_domains(const struct resolver_want *w, const char *prefix,
                   const char *separator)
{
    char *all = xstrdup("");

    for (size_t i = 0; i < w->domains.count; i++) {
        char *longer =
            xasprintf("%s%s%s%s", all, i ? separator : "", prefix, w->domains.at[i]);
        free(all);
        all = longer;
    }
    return all;
}
