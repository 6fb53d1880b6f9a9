/* cli/candidate.c - a word that is being typed in a shell, and what it may become */
#include "cli/candidate.h"

#include <stdio.h>

#include "base/utf8.h"

static bool is_clean(struct str text)
{
    for (size_t i = 0; i < text.len;) {
        size_t n = utf8_length(text.at + i, text.len - i);
        if (!n || utf8_is_control(text.at + i, n))
            return false;
        i += n;
    }
    return true;
}

void print_candidate(const struct typed_word *t, const char *text,
                     const char *description)
{
    struct str all = str_of(text);

    if (!str_starts(all, t->word) || all.len <= t->cut || !is_clean(all))
        return;
    bool described = description && is_clean(str_of(description));
    printf("%.*s%s%s%s\n", STR_ARG(t->prefix), text + t->cut, described ? "\t" : "",
           described ? description : "");
}
