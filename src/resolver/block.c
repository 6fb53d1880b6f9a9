/* resolver/block.c - a part of a text file that kube-tunnel manages */
#include "resolver/block.h"

#include "base/own.h"

#define BEGIN "# kube-tunnel: begin, written by kube-tunnel dns install"
/* The file did not end with a line feed: the one before this marker is the block's, as long as
 * no lines follow the block. */
#define BEGIN_CUT BEGIN " (no line feed before it)"
#define END "# kube-tunnel: end"

/* Where a block is: from the line feed that came with it, from its first marker, its lines. */
struct extent {
    size_t begin, marker, lines, lines_end, end;
};

static bool is_marker(struct str line)
{
    return str_starts(line, STR("# kube-tunnel: "));
}

static bool is_begin(struct str line, bool *ret_cut)
{
    *ret_cut = str_eq(line, STR(BEGIN_CUT));
    return *ret_cut || str_eq(line, STR(BEGIN));
}

static enum err wrong_marker(size_t number, struct diag *why)
{
    return diag_set(why, ERR_CONFIG,
                    "line %zu is a marker of kube-tunnel without its other half: remove "
                    "the lines that begin with \"# kube-tunnel: \", and what is between "
                    "them",
                    number);
}

/* One marker line.  `begun`, `ended`: what was seen before it. */
static bool take_marker(struct str line, size_t at, size_t next, bool *begun, bool *ended,
                        struct extent *x)
{
    bool cut;

    if (!*begun && is_begin(line, &cut)) {
        if (cut && !at)
            return false;
        *begun = true;
        x->begin = at - (cut ? 1 : 0);
        x->marker = at;
        x->lines = next;
        return true;
    }
    if (!*begun || *ended || !str_eq(line, STR(END)))
        return false;
    *ended = true;
    x->lines_end = at;
    x->end = next;
    return true;
}

/* OK; ERR_NOT_FOUND: no marker; ERR_CONFIG. */
static enum err find_extent(struct str text, struct extent *ret, struct diag *why)
{
    bool begun = false, ended = false;
    size_t at = 0, number = 0;

    while (at < text.len) {
        const char *feed = memchr(text.at + at, '\n', text.len - at);
        size_t stop = feed ? (size_t)(feed - text.at) : text.len;
        size_t next = feed ? stop + 1 : stop;
        struct str line = { text.at + at, stop - at };
        number++;
        if (is_marker(line) &&
            !(feed && take_marker(line, at, next, &begun, &ended, ret)))
            return wrong_marker(number, why);
        at = next;
    }
    if (begun && !ended)
        return wrong_marker(number, why);
    return begun ? OK : ERR_NOT_FOUND;
}

enum err block_find(struct str text, struct str *ret_lines, struct diag *why)
{
    struct extent x;
    enum err e = find_extent(text, &x, why);

    if (!e)
        *ret_lines = (struct str){ text.at + x.lines, x.lines_end - x.lines };
    return e;
}

enum err block_remove(struct str text, char **ret, struct diag *why)
{
    struct extent x = { 0 };
    enum err e = find_extent(text, &x, why);

    if (e == ERR_CONFIG)
        return e;
    size_t after = text.len - x.end;
    size_t before = after ? x.marker : x.begin;
    char *made = xmalloc(before + after + 1);
    if (before)
        memcpy(made, text.at, before);
    if (after)
        memcpy(made + before, text.at + x.end, after);
    made[before + after] = '\0';
    *ret = made;
    return OK;
}

/* The block with its markers before the first or behind the last byte. */
static char *join(struct str text, struct str lines, enum block_place place)
{
    bool top = place == BLOCK_AT_TOP;
    bool cut = !top && text.len && text.at[text.len - 1] != '\n';
    AUTO_FREE char *block = xasprintf("%s%s\n%.*s%s\n", cut ? "\n" : "",
                                      cut ? BEGIN_CUT : BEGIN, STR_ARG(lines), END);
    size_t len = strlen(block);
    char *made = xmalloc(text.len + len + 1);

    if (text.len)
        memcpy(made + (top ? len : 0), text.at, text.len);
    memcpy(made + (top ? 0 : text.len), block, len);
    made[text.len + len] = '\0';
    return made;
}

enum err block_put(struct str text, struct str lines, enum block_place place, char **ret,
                   struct diag *why)
{
    struct extent x = { 0 };
    enum err e = find_extent(text, &x, why);

    if (e == ERR_CONFIG)
        return e;
    if (e == ERR_NOT_FOUND) {
        *ret = join(text, lines, place);
        return OK;
    }
    char *made = xmalloc(text.len - (x.lines_end - x.lines) + lines.len + 1);
    memcpy(made, text.at, x.lines);
    if (lines.len)
        memcpy(made + x.lines, lines.at, lines.len);
    memcpy(made + x.lines + lines.len, text.at + x.lines_end, text.len - x.lines_end);
    made[text.len - (x.lines_end - x.lines) + lines.len] = '\0';
    *ret = made;
    return OK;
}
