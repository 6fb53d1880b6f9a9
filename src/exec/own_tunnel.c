/* exec/own_tunnel.c - a kube-tunnel for one command, while no other runs */
#include "exec/own_tunnel.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "base/utf8.h"
#include "control/client.h"
#include "control/place.h"
#include "exec/keeper.h"

#define LOG_MAX ((size_t)1 << 20)
#define STOP_MS 10000 /* more than drain-timeout */
#define PAUSE_MS 20

/* What the keeper needs. */
struct start {
    char **words; /* of the program, NULL at the end */
    struct place place;
    char *log; /* path */
    int alive; /* closed when the program has ended */
    pid_t keeper;
};

/* --- in the keeper --- */

static void run_program(const struct start *s)
{
    int log = open(s->log, O_WRONLY | O_CREAT | O_EXCL | O_APPEND, 0600);

    if (log < 0 || dup2(log, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0)
        _exit(1);
    close(log);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() == s->keeper)
        execv("/proc/self/exe", s->words);
    _exit(1);
}

static bool wait_for(int fd, int other, int ms)
{
    struct pollfd p[] = { { .fd = fd, .events = POLLIN },
                          { .fd = other, .events = POLLIN } };
    int n;

    while ((n = poll(p, 2, ms)) < 0 && errno == EINTR)
        ;
    return n > 0;
}

/* The name is random, so that nothing else has it. */
static void remove_files(const struct start *s)
{
    unlink(s->log);
    unlink(s->place.socket);
    unlink(s->place.lock);
}

static void keep_program(void *owner, int ended)
{
    struct start *s = owner;

    s->keeper = getpid();
    pid_t child = fork();
    if (child == 0)
        run_program(s);
    int exited = child > 0 ? (int)syscall(SYS_pidfd_open, child, 0) : -1;
    if (exited >= 0)
        wait_for(ended, exited, -1);
    close(s->alive);
    wait_for(ended, -1, 2000); /* the log is read meanwhile, if it has ended first */
    if (child > 0)
        kill(child, SIGTERM);
    if (exited >= 0 && !wait_for(exited, -1, STOP_MS))
        kill(child, SIGKILL);
    if (child > 0)
        waitpid(child, NULL, 0);
    remove_files(s);
}

/* --- in the command's process --- */

static void make_name(char name[static 40])
{
    unsigned char random[8] = { 0 };

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        abort();
    snprintf(name, 40, "exec-%02x%02x%02x%02x%02x%02x%02x%02x", random[0], random[1],
             random[2], random[3], random[4], random[5], random[6], random[7]);
}

static char **make_words(const char *const *settings, const char *name)
{
    size_t count = 0, n = 0;

    while (settings[count])
        count++;
    char **words = xcalloc(count + 8, sizeof(*words));
    words[n++] = xstrdup("kube-tunnel");
    words[n++] = xstrdup("run");
    for (size_t i = 0; i < count; i++)
        words[n++] = xstrdup(settings[i]);
    words[n++] = xasprintf("--name=%s", name);
    words[n++] = xstrdup("--control=true");
    words[n++] = xstrdup("--listen=127.0.0.1:0");
    words[n++] = xstrdup("--tls-port=0");
    return words;
}

static void finish_start(struct start *s)
{
    for (size_t i = 0; s->words && s->words[i]; i++)
        free(s->words[i]);
    free(s->words);
    free(s->log);
}

static enum err fork_keeper(struct start *s, int *ret_alive, struct diag *why)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC))
        return diag_set(why, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    s->alive = ends[1];
    const struct keeper keeper = {
        .run = keep_program, .owner = s, .kept = &s->alive, .kept_count = 1
    };
    enum err e = keeper_fork(&keeper, why);
    close(ends[1]);
    if (e)
        close(ends[0]);
    else
        *ret_alive = ends[0];
    return e;
}

enum err own_tunnel_start(const char *const *words, struct own_tunnel *ret,
                          struct diag *why)
{
    struct own_tunnel t = { .alive = -1 };
    struct start s = { 0 };

    make_name(t.name);
    enum err e = place_find(t.name, true, &s.place, why);
    if (e)
        return e;
    s.words = make_words(words, t.name);
    s.log = xasprintf("%s/%s.log", s.place.directory, t.name);
    e = fork_keeper(&s, &t.alive, why);
    finish_start(&s);
    if (!e)
        *ret = t;
    return e;
}

static const char *last_line(char *text)
{
    struct str rest = str_trim_space(str_of(text)), last;

    text[(size_t)(rest.at - text) + rest.len] = '\0';
    if (!str_cut_last(rest, '\n', &last).at)
        return rest.at;
    return last.at + last.len + 1;
}

/* It has ended: the last line of its log is the error. */
static enum err explain_end(const struct own_tunnel *t, struct diag *why)
{
    AUTO_FREE char *text = NULL;
    struct place place;
    size_t len = 0;

    if (place_find(t->name, false, &place, NULL))
        return diag_set(why, ERR_IO, "the kube-tunnel of this command has ended");
    AUTO_FREE char *log = xasprintf("%s/%s.log", place.directory, t->name);
    if (file_read(log, LOG_MAX, &text, &len, NULL) || !len)
        return diag_set(why, ERR_IO, "the kube-tunnel of this command has ended");
    text_make_printable(text, true);
    const char *line = last_line(text);
    if (str_starts(str_of(line), STR("kube-tunnel: ")))
        line += strlen("kube-tunnel: ");
    return diag_set(why, ERR_IO, "%s", line);
}

/* ERR_AGAIN: it does not serve yet. */
static enum err read_state(const char *name, struct diag *why)
{
    struct control_reply reply = { 0 };

    if (control_call(name, "GET", "/v1/status", NULL, &reply, NULL))
        return ERR_AGAIN;
    const json_t *first = json_array_get(json_object_get(reply.json, "clusters"), 0);
    const char *state = json_string_value(json_object_get(first, "state"));
    const char *error = json_string_value(json_object_get(first, "error"));
    enum err e = ERR_AGAIN;
    if (state && strcmp(state, "ready") == 0)
        e = OK;
    else if (error)
        e = diag_set(why, ERR_UNAVAILABLE, "%s", error);
    json_decref(reply.json);
    return e;
}

enum err own_tunnel_wait(const struct own_tunnel *t, unsigned deadline_ms,
                         struct diag *why)
{
    for (unsigned waited = 0; waited < deadline_ms; waited += PAUSE_MS) {
        enum err e = read_state(t->name, why);
        if (e != ERR_AGAIN)
            return e;
        if (wait_for(t->alive, -1, PAUSE_MS))
            return explain_end(t, why);
    }
    return diag_set(why, ERR_TIMEOUT,
                    "kube-tunnel was not ready within %u s; kube-tunnel doctor has "
                    "the reason",
                    deadline_ms / 1000);
}

void own_tunnel_finish(struct own_tunnel *t)
{
    if (t->alive >= 0)
        close(t->alive);
    t->alive = -1;
}
