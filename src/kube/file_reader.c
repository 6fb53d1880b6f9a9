/* kube/file_reader.c - a small regular file, read on a thread of its own */
#include "kube/file_reader.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "base/own.h"
#include "base/file.h"

struct file_reader {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned users; /* the caller and the thread; the last one frees */
    char *path;
    size_t max;
    enum err result; /* ERR_AGAIN: under way */
    char *text;
    size_t len;
    struct diag why;
};

static void leave(struct file_reader *r)
{
    pthread_mutex_lock(&r->lock);
    bool last = --r->users == 0;
    pthread_mutex_unlock(&r->lock);
    if (!last)
        return;
    pthread_cond_destroy(&r->done);
    pthread_mutex_destroy(&r->lock);
    free(r->path);
    free(r->text);
    free(r);
}

static void *read_on_thread(void *owner)
{
    struct file_reader *r = owner;
    struct diag why = { "" };
    char *text = NULL;
    size_t len = 0;

    enum err e = file_read_regular(r->path, r->max, &text, &len, &why);
    pthread_mutex_lock(&r->lock);
    r->text = text;
    r->len = len;
    r->why = why;
    r->result = e;
    pthread_cond_signal(&r->done);
    pthread_mutex_unlock(&r->lock);
    leave(r);
    return NULL;
}

/* Signals are for the thread of the loop. */
static bool start_thread(struct file_reader *r)
{
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(&thread, NULL, read_on_thread, r) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started)
        pthread_detach(thread);
    return started;
}

static void init_done(pthread_cond_t *done)
{
    pthread_condattr_t how;

    pthread_condattr_init(&how);
    pthread_condattr_setclock(&how, CLOCK_MONOTONIC);
    pthread_cond_init(done, &how);
    pthread_condattr_destroy(&how);
}

struct file_reader *file_reader_create(const char *path, size_t max)
{
    struct file_reader *r = xcalloc(1, sizeof(*r));

    pthread_mutex_init(&r->lock, NULL);
    init_done(&r->done);
    r->path = xstrdup(path);
    r->max = max;
    r->result = ERR_AGAIN;
    r->users = 2;
    if (!start_thread(r)) {
        r->users = 1;
        r->result = diag_set(&r->why, ERR_IO, "%s: no thread to read it", path);
    }
    return r;
}

void file_reader_destroy(struct file_reader *r)
{
    if (r)
        leave(r);
}

static struct timespec time_after(unsigned ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if (t.tv_nsec >= 1000000000) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

enum err file_reader_wait(struct file_reader *r, unsigned max_ms, char **ret_text,
                          size_t *ret_len, struct diag *why)
{
    struct timespec until = time_after(max_ms);

    pthread_mutex_lock(&r->lock);
    while (r->result == ERR_AGAIN && max_ms)
        if (pthread_cond_timedwait(&r->done, &r->lock, &until))
            break;
    enum err e = r->result;
    if (e && e != ERR_AGAIN)
        diag_set(why, e, "%s", r->why.text);
    if (!e) {
        *ret_text = TAKE(r->text);
        *ret_len = r->len;
    }
    pthread_mutex_unlock(&r->lock);
    return e;
}

enum err file_read_in_time(const char *path, size_t max, char **ret_text, size_t *ret_len,
                           struct diag *why)
{
    struct file_reader *r = file_reader_create(path, max);

    enum err e = file_reader_wait(r, FILE_READ_MS, ret_text, ret_len, why);
    if (e == ERR_AGAIN)
        e = diag_set(why, ERR_TIMEOUT,
                     "%s: not read within %u s, its file system does not answer", path,
                     FILE_READ_MS / 1000);
    file_reader_destroy(r);
    return e;
}
