#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const char *const texts[] = {
#define X(NAME, text) [NAME] = text,
    ERRORS(X)
#undef X
};

const char *err_text(enum err e)
{
    size_t i = (size_t)e;
    return i < sizeof(texts) / sizeof(texts[0]) ? texts[i] : "unknown error";
}

enum err diag_set(struct diag *why, enum err e, const char *format, ...)
{
    if (!why)
        return e;
    va_list args;
    va_start(args, format);
    vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    text_make_printable(why->text, false);
    return e;
}

enum err diag_prefix(struct diag *why, enum err e, const char *format, ...)
{
    if (!why)
        return e;
    struct diag old = *why;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(why->text, sizeof(why->text), format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof(why->text) - 2)
        snprintf(why->text + n, sizeof(why->text) - (size_t)n, ": %s",
                 diag_text(&old, e));
    text_make_printable(why->text, false);
    return e;
}

const char *diag_text(const struct diag *why, enum err e)
{
    return why && why->text[0] ? why->text : err_text(e);
}
