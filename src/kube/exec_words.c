#include "kube/exec_words.h"

#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/utf8.h"

LOG_MODULE(kube);

void exec_words_begin(struct exec_words *w, const char *label, bool to_terminal)
{
    *w = (struct exec_words){ .label = label, .to_terminal = to_terminal };
}

static void log_line(const struct exec_words *w, const char *line)
{
    if (w->to_terminal || w->lines > EXEC_LINES_MAX)
        return;
    if (w->lines == EXEC_LINES_MAX)
        log_info(NO_ID, "the plugin writes more lines than are logged",
                 LOG_S("source", w->label));
    else
        log_info(NO_ID, "the plugin writes", LOG_S("source", w->label),
                 LOG_S("line", line));
}

/* The oldest lines make room. */
static void keep(struct exec_words *w, const char *line, size_t len)
{
    while (w->tail_len + len + 1 > EXEC_TAIL_MAX) {
        const char *end = memchr(w->tail, '\n', w->tail_len);
        size_t drop = end ? (size_t)(end - w->tail) + 1 : w->tail_len;
        w->tail_len -= drop;
        memmove(w->tail, w->tail + drop, w->tail_len);
    }
    memcpy(w->tail + w->tail_len, line, len);
    w->tail_len += len;
    w->tail[w->tail_len++] = '\n';
    w->tail[w->tail_len] = '\0';
}

static void end_line(struct exec_words *w)
{
    char *line = w->line;

    line[w->line_len] = '\0';
    w->line_len = 0;
    text_make_printable(line, false);
    struct str text = str_trim(str_of(line));
    if (str_empty(text))
        return;
    line[(size_t)(text.at - line) + text.len] = '\0';
    log_line(w, text.at);
    keep(w, text.at, text.len);
    w->lines++;
}

/* A prompt without a line's end has to be seen at once. */
static void show(struct str text)
{
    AUTO_FREE char *shown = str_dup(text);

    for (char *c = shown; *c; c++)
        if (((unsigned char)*c < ' ' && !strchr("\n\r\t\b", *c)) || *c == 0x7f)
            *c = '?';
    log_flush();
    for (const char *at = shown; *at;) {
        ssize_t n = write(STDERR_FILENO, at, strlen(at));
        if (n < 0 && errno != EINTR)
            return;
        at += n > 0 ? n : 0;
    }
}

void exec_words_add(struct exec_words *w, struct str text)
{
    if (w->to_terminal)
        show(text);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (c == '\n')
            end_line(w);
        else if (w->line_len < EXEC_LINE_MAX && c)
            w->line[w->line_len++] = c;
    }
}

void exec_words_end(struct exec_words *w)
{
    if (w->line_len)
        end_line(w);
}

void exec_words_last(const struct exec_words *w, char *out, size_t room)
{
    struct str tail = { w->tail, w->tail_len ? w->tail_len - 1 : 0 };
    size_t from = tail.len, at = tail.len;

    while (at > 0) { /* one more line in front, while they all fit */
        const char *before = memrchr(tail.at, '\n', at);
        size_t begin = before ? (size_t)(before - tail.at) + 1 : 0;
        if (tail.len - begin >= room && from < tail.len)
            break;
        from = begin;
        at = before ? begin - 1 : 0;
    }
    struct str last = str_first(str_skip(tail, from), room - 1);
    memcpy(out, last.at, last.len);
    out[last.len] = '\0';
    for (char *c = out; *c; c++)
        if (*c == '\n')
            *c = ' ';
}
