/* playground/text.h - a growing string, for responses and events */
#pragma once

#include "base/str.h"

struct text {
    char *at; /* owned; NULL when nothing was ever added */
    size_t len, room;
};

void text_finish(struct text *t);
void text_clear(struct text *t); /* keeps the memory */

void text_add(struct text *t, struct str s);
void text_printf(struct text *t, const char *format, ...) PRINTF_LIKE(2, 3);

static inline struct str text_str(const struct text *t)
{
    return (struct str){ t->at, t->len };
}
