/* cli/print.c - error texts, headings and columns for people */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/command.h"

#define SCREEN 80

#define PLUGIN "kubectl-tunnel" /* kubectl runs it as: kubectl tunnel */
#define PROGRAM "kube-tunnel"
#define USAGE "Usage: "

const char *program_name(void)
{
    bool plugin = strncmp(program_invocation_short_name, PLUGIN, strlen(PLUGIN)) == 0;
    return plugin ? "kubectl tunnel" : PROGRAM;
}

void print_help(const char *text)
{
    const char *rest = text + strlen(USAGE PROGRAM);

    printf(USAGE "%s%s\n", program_name(), rest);
}

int print_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("kube-tunnel: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return EXIT_USAGE;
}

int refuse_words(const char *const *words, size_t word_count)
{
    if (word_count == 0)
        return EXIT_OK;
    return print_error("unexpected argument \"%s\"", words[0]);
}

bool may_colour(int fd)
{
    const char *refused = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    if ((refused && refused[0]) || (terminal && strcmp(terminal, "dumb") == 0))
        return false;
    return isatty(fd);
}

void print_heading(const char *text)
{
    bool bold = may_colour(STDOUT_FILENO);
    printf("\n%s%s:%s\n", bold ? "\033[1m" : "", text, bold ? "\033[0m" : "");
}

/* How many bytes of s fit in `room`, cut at a blank; a longer word is not cut. */
static size_t line_of(struct str s, size_t room)
{
    size_t cut = 0;

    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.at[i] != ' ')
            continue;
        if (i > room && cut)
            break;
        cut = i;
    }
    return cut;
}

void print_row(const char *left, int width, const char *right)
{
    struct str rest = str_of(right);
    size_t room = (size_t)(SCREEN - 4 - width);

    if ((int)strlen(left) > width) {
        printf("  %s\n", left);
        left = "";
    }
    do {
        size_t n = line_of(rest, room);
        printf("  %-*s  %.*s\n", width, left, STR_ARG(str_first(rest, n)));
        rest = str_trim(str_skip(rest, n));
        left = "";
    } while (!str_empty(rest));
}
