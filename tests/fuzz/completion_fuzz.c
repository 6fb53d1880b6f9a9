/* tests/fuzz/completion_fuzz.c - typed words, and names of a cluster that may complete the last
 *
 * The input is lines: the words as bash parts them until an empty line, then a prefix, then
 * candidates, each with its description after a tab.  Bytes that no argument can have end a
 * text.  What is printed is nothing or one line that the scripts of bash, zsh and fish take
 * apart again: value, tab, description, without control characters, and not their own word for
 * files.  With what the shell keeps of the word, the value is the name.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/utf8.h"
#include "cli/candidate.h"

#define WORDS_MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static bool has_control(struct str s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_length(s.at + i, s.len - i);
        if (!n || utf8_is_control(s.at + i, n))
            return true;
        i += n;
    }
    return false;
}

static void check_line(const struct typed_word *t, struct str line, const char *name)
{
    struct str value, text = str_cut(line, '\t', &value);

    assert(!has_control(value) && !has_control(text));
    assert(!str_eq(value, STR(CANDIDATE_FILES)));
    assert(str_starts(value, t->prefix));
    AUTO_FREE char *whole = xasprintf("%.*s%.*s", (int)t->cut, t->word.at,
                                      STR_ARG(str_skip(value, t->prefix.len)));
    assert(strcmp(whole, name) == 0);
}

static void check_candidate(const struct typed_word *t, struct str line)
{
    struct str head, rest = str_cut(line, '\t', &head);
    AUTO_FREE char *name = str_dup(head);
    AUTO_FREE char *description = rest.at ? str_dup(rest) : NULL;
    char *printed = NULL;
    size_t len = 0;
    FILE *to = open_memstream(&printed, &len);

    candidate_write(to, t, name, description);
    fclose(to);
    bool wanted = str_starts(str_of(name), t->word) && strlen(name) > t->cut &&
                  !has_control(str_of(name)) && !has_control(t->prefix);
    assert(len == 0 || wanted);
    AUTO_FREE char *value =
        xasprintf("%.*s%s", STR_ARG(t->prefix), wanted ? name + t->cut : "");
    assert(len || !wanted || strcmp(value, CANDIDATE_FILES) == 0);
    if (len) {
        assert(printed[len - 1] == '\n' && !memchr(printed, '\n', len - 1));
        check_line(t, (struct str){ printed, len - 1 }, name);
    }
    free(printed);
}

/* Nothing of the words is lost, and the shell keeps a part of the last one. */
static void check_joined(char *const *parts, size_t count, char *const *joined, size_t n,
                         const struct typed_word *t)
{
    size_t before = 0, after = 0;

    for (size_t i = 0; i < count; i++)
        before += strlen(parts[i]);
    for (size_t i = 0; i < n; i++)
        after += strlen(joined[i]);
    assert(before == after && n && n <= count);
    assert(t->cut <= strlen(joined[n - 1]));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = { (const char *)bytes, len }, line;
    char *parts[WORDS_MAX], *joined[WORDS_MAX];
    struct typed_word t = { .what = COMPLETES_NOTHING };
    size_t count = 0;

    while (!str_empty(rest) && count < WORDS_MAX) {
        rest = str_cut(rest, '\n', &line);
        if (str_empty(line))
            break;
        parts[count++] = str_dup(line);
    }
    if (!count)
        return 0;
    size_t n = candidate_join((const char *const *)parts, count, joined, &t);
    check_joined(parts, count, joined, n, &t);
    t.word = str_of(joined[n - 1]);
    rest = str_cut(rest, '\n', &line);
    AUTO_FREE char *prefix = str_dup(line);
    t.prefix = str_of(prefix);
    while (!str_empty(rest)) {
        rest = str_cut(rest, '\n', &line);
        check_candidate(&t, line);
    }
    for (size_t i = 0; i < n; i++)
        free(joined[i]);
    for (size_t i = 0; i < count; i++)
        free(parts[i]);
    return 0;
}
