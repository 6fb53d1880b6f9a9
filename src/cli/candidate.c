/* cli/candidate.c - a word that is being typed in a shell, and what it may become */
#include "cli/candidate.h"

#include <stdlib.h>

#include "base/own.h"
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

void candidate_write(FILE *to, const struct typed_word *t, const char *text,
                     const char *description)
{
    struct str all = str_of(text);

    if (!str_starts(all, t->word) || all.len <= t->cut || !is_clean(all) ||
        !is_clean(t->prefix))
        return;
    AUTO_FREE char *value = xasprintf("%.*s%s", STR_ARG(t->prefix), text + t->cut);
    if (strcmp(value, CANDIDATE_FILES) == 0)
        return;
    bool described = description && is_clean(str_of(description));
    fprintf(to, "%s%s%s\n", value, described ? "\t" : "", described ? description : "");
}

void print_candidate(const struct typed_word *t, const char *text,
                     const char *description)
{
    candidate_write(stdout, t, text, description);
}

/* --- words as the shell parts them --- */

static bool is_break(const char *word)
{
    return (word[0] == '=' || word[0] == ':') && !word[1];
}

size_t candidate_join(const char *const *words, size_t count, char **joined,
                      struct typed_word *t)
{
    size_t n = 0;
    bool after_break = false;

    for (size_t i = 0; i < count; i++) {
        bool is_one = is_break(words[i]);
        if (n && (is_one || after_break)) {
            char *longer = xasprintf("%s%s", joined[n - 1], words[i]);
            free(joined[n - 1]);
            joined[n - 1] = longer;
            t->cut = strlen(longer) - (is_one ? 0 : strlen(words[i]));
            t->cut_at_equals = true;
        } else {
            joined[n++] = xstrdup(words[i]);
            t->cut = 0;
            t->cut_at_equals = false;
        }
        after_break = is_one;
    }
    return n;
}
