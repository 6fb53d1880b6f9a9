/* cli/watch.c - status, drawn again every second
 *
 * On a terminal it fills the alternate screen, as top does, and reads keys without waiting for
 * a line.  The terminal is restored at the end, also after a signal.
 */
#include "cli/watch.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/own.h"
#include "base/rfc3339.h"
#include "cli/ask.h"
#include "cli/status_tables.h"
#include "cli/table.h"
#include "control/client.h"

#define INTERVAL_MS 1000
#define FILTER_ROOM 64
#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"

struct watch {
    char *name;      /* of the kube-tunnel; owned */
    json_t *last;    /* the status of a second ago; NULL: none */
    int64_t last_at; /* ms */
    bool terminal;
    struct termios before; /* of the terminal */
    enum status_view view;
    size_t column; /* by which rows are sorted */
    bool descending;
    char filter[FILTER_ROOM];
    bool typing; /* keys go to the filter */
    bool quit;
};

static volatile sig_atomic_t stopped;

static void on_signal(int signum)
{
    (void)signum;
    stopped = 1;
}

/* --- the screen --- */

static void enter_screen(struct watch *w)
{
    struct sigaction action = { .sa_handler = on_signal };

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (!w->terminal)
        return;
    tcgetattr(STDIN_FILENO, &w->before);
    struct termios raw = w->before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    fputs(SCREEN_BEGIN, stdout);
}

static void leave_screen(const struct watch *w)
{
    if (!w->terminal)
        return;
    fputs(SCREEN_END, stdout);
    fflush(stdout);
    tcsetattr(STDIN_FILENO, TCSANOW, &w->before);
}

static struct winsize size_of_screen(void)
{
    struct winsize size = { .ws_row = 24, .ws_col = 80 };

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || !size.ws_row || !size.ws_col)
        size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
    return size;
}

/* Not in the middle of a character. */
static struct str cut_line(struct str line, size_t width)
{
    if (line.len <= width)
        return line;
    while (width && ((unsigned char)line.at[width] & 0xc0) == 0x80)
        width--;
    return str_first(line, width);
}

static void draw(const char *text)
{
    const struct winsize size = size_of_screen();
    struct str rest = str_of(text);

    fputs("\033[H", stdout);
    for (unsigned row = 0; row + 1 < size.ws_row && !str_empty(rest); row++) {
        struct str line;
        rest = str_cut(rest, '\n', &line);
        printf("%.*s\033[K\n", STR_ARG(cut_line(line, size.ws_col)));
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

/* --- one report --- */

static void print_help_line(const struct watch *w, FILE *to)
{
    if (w->typing || w->filter[0])
        fprintf(to, "filter: %s%s\n", w->filter, w->typing ? "_" : "");
    else
        fputs("q quit  v view  s sort  r reverse  / filter\n", to);
}

static char *report(const struct watch *w, const json_t *status)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&text, &len);

    if (!to)
        abort();
    print_status_summary(status, to);
    if (w->terminal)
        print_help_line(w, to);
    fputc('\n', to);
    struct table *t = status_table(status, w->last, w->view);
    table_keep(t, w->filter);
    table_sort(t, w->column, w->descending);
    table_print(t, to);
    table_destroy(t);
    if (fclose(to))
        abort();
    return text;
}

/* Rates are of a second, also if a key has caused another drawing meanwhile. */
static void keep_last(struct watch *w, json_t *status)
{
    int64_t now = wall_clock_ms();

    if (w->last && now - w->last_at < INTERVAL_MS * 9 / 10) {
        json_decref(status);
        return;
    }
    json_decref(w->last);
    w->last = status;
    w->last_at = now;
}

static enum err show(struct watch *w, struct diag *why)
{
    struct control_reply reply = { 0 };
    enum err e = control_call(w->name, "GET", "/v1/status", NULL, &reply, why);

    if (e)
        return e;
    AUTO_FREE char *text = report(w, reply.json);
    keep_last(w, reply.json);
    if (w->terminal) {
        draw(text);
    } else {
        puts(text);
        fflush(stdout);
    }
    return ferror(stdout) ? diag_set(why, ERR_IO, "cannot write the output") : OK;
}

/* --- keys --- */

static void begin_filter(struct watch *w, bool typing)
{
    memset(w->filter, 0, sizeof(w->filter));
    w->typing = typing;
}

static void type_filter(struct watch *w, char key)
{
    size_t len = strlen(w->filter);

    if (key == '\n' || key == '\r')
        w->typing = false;
    else if (key == '\033')
        begin_filter(w, false);
    else if ((key == 0x7f || key == '\b') && len)
        w->filter[len - 1] = '\0';
    else if (key >= ' ' && key < 0x7f && len + 1 < FILTER_ROOM)
        w->filter[len] = key;
}

static void press(struct watch *w, char key)
{
    if (w->typing) {
        type_filter(w, key);
        return;
    }
    switch (key) {
    case 'q':
        w->quit = true;
        break;
    case 'v':
        w->view = (w->view + 1) % STATUS_VIEWS;
        w->column = 0;
        break;
    case 's':
        w->column = (w->column + 1) % status_columns(w->view);
        break;
    case 'r':
        w->descending = !w->descending;
        break;
    case '/':
        begin_filter(w, true);
        break;
    default:
        break;
    }
}

/* Until the next report is due, or a key was pressed. */
static void wait_for_key(struct watch *w)
{
    struct pollfd keys = { .fd = w->terminal ? STDIN_FILENO : -1, .events = POLLIN };
    char pressed[16];

    if (poll(&keys, 1, INTERVAL_MS) <= 0)
        return;
    ssize_t n = read(STDIN_FILENO, pressed, sizeof(pressed));
    w->quit = n == 0 || (n < 0 && errno != EINTR);
    for (ssize_t i = 0; i < n; i++)
        press(w, pressed[i]);
}

/* An error is printed once the terminal is restored: the other screen is gone then. */
int watch_status(const struct args *a)
{
    struct watch w = { .terminal = isatty(STDOUT_FILENO) && isatty(STDIN_FILENO) };
    struct diag why = { "" };
    enum err e = OK;
    int status = asked_name(a, &w.name);

    if (status)
        return status;
    enter_screen(&w);
    while (!e && !stopped && !w.quit) {
        e = show(&w, &why);
        if (!e)
            wait_for_key(&w);
    }
    leave_screen(&w);
    json_decref(w.last);
    free(w.name);
    return e && !stopped ? print_failure("%s", diag_text(&why, e)) : EXIT_OK;
}
