/* daemon/cgroup.c - the memory limit of this process's container or service */
#include "daemon/cgroup.h"

#include "base/file.h"
#include "base/own.h"
#include "base/str.h"

/* cgroup v1 has a number for "no limit": the largest one that is a multiple of a page. */
#define NO_LIMIT ((uint64_t)1 << 62)
#define LIMIT_FILE_MAX 63
#define GROUPS_FILE_MAX 65536

/* 0: the file does not exist, or has "max". */
static uint64_t read_limit(const char *path)
{
    AUTO_FREE char *text = NULL;
    uint64_t limit = 0;
    size_t len;

    if (file_read(path, LIMIT_FILE_MAX, &text, &len, NULL) ||
        str_to_uint(str_trim_space((struct str){ text, len }), NO_LIMIT - 1, &limit))
        return 0;
    return limit;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return !a ? b : !b || a < b ? a : b;
}

/* The smallest limit of this cgroup and its ancestors, up to the root that is mounted
 * here. */
static uint64_t limit_of_groups(const char *mount, char *group, const char *file)
{
    uint64_t least = 0;

    for (char *end = group + strlen(group);; end = strrchr(group, '/')) {
        if (end)
            *end = '\0';
        AUTO_FREE char *path = xasprintf("%s%s/%s", mount, group, file);
        least = lesser(least, read_limit(path));
        if (!end || end == group)
            return least;
    }
}

static bool has_controller(struct str list, struct str wanted)
{
    while (!str_empty(list)) {
        struct str one;
        list = str_cut(list, ',', &one);
        if (str_eq(one, wanted))
            return true;
    }
    return false;
}

/* "0::/path" of v2, "4:memory:/path" of v1. */
static uint64_t limit_of_line(const char *root, char *line)
{
    struct str controllers;
    char *group = strchr(line, ':') ? strchr(strchr(line, ':') + 1, ':') : NULL;

    if (!group)
        return 0;
    *group++ = '\0';
    controllers = str_of(strchr(line, ':') + 1);
    bool v1 = has_controller(controllers, STR("memory"));
    if (!v1 && !str_empty(controllers))
        return 0;
    AUTO_FREE char *mount = xasprintf("%s/sys/fs/cgroup%s", root, v1 ? "/memory" : "");
    return limit_of_groups(mount, group, v1 ? "memory.limit_in_bytes" : "memory.max");
}

uint64_t cgroup_memory_max(const char *root)
{
    AUTO_FREE char *path = xasprintf("%s/proc/self/cgroup", root);
    AUTO_FREE char *text = NULL;
    uint64_t least = 0;
    size_t len;

    if (file_read(path, GROUPS_FILE_MAX, &text, &len, NULL))
        return 0;
    for (char *end, *line = text; line; line = end) {
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        least = lesser(least, limit_of_line(root, line));
    }
    return least;
}
