/* serve/explanation.c - the text of an error page, in parts */
#include "serve/explanation.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Control characters would break the one line that the first must be, and act on terminals. */
static void write_part(char *to, size_t room, bool lines, const char *format,
                       va_list args)
{
    vsnprintf(to, room, format, args);
    text_make_printable(to, lines);
}

void explanation_begin(struct explanation *e, const char *title)
{
    snprintf(e->first, sizeof(e->first), "%s", title);
    e->detail[0] = e->hint[0] = '\0';
    e->link = NULL;
    e->retry_after = 0;
}

void explanation_first(struct explanation *e, const char *format, ...)
{
    size_t len = strlen(e->first);
    va_list args;

    va_start(args, format);
    write_part(e->first + len, sizeof(e->first) - len, false, format, args);
    va_end(args);
}

void explanation_detail(struct explanation *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_part(e->detail, sizeof(e->detail), false, format, args);
    va_end(args);
}

void explanation_hint(struct explanation *e, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_part(e->hint, sizeof(e->hint), true, format, args);
    va_end(args);
}
