/* daemon/cgroup.c - how much memory the container or the service we run in may use */
#include "daemon/cgroup.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/str.h"

/* cgroup v1 has a number for "no limit": the largest one that is a multiple of a page. */
#define NO_LIMIT ((uint64_t)1 << 62)

static void file_closep(FILE **f)
{
    if (*f)
        fclose(*f);
}

/* 0: no such file, or "max". */
static uint64_t read_limit(const char *path)
{
    AUTO(file_closep) FILE *f = fopen(path, "re");
    unsigned long long limit = 0;

    if (!f || fscanf(f, "%llu", &limit) != 1 || limit >= NO_LIMIT)
        return 0;
    return limit;
}

static uint64_t lesser(uint64_t a, uint64_t b)
{
    return !a ? b : !b || a < b ? a : b;
}

/* Of this group, then of the one it is in, up to the root of what is mounted here. */
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
    group[strcspn(group, "\n")] = '\0';
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
    AUTO(file_closep) FILE *f = fopen(path, "re");
    char line[PATH_MAX];
    uint64_t least = 0;

    while (f && fgets(line, sizeof(line), f))
        least = lesser(least, limit_of_line(root, line));
    return least;
}
