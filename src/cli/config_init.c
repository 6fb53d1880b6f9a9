/* cli/config_init.c - kube-tunnel config init */
#include "cli/config_init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/own.h"
#include "cli/command.h"
#include "config/setting.h"

/* The file has no secrets.  Its folder is the user's own, like others in ~/.config. */
#define FILE_MODE 0644
#define FOLDER_MODE 0700

static char *choose_path(const struct args *a)
{
    char *paths[2];

    config_paths(a, paths);
    if (!paths[1])
        return paths[0];
    free(paths[0]);
    return paths[1];
}

static void make_folders(const char *path)
{
    AUTO_FREE char *part = xstrdup(path);

    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, FOLDER_MODE); /* an error shows when the file is opened */
        *slash = '/';
    }
}

/* As YAML: the default, which for a list or a text may be empty. */
static void write_setting(FILE *out, const struct setting *s)
{
    const char *empty = setting_is_list(s) ? "[]" : "\"\"";

    fprintf(out, "\n# %s\n# %s: %s\n", s->help, s->name,
            s->initial[0] ? s->initial : empty);
}

static void write_settings(FILE *out)
{
    fputs("# Settings of kube-tunnel; see man kube-tunnel.conf. Each is shown with its\n"
          "# default: remove the \"# \" in front of a name to change it. A running\n"
          "# kube-tunnel notices when this file changes.\n",
          out);
    for (enum setting_group g = 0; g < GROUP_COUNT; g++) {
        fprintf(out, "\n## %s\n", setting_group_title(g));
        for (size_t i = 0; i < SETTING_COUNT; i++)
            if (settings[i].group == g)
                write_setting(out, &settings[i]);
    }
}

static int refuse_path(const char *path, int number)
{
    if (number == EEXIST)
        print_error(
            "%s exists, and was not changed; see it with: kube-tunnel config show", path);
    else
        print_error("%s: %s; choose another place with --config", path, strerror(number));
    return EXIT_FAILED;
}

int config_init(const struct args *a)
{
    AUTO_FREE char *path = choose_path(a);

    make_folders(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (!out)
        return refuse_path(path, errno);
    write_settings(out);
    int failed = ferror(out) ? EIO : 0;
    if (fclose(out))
        failed = errno;
    if (failed) {
        unlink(path);
        return refuse_path(path, failed);
    }
    printf("wrote %s\n", path);
    return EXIT_OK;
}
