/* config/table.c - the table as an array; finding a setting by its name, or the most
 * similar name */
#include "config/setting.h"

#include <stdio.h>

#include "base/own.h"
#include "config/type.h"

const struct setting settings[SETTING_COUNT] = {
#define X(TYPE, field, name, initial, min, max, GROUP, help)                             \
    [SETTING_##field] = { name,          &type_##TYPE, offsetof(struct config, field),   \
                          initial,       min,          max,                              \
                          GROUP_##GROUP, help },
    SETTINGS(X)
#undef X
};

const char *setting_group_title(enum setting_group group)
{
    static const char *const titles[] = {
#define X(NAME, title) [GROUP_##NAME] = title,
        SETTING_GROUPS(X)
#undef X
    };
    return titles[group];
}

const char *setting_argument(const struct setting *s)
{
    return s->type->argument;
}

bool setting_is_bool(const struct setting *s)
{
    return !s->type->argument;
}

bool setting_is_list(const struct setting *s)
{
    return s->type->list;
}

bool setting_has_sections(const struct setting *s)
{
    return s->type->sections;
}

const struct setting *setting_find(struct str name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (str_eq(name, str_of(settings[i].name)))
            return &settings[i];
    return NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Takes the next letter of a name in any spelling, in lower case without separators; 0 at
 * the end. */
static char next_letter(struct str *s)
{
    while (s->len) {
        char c = lower(s->at[0]);
        *s = str_skip(*s, 1);
        if (c != '-' && c != '_')
            return c ? c : '?';
    }
    return 0;
}

static bool same_letters(struct str a, struct str b)
{
    char x, y;

    do {
        x = next_letter(&a);
        y = next_letter(&b);
    } while (x == y && x);
    return x == y;
}

bool setting_name_matches(struct str written, const char *name)
{
    return same_letters(written, str_of(name));
}

const struct setting *setting_find_loosely(struct str name)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (same_letters(name, str_of(settings[i].name)))
            return &settings[i];
    return NULL;
}

#define NEAR_LEN 31 /* longer than any name; longer texts are similar to none */

static size_t letters(struct str s, char out[static NEAR_LEN + 1])
{
    size_t n = 0;
    for (char c; n <= NEAR_LEN && (c = next_letter(&s));)
        out[n++] = c;
    return n;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned low = a < b ? a : b;
    return low < c ? low : c;
}

/* The edit distance: how many letters to add, drop, change or swap with their
 * neighbour. */
static unsigned edits(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][NEAR_LEN + 2];
    unsigned *older = rows[0], *old = rows[1], *row = rows[2];

    for (unsigned j = 0; j <= b_len; j++)
        old[j] = older[j] = j;
    for (unsigned i = 1; i <= a_len; i++) {
        row[0] = i;
        for (unsigned j = 1; j <= b_len; j++) {
            row[j] =
                least(old[j] + 1, row[j - 1] + 1, old[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least(row[j], older[j - 2] + 1, row[j]);
        }
        unsigned *unused = older;
        older = old;
        old = row;
        row = unused;
    }
    return old[b_len];
}

/* 0: the same letters.  The beginning of a name has distance 1. */
static unsigned distance(struct str written, const char *name)
{
    char a[NEAR_LEN + 1], b[NEAR_LEN + 1];
    size_t a_len = letters(written, a), b_len = letters(str_of(name), b);

    if (a_len < 2 || a_len > NEAR_LEN || b_len > NEAR_LEN)
        return UINT32_MAX;
    if (a_len >= 3 && a_len < b_len && memcmp(a, b, a_len) == 0)
        return 1;
    unsigned n = edits(a, a_len, b, b_len);
    return n <= (a_len > 5 ? 3u : 1u) ? n : UINT32_MAX;
}

const char *nearest_name(struct str name, const char *const *names)
{
    const char *best = NULL;
    unsigned best_distance = UINT32_MAX;

    for (; *names; names++) {
        unsigned d = distance(name, *names);
        if (d < best_distance) {
            best_distance = d;
            best = *names;
        }
    }
    return best;
}

const char *setting_nearest(struct str name)
{
    const char *names[SETTING_COUNT + 1] = { NULL };

    for (size_t i = 0; i < SETTING_COUNT; i++)
        names[i] = settings[i].name;
    return nearest_name(name, names);
}

char *setting_variable(const struct setting *s)
{
    char *text = xasprintf("KTUN_%s", s->name);

    for (char *c = text; *c; c++) {
        if (*c == '-')
            *c = '_';
        else if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    }
    return text;
}

static void *field_of(const struct setting *s, struct config *c)
{
    return (char *)c + s->offset;
}

char *setting_print(const struct setting *s, const struct config *c)
{
    return s->type->print(s, (const char *)c + s->offset);
}

char *setting_origin(const struct setting *s, const struct config *c)
{
    const struct origin *origin = &c->origins[s - settings];

    switch (origin->source) {
    case FROM_DEFAULT:
        return xstrdup("default");
    case FROM_SYSTEM_FILE:
    case FROM_FILE:
        return xasprintf("%s:%u", origin->file, origin->line);
    case FROM_ENVIRONMENT:
        return setting_variable(s);
    case FROM_FLAG:
        return xasprintf("--%s", s->name);
    }
    return xstrdup("");
}

static enum err apply_list(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    enum err e = OK;

    while (!e && text.at) {
        struct str element;
        text = str_cut(text, ',', &element);
        element = str_trim(element);
        e = str_empty(element) ? diag_set(why, ERR_CONFIG, "an element is empty")
                               : s->type->parse(s, element, field, why);
    }
    return e;
}

enum err setting_apply(const struct setting *s, struct str text, struct config *c,
                       struct diag *why)
{
    if (s->type->list && !str_empty(text))
        return apply_list(s, text, field_of(s, c), why);
    setting_clear(s, c);
    if (str_empty(text))
        return s->initial[0] ? diag_set(why, ERR_CONFIG, "a value is missing") : OK;
    return s->type->parse(s, text, field_of(s, c), why);
}

void setting_clear(const struct setting *s, struct config *c)
{
    void *field = field_of(s, c);

    if (s->type->clear)
        s->type->clear(field);
    memset(field, 0, s->type->size);
}
