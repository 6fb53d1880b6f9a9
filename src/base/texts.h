/* base/texts.h - a growing list of owned texts */
#pragma once

#include "base/own.h"
#include "base/str.h"

struct texts {
    char **at;
    size_t count; /* room is the next power of two */
};

static inline void texts_add(struct texts *t, char *text) /* taken over */
{
    if ((t->count & (t->count - 1)) == 0)
        t->at = xrealloc(t->at, (t->count ? t->count * 2 : 1) * sizeof(*t->at));
    t->at[t->count++] = text;
}

static inline void texts_finish(struct texts *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->at[i]);
    free(t->at);
    *t = (struct texts){ 0 };
}

/* Texts with names, both owned, in their order. */
struct text_pair {
    char *name, *value;
};

struct text_pairs {
    struct text_pair *at;
    size_t count;
};
