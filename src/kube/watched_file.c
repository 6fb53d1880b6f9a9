/* kube/watched_file.c - a small file that others replace: tokens, certificates, keys, CAs */
#include "kube/watched_file.h"

#include "base/log.h"
#include "base/own.h"
#include "kube/secret.h"

LOG_MODULE(kube);

#define FRESH_MS 60000
#define WAIT_MS 100
#define PATIENCE_MS 60000

void watched_file_init(struct watched_file *w, const char *what, const char *path,
                       const char *text, size_t max)
{
    *w = (struct watched_file){ .what = what, .max = max, .hang_ms = PATIENCE_MS };
    w->path = xstrdup_or_null(path);
    w->text = xstrdup_or_null(text);
}

void watched_file_finish(struct watched_file *w)
{
    file_reader_destroy(TAKE(w->reader));
    free(TAKE(w->path));
    secret_free(TAKE(w->text));
}

static void note_unreadable(struct watched_file *w, enum err e, const struct diag *why)
{
    if (e && !w->unreadable)
        log_warn(NO_ID, "file unreadable, keeping its last content",
                 LOG_S("file", w->what), LOG_S("reason", diag_text(why, e)));
    w->unreadable = e != OK;
}

/* One that hangs is left, and the file read anew: it may be another mount by now.  Each time
 * the time-out doubles, so that few threads hang. */
static void leave_reader(struct watched_file *w)
{
    file_reader_destroy(TAKE(w->reader));
    w->hang_ms *= 2;
    w->abandoned = true;
    w->fresh_until = 0;
}

static void on_late(struct watched_file *w, uint64_t now)
{
    uint64_t took = now - w->read_at;
    struct diag why;

    if (took < FILE_READ_MS)
        return;
    diag_set(&why, ERR_TIMEOUT, "%s: its file system does not answer", w->path);
    note_unreadable(w, ERR_TIMEOUT, &why);
    if (took >= w->hang_ms)
        leave_reader(w);
}

static bool take(struct watched_file *w, char *text)
{
    bool same = w->text && strcmp(w->text, text) == 0;

    secret_free(same ? text : w->text);
    if (!same)
        w->text = text;
    return !same;
}

static bool look_at_reader(struct watched_file *w, uint64_t now, unsigned max_ms)
{
    struct diag why = { "" };
    char *text = NULL;
    size_t len = 0;
    enum err e = file_reader_wait(w->reader, max_ms, &text, &len, &why);

    if (e == ERR_AGAIN) {
        on_late(w, now);
        return false;
    }
    file_reader_destroy(TAKE(w->reader));
    w->hang_ms = PATIENCE_MS;
    w->abandoned = false;
    note_unreadable(w, e, &why);
    return e == OK && take(w, text);
}

/* A file system that answers does so within microseconds: the content is there for the
 * request at hand.  One that does not costs the loop WAIT_MS once; then it is only looked
 * at. */
static bool begin_reader(struct watched_file *w, uint64_t now)
{
    w->fresh_until = now + FRESH_MS;
    w->read_at = now;
    w->reader = file_reader_create(w->path, w->max);
    return look_at_reader(w, now, w->abandoned ? 0 : WAIT_MS);
}

bool watched_file_look(struct watched_file *w, uint64_t now)
{
    bool changed = w->reader && look_at_reader(w, now, 0);

    if (w->path && !w->reader && now >= w->fresh_until)
        changed = begin_reader(w, now) || changed;
    return changed;
}

bool watched_file_recheck(struct watched_file *w)
{
    w->fresh_until = 0;
    return w->path != NULL;
}

void watched_file_again(struct watched_file *w, uint64_t at)
{
    if (w->fresh_until > at)
        w->fresh_until = at;
}

bool watched_file_is_pending(const struct watched_file *w)
{
    return w->reader && !w->text;
}
