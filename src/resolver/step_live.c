/* resolver/step_live.c - steps that change the running system: commands, values of the kernel,
 * capabilities of a program */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "base/program.h"
#include "resolver/step_kind.h"

#define WORDS_MAX 16
#define CAPABILITY "security.capability"
#define CAPABILITY_MAX 64

static enum step_state changed_value(const char *path, const char *value,
                                     struct diag *why)
{
    diag_set(why, ERR_IN_USE,
             "%s: is \"%s\" by now, set by another program, and is left as it is", path,
             value);
    return STEP_CHANGED;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : !a && !b;
}

/* ---- commands ---- */

static enum step_state command_look(const char *path, const struct step *s,
                                    struct diag *why)
{
    (void)path;
    (void)s;
    (void)why;
    return STEP_UNKNOWN;
}

static enum err run(const char *command, struct diag *why)
{
    AUTO_FREE char *text = xstrdup(command);
    const char *words[WORDS_MAX + 1] = { NULL };
    size_t count = 0;

    for (char *rest = text; rest; words[count++] = strsep(&rest, " "))
        if (count == WORDS_MAX)
            return diag_set(why, ERR_CONFIG, "%s: has more than %d words, and is not run",
                            command, WORDS_MAX);
    return diag_prefix(why, program_run(words, NULL, why), "%s", command);
}

static enum err command_prepare(const char *path, struct step *s, struct diag *why)
{
    (void)path;
    (void)s;
    (void)why;
    return OK;
}

static enum err command_apply(const char *path, const struct step *s, struct diag *why)
{
    (void)path;
    return s->after ? run(s->after, why) : OK;
}

static enum err command_undo(const char *path, const struct step *s, struct diag *why)
{
    if (!s->before || (path && access(path, F_OK)))
        return OK;
    return run(s->before, why);
}

const struct step_ops command_ops = {
    .prepare = command_prepare,
    .look = command_look,
    .apply = command_apply,
    .undo = command_undo,
    .live = true,
};

/* ---- values of the kernel ---- */

static enum err kernel_read(const char *path, char **ret, struct diag *why)
{
    size_t len = 0;
    enum err e = file_read(path, 4096, ret, &len, why);

    while (!e && len && (*ret)[len - 1] == '\n')
        (*ret)[--len] = '\0';
    return e;
}

static enum err kernel_prepare(const char *path, struct step *s, struct diag *why)
{
    return kernel_read(path, &s->before, why);
}

static enum step_state kernel_look(const char *path, const struct step *s,
                                   struct diag *why)
{
    AUTO_FREE char *value = NULL;

    if (kernel_read(path, &value, why))
        return STEP_CHANGED;
    if (is_same(value, s->after))
        return STEP_DONE;
    /* Not yet prepared: whatever it is. */
    if (!s->before || is_same(value, s->before))
        return STEP_BEFORE;
    return changed_value(path, value, why);
}

static enum err kernel_write(const char *path, const char *value, struct diag *why)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return path_failed(path, why);
    enum err e = file_write_all(fd, str_of(value)) ? OK : path_failed(path, why);
    close(fd);
    return e;
}

static enum err kernel_apply(const char *path, const struct step *s, struct diag *why)
{
    return kernel_write(path, s->after, why);
}

static enum err kernel_undo(const char *path, const struct step *s, struct diag *why)
{
    return s->before ? kernel_write(path, s->before, why) : OK;
}

const struct step_ops kernel_ops = {
    .prepare = kernel_prepare,
    .look = kernel_look,
    .apply = kernel_apply,
    .undo = kernel_undo,
    .live = true,
};

/* ---- capabilities of a program ---- */

/* In hexadecimal, owned by the caller; NULL: it has none. */
static enum err capability_read(const char *path, char **ret, struct diag *why)
{
    unsigned char bytes[CAPABILITY_MAX];
    ssize_t n = getxattr(path, CAPABILITY, bytes, sizeof(bytes));

    *ret = NULL;
    if (n < 0)
        return errno == ENODATA ? OK : path_failed(path, why);
    char *text = xmalloc((size_t)n * 2 + 1);
    text[0] = '\0';
    for (ssize_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    *ret = text;
    return OK;
}

static enum err capability_write(const char *path, const char *text, struct diag *why)
{
    unsigned char bytes[CAPABILITY_MAX];
    size_t len = 0;

    for (; text && text[2 * len] && text[2 * len + 1] && len < sizeof(bytes); len++) {
        const char pair[] = { text[2 * len], text[2 * len + 1], '\0' };
        bytes[len] = (unsigned char)strtoul(pair, NULL, 16);
    }
    int failed =
        text ? setxattr(path, CAPABILITY, bytes, len, 0) : removexattr(path, CAPABILITY);
    return failed && !(errno == ENODATA && !text) ? path_failed(path, why) : OK;
}

static enum err capability_prepare(const char *path, struct step *s, struct diag *why)
{
    return capability_read(path, &s->before, why);
}

static enum step_state capability_look(const char *path, const struct step *s,
                                       struct diag *why)
{
    AUTO_FREE char *text = NULL;

    if (access(path, F_OK))
        return STEP_BEFORE; /* the program was removed */
    if (capability_read(path, &text, why))
        return STEP_CHANGED;
    if (is_same(text, s->after))
        return STEP_DONE;
    /* Writing a program, as an upgrade does, takes its capabilities away. */
    if (!text || is_same(text, s->before))
        return STEP_BEFORE;
    return changed_value(path, text, why);
}

static enum err capability_apply(const char *path, const struct step *s, struct diag *why)
{
    return capability_write(path, s->after, why);
}

static enum err capability_undo(const char *path, const struct step *s, struct diag *why)
{
    if (capability_look(path, s, NULL) == STEP_BEFORE)
        return OK;
    return capability_write(path, s->before, why);
}

const struct step_ops capability_ops = {
    .prepare = capability_prepare,
    .look = capability_look,
    .apply = capability_apply,
    .undo = capability_undo,
    .live = true,
};
