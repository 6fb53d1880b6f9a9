/* catalog/pack.h - store texts after a struct, in the same block of memory
 *
 * Private to catalog/.  One allocation for an object and all of its texts, since for 50,000
 * endpoints the overhead of each malloc counts.
 */
#pragma once

#include <string.h>

/* Bytes that it takes; NULL takes none. */
static inline size_t pack_room(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Copies a text to *at and moves *at behind it.  The copy, or NULL for NULL. */
static inline const char *pack_text(char **at, const char *text)
{
    size_t room = pack_room(text);
    char *to = *at;

    if (!text)
        return NULL;
    memcpy(to, text, room);
    *at += room;
    return to;
}
