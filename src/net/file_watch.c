/* net/file_watch.c - notice that a file has changed, in whatever way
 *
 * A path is followed as the kernel does it.  Each folder that holds a symlink on the way,
 * and the one that holds the file (or the first part of the path that is missing), is
 * watched. An event in one of them only means that something may have changed: the path
 * is followed anew, and the file counts as changed when its device, inode, size or times
 * differ.
 */
#include "net/file_watch.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/loop_uv.h"

LOG_MODULE(net);

#define SYMLINKS_MAX 40 /* the kernel's limit */

struct folder {
    uv_fs_event_t uv;
    struct file_watch *owner;
    struct list_node node;
    char *path;
};

struct file_watch {
    struct loop *loop;
    char *path;
    struct task *wake;
    struct list_node folders;
    struct stat seen; /* of the file when it was last checked; zeroed: it did not exist */
    struct timer settle;
    uint64_t first_event; /* the first one since the last check; 0: none */
    bool unwatched;       /* logged already */
};

static void on_event(uv_fs_event_t *uv, const char *name, int events, int status)
{
    struct file_watch *w = container_of(uv, struct folder, uv)->owner;
    (void)name;
    (void)events;
    (void)status;

    loop_tick(w->loop);
    uint64_t now = loop_sched(w->loop)->now, at = now + FILE_WATCH_QUIET_MS;
    if (!w->first_event)
        w->first_event = now;
    uint64_t latest = w->first_event + FILE_WATCH_MAX_MS;
    timer_set_at(&w->settle, at < latest ? at : latest);
}

static void on_folder_closed(uv_handle_t *handle)
{
    free(container_of((uv_fs_event_t *)handle, struct folder, uv));
}

static void folder_close(struct folder *f)
{
    list_remove(&f->node);
    free(f->path);
    uv_close((uv_handle_t *)&f->uv, on_folder_closed);
}

static void log_unwatched(struct file_watch *w, const char *folder, int error)
{
    if (!w->unwatched)
        log_warn(NO_ID, "changes of a file will not be noticed", LOG_S("file", w->path),
                 LOG_S("folder", folder), LOG_S("reason", uv_strerror(error)));
    w->unwatched = true;
}

/* Watches a folder and appends it to `found`; an existing watch of it is moved there. */
static void watch_folder(struct file_watch *w, const char *path, struct list_node *found)
{
    struct folder *f;

    list_for_each (have, found, struct folder, node)
        if (strcmp(have->path, path) == 0)
            return;
    f = xcalloc(1, sizeof(*f));
    f->owner = w;
    f->path = xstrdup(path);
    list_init(&f->node);
    uv_fs_event_init(loop_uv(w->loop), &f->uv);
    int error = uv_fs_event_start(&f->uv, on_event, path, 0);
    if (error)
        log_unwatched(w, path, error);
    list_append(found, &f->node);
}

/* The state of the kernel's path resolution: `at` is a folder without symlinks, "" for
 * the root. */
struct walk {
    char at[PATH_MAX], rest[PATH_MAX];
    unsigned symlinks;
};

static bool next_part(struct walk *k, char part[static NAME_MAX + 1])
{
    struct str before, rest = str_of(k->rest);

    while (!str_empty(rest) && rest.at[0] == '/')
        rest = str_skip(rest, 1);
    struct str after = str_cut(rest, '/', &before);
    if (str_empty(before) || before.len > NAME_MAX)
        return false;
    memcpy(part, before.at, before.len);
    part[before.len] = '\0';
    memmove(k->rest, str_empty(after) ? "" : after.at, after.len);
    k->rest[after.len] = '\0';
    return true;
}

static bool descend(struct walk *k, const char *part)
{
    char *end = strrchr(k->at, '/');

    if (strcmp(part, ".") == 0)
        return true;
    if (strcmp(part, "..") == 0) {
        if (end)
            *end = '\0';
        return true;
    }
    size_t used = strlen(k->at);
    int n = snprintf(k->at + used, sizeof(k->at) - used, "/%s", part);
    return n >= 0 && (size_t)n < sizeof(k->at) - used;
}

