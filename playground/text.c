#include "playground/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"

void text_finish(struct text *t)
{
    free(t->at);
    *t = (struct text){ 0 };
}

void text_clear(struct text *t)
{
    t->len = 0;
}

static void make_room(struct text *t, size_t n)
{
    if (t->room - t->len >= n)
        return;
    t->room = (t->room + n) * 2;
    t->at = xrealloc(t->at, t->room);
}

void text_add(struct text *t, struct str s)
{
    if (str_empty(s))
        return;
    make_room(t, s.len);
    memcpy(t->at + t->len, s.at, s.len);
    t->len += s.len;
}

void text_printf(struct text *t, const char *format, ...)
{
    char *made = NULL;
    va_list args;

    va_start(args, format);
    int n = vasprintf(&made, format, args);
    va_end(args);
    if (n < 0)
        abort(); /* out of memory */
    text_add(t, (struct str){ made, (size_t)n });
    free(made);
}
