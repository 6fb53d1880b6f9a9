/* exec/proxies.c - the proxy variables of a command */
#include "exec/proxies.h"

#include <stdlib.h>

#define EXCLUDED "localhost,.localhost,127.0.0.1,127.0.0.0/8,::1"

bool proxies_are_set(void)
{
    static const char *const names[] = { "http_proxy",  "HTTP_PROXY", "https_proxy",
                                         "HTTPS_PROXY", "all_proxy",  "ALL_PROXY" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        if (value && value[0])
            return true;
    }
    return false;
}

static bool lists(struct str list, struct str name)
{
    while (!str_empty(list)) {
        struct str one;
        list = str_cut(list, ',', &one);
        if (str_ieq(str_trim(one), name))
            return true;
    }
    return false;
}

static void extend(const char *variable, const char *other, const struct texts *names)
{
    const char *value = getenv(variable);
    char *list = xstrdup(value ? value : getenv(other) ? getenv(other) : "");

    if (strcmp(list, "*") != 0)
        for (size_t i = 0; i < names->count; i++) {
            if (lists(str_of(list), str_of(names->at[i])))
                continue;
            char *longer = xasprintf("%s%s%s", list, list[0] ? "," : "", names->at[i]);
            free(list);
            list = longer;
        }
    setenv(variable, list, 1);
    free(list);
}

void proxies_exclude(const struct texts *names)
{
    if (!names->count)
        return;
    extend("no_proxy", "NO_PROXY", names);
    extend("NO_PROXY", "no_proxy", names);
}

void proxies_set(const char *address, bool https)
{
    AUTO_FREE char *url = xasprintf("http://%s", address);

    setenv("http_proxy", url, 1);
    setenv("HTTP_PROXY", url, 1);
    if (https) {
        setenv("https_proxy", url, 1);
        setenv("HTTPS_PROXY", url, 1);
    }
    setenv("no_proxy", EXCLUDED, 1);
    setenv("NO_PROXY", EXCLUDED, 1);
}
