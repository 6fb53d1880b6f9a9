/* kube/exec_words.h - the standard error of an exec plugin
 *
 * Each line is logged when it is complete, up to EXEC_LINES_MAX per run; the last ones are kept
 * for the error.  Control characters are replaced by '?'.
 */
#pragma once

#include "base/str.h"

#define EXEC_LINE_MAX 400 /* bytes of a line */
#define EXEC_LINES_MAX 40 /* logged, per run */
#define EXEC_TAIL_MAX 1024

struct exec_words {
    const char *label; /* of the plugin, borrowed */
    bool to_terminal;  /* write to our standard error instead of the log */
    unsigned lines;    /* so far */
    char line[EXEC_LINE_MAX + 1];
    size_t line_len;
    char tail[EXEC_TAIL_MAX + 1]; /* whole lines, each with its '\n' */
    size_t tail_len;
};

void exec_words_begin(struct exec_words *w, const char *label, bool to_terminal);
void exec_words_add(struct exec_words *w, struct str text);
void exec_words_end(struct exec_words *w); /* a last line without an end */

/* The last lines that fit, as one, into out; "" when there are none. */
void exec_words_last(const struct exec_words *w, char *out, size_t room);
