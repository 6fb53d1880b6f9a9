#include "catalog/corefile.h"

#define LABEL_MAX 63
#define NAME_MAX_LEN 253

/* --- domains --- */

static bool is_label(struct str s)
{
    if (str_empty(s) || s.len > LABEL_MAX || s.at[0] == '-' || s.at[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'))
            return false;
    }
    return true;
}

static bool is_domain(struct str s)
{
    struct str label;

    if (s.len > NAME_MAX_LEN)
        return false;
    do {
        s = str_cut(s, '.', &label);
        if (!is_label(label))
            return false;
    } while (s.at);
    return true;
}

static bool is_reverse(struct str s)
{
    return str_ends(s, STR(".arpa"));
}

/* "dns://Cluster.Local.:53" as "cluster.local"; false: it is no domain, or a reverse one. */
static bool read_zone(struct str word, char ret[static ZONE_ROOM])
{
    struct str zone = word, before;
    struct str after = str_cut(word, '/', &before);

    if (str_ends(before, STR(":")) && str_starts(after, STR("/")))
        zone = str_skip(after, 1);
    str_cut(zone, ':', &before);
    zone = str_ends(before, STR(".")) ? str_first(before, before.len - 1) : before;
    if (zone.len >= ZONE_ROOM)
        return false;
    for (size_t i = 0; i < zone.len; i++) {
        char c = zone.at[i];
        ret[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    ret[zone.len] = '\0';
    return is_domain(str_of(ret)) && !is_reverse(str_of(ret));
}

/* --- lines --- */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word of a line; empty at its end and at a comment. */
static struct str take_word(struct str *line)
{
    size_t begin = 0, end;

    while (begin < line->len && is_space(line->at[begin]))
        begin++;
    if (begin < line->len && line->at[begin] == '#')
        begin = line->len;
    for (end = begin; end < line->len && !is_space(line->at[end]);)
        end++;
    struct str word = str_first(str_skip(*line, begin), end - begin);
    *line = str_skip(*line, end);
    return word;
}

/* The first zone among the words of a line. */
static bool find_zone(struct str line, char ret[static ZONE_ROOM])
{
    for (;;) {
        struct str word = take_word(&line);
        if (str_empty(word) || str_eq(word, STR("{")))
            return false;
        if (read_zone(word, ret))
            return true;
    }
}

/* How many blocks a line opens (1), closes (-1), or neither. */
static int braces_of(struct str line)
{
    struct str last = STR("");

    for (struct str word; !str_empty(word = take_word(&line));)
        last = word;
    if (str_eq(last, STR("}")))
        return -1;
    return str_ends(last, STR("{")) ? 1 : 0;
}

bool corefile_zone(struct str text, char ret[static ZONE_ROOM])
{
    char block[ZONE_ROOM] = "";
    struct str line;
    int depth = 0;

    while (text.at) {
        text = str_cut(text, '\n', &line);
        struct str words = line;
        struct str first = take_word(&words);
        if (depth == 0 && !str_empty(first) && !find_zone(line, block))
            block[0] = '\0';
        if (depth == 1 && str_eq(first, STR("kubernetes"))) {
            if (find_zone(words, ret))
                return true;
            struct str next = take_word(&words);
            bool bare = str_empty(next) || str_eq(next, STR("{"));
            if (bare && block[0]) {
                memcpy(ret, block, sizeof(block));
                return true;
            }
        }
        depth += braces_of(line);
        if (depth < 0)
            depth = 0;
    }
    return false;
}