/* Puts the target of a symlink in front of the rest of the path; false: it cannot be
 * followed. */
static bool follow_link(struct walk *k)
{
    char target[PATH_MAX], rest[PATH_MAX];
    ssize_t n = readlink(k->at, target, sizeof(target) - 1);

    if (n <= 0 || ++k->symlinks > SYMLINKS_MAX)
        return false;
    target[n] = '\0';
    memcpy(rest, k->rest, sizeof(rest));
    int len = snprintf(k->rest, sizeof(k->rest), "%s/%s", target, rest);
    if (len < 0 || (size_t)len >= sizeof(k->rest))
        return false;
    if (target[0] == '/')
        k->at[0] = '\0';
    else
        *strrchr(k->at, '/') = '\0';
    return true;
}

static void begin_walk(struct walk *k, const char *path)
{
    char here[PATH_MAX];

    *k = (struct walk){ .symlinks = 0 };
    if (path[0] == '/' || !getcwd(here, sizeof(here)))
        snprintf(k->rest, sizeof(k->rest), "%s", path);
    else if (snprintf(k->rest, sizeof(k->rest), "%s/%s", here, path) < 0)
        k->rest[0] = '\0';
}

/* Watches the folders on the path to the file. */
static void walk_path(struct file_watch *w, struct list_node *found)
{
    struct walk k;
    char part[NAME_MAX + 1];

    begin_walk(&k, w->path);
    while (next_part(&k, part)) {
        AUTO_FREE char *holder = xstrdup(k.at[0] ? k.at : "/");
        struct stat st;
        if (!descend(&k, part))
            return;
        bool there = lstat(k.at[0] ? k.at : "/", &st) == 0;
        if (there && S_ISDIR(st.st_mode))
            continue;
        watch_folder(w, holder, found);
        if (!there || !S_ISLNK(st.st_mode) || !follow_link(&k))
            return;
    }
    watch_folder(w, k.at[0] ? k.at : "/", found);
}

/* New watches are added before old ones are removed, so that no change between is
 * missed. */
static void watch_again(struct file_watch *w)
{
    struct list_node found;

    list_init(&found);
    walk_path(w, &found);
    list_for_each (old, &w->folders, struct folder, node)
        folder_close(old);
    list_for_each (f, &found, struct folder, node) {
        list_remove(&f->node);
        list_append(&w->folders, &f->node);
    }
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

/* Has the file changed?  st_dev and st_ino are of the file that symlinks lead to, so
 * another target counts, too. */
static bool file_watch_look(struct file_watch *w)
{
    struct stat now = { 0 }, before = w->seen;

    if (stat(w->path, &now))
        now = (struct stat){ 0 };
    w->seen = now;
    return now.st_dev != before.st_dev || now.st_ino != before.st_ino ||
           now.st_size != before.st_size || !same_time(now.st_mtim, before.st_mtim) ||
           !same_time(now.st_ctim, before.st_ctim);
}

static void on_settled(struct timer *t)
{
    struct file_watch *w = container_of(t, struct file_watch, settle);

    w->first_event = 0;
    watch_again(w);
    if (file_watch_look(w))
        task_wake(w->wake);
}

struct file_watch *file_watch_open(struct loop *l, const char *path, struct task *wake)
{
    struct file_watch *w = xcalloc(1, sizeof(*w));

    w->loop = l;
    w->path = xstrdup(path);
    w->wake = wake;
    list_init(&w->folders);
    timer_init(&w->settle, loop_sched(l), on_settled);
    file_watch_look(w);
    if (!w->seen.st_mode || S_ISREG(w->seen.st_mode))
        watch_again(w);
    return w;
}

void file_watch_close(struct file_watch *w)
{
    if (!w)
        return;
    timer_stop(&w->settle);
    list_for_each (f, &w->folders, struct folder, node)
        folder_close(f);
    free(w->path);
    free(w);
}
