/* addresses/state_text.c - the text of the state file */
#include "addresses/state_text.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/own.h"

#define TITLE "kube-tunnel addresses "
#define VERSION_TEXT "1"
#define SEED_DIGITS 16
#define PARTS 4

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._:/@-", c));
}

/* ---- reading ---- */

struct cursor {
    struct str rest;
    unsigned line;
};

static enum err damaged(const struct cursor *c, const char *what, struct diag *why)
{
    return diag_set(why, ERR_PROTO, "line %u: %s", c->line, what);
}

/* False: there is no further line that is complete. */
static bool next_line(struct cursor *c, struct str *ret)
{
    struct str rest = str_cut(c->rest, '\n', ret);

    c->line++;
    if (!rest.at)
        return false;
    c->rest = rest;
    return true;
}

/* *ret is the rest of a line after this word and a blank.  False: the line does not begin so. */
static bool after_word(struct str line, struct str word, struct str *ret)
{
    if (!str_starts(line, word) || line.len == word.len || line.at[word.len] != ' ')
        return false;
    *ret = str_skip(line, word.len + 1);
    return true;
}

static bool read_hex(struct str text, uint64_t *ret)
{
    *ret = 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *digits = "0123456789abcdef";
        const char *at = text.at[i] ? strchr(digits, text.at[i]) : NULL;
        if (!at)
            return false;
        *ret = *ret << 4 | (uint64_t)(at - digits);
    }
    return true;
}

/* One byte of a part, which may be three in the text. */
static bool take_byte(struct str *text, char *ret)
{
    uint64_t byte;

    *ret = text->at[0];
    if (*ret != '%') {
        *text = str_skip(*text, 1);
        return is_plain(*ret);
    }
    if (text->len < 3 || !read_hex((struct str){ text->at + 1, 2 }, &byte))
        return false;
    *ret = (char)byte;
    *text = str_skip(*text, 3);
    return byte != 0;
}

/* Appends the part to room, of KEY_TEXT_MAX bytes. */
static bool read_part(struct str text, char *room, size_t *used, struct str *ret)
{
    size_t start = *used;

    if (str_empty(text))
        return false;
    if (str_eq(text, STR("-")))
        text = STR("");
    while (!str_empty(text)) {
        if (*used == KEY_TEXT_MAX || !take_byte(&text, &room[*used]))
            return false;
        (*used)++;
    }
    *ret = (struct str){ room + start, *used - start };
    return true;
}

static bool read_address(struct str text, uint32_t *ret)
{
    char copy[INET_ADDRSTRLEN];
    struct in_addr a;

    if (text.len >= sizeof(copy))
        return false;
    snprintf(copy, sizeof(copy), "%.*s", STR_ARG(text));
    if (strlen(copy) != text.len || inet_pton(AF_INET, copy, &a) != 1)
        return false;
    *ret = ntohl(a.s_addr);
    return true;
}

static enum err read_entry(const struct cursor *c, struct str line,
                           struct address_table *t, struct diag *why)
{
    char room[KEY_TEXT_MAX];
    struct str parts[PARTS], part;
    struct str rest = str_cut(line, ' ', &part);
    size_t used = 0;
    uint32_t address;

    if (!read_address(part, &address))
        return damaged(c, "no address", why);
    for (size_t i = 0; i < PARTS; i++) {
        rest = str_cut(rest, ' ', &part);
        if (!read_part(part, room, &used, &parts[i]))
            return damaged(c, "not a key of four parts", why);
    }
    if (rest.at)
        return damaged(c, "more than four parts", why);
    const struct key_parts key = { parts[0], parts[1], parts[2], parts[3] };
    enum err e = address_table_keep(t, &key, address);
    if (e == ERR_LIMIT)
        return damaged(c, "too long, or too many entries", why);
    return e ? damaged(c, "an address or key that cannot be given twice", why) : OK;
}

static enum err read_title(struct cursor *c, struct diag *why)
{
    struct str line;

    if (!next_line(c, &line) || !str_starts(line, STR(TITLE)))
        return damaged(c, "not a state file of kube-tunnel", why);
    struct str version = str_skip(line, strlen(TITLE));
    if (str_eq(version, STR(VERSION_TEXT)))
        return OK;
    return diag_set(
        why, ERR_VERSION,
        "its version is %.*s, and this kube-tunnel reads version " VERSION_TEXT,
        STR_ARG(str_first(version, 20)));
}

static enum err read_end(struct cursor *c, struct str count,
                         const struct address_table *t, struct diag *why)
{
    uint64_t n;

    if (str_to_uint(count, KEPT_MAX, &n) || n != t->kept || !str_empty(c->rest))
        return damaged(c, "the end does not match the entries", why);
    return OK;
}

enum err state_text_read(struct str text, struct address_table *t, struct diag *why)
{
    struct cursor c = { .rest = text };
    struct str line, value;
    enum err e = read_title(&c, why);

    if (e)
        return e;
    uint64_t seed;
    if (!next_line(&c, &line) || !after_word(line, STR("seed"), &value) ||
        value.len != SEED_DIGITS || !read_hex(value, &seed))
        return damaged(&c, "no seed", why);
    t->seed = seed;
    while (next_line(&c, &line)) {
        if (after_word(line, STR("end"), &value))
            return read_end(&c, value, t, why);
        e = read_entry(&c, line, t, why);
        if (e)
            return e;
    }
    return damaged(&c, "the end is missing", why);
}

/* ---- writing ---- */

static void write_part(FILE *out, struct str part)
{
    bool marker = str_eq(part, STR("-"));

    fputs(str_empty(part) ? " -" : " ", out);
    for (size_t i = 0; i < part.len; i++) {
        if (is_plain(part.at[i]) && !marker)
            fputc(part.at[i], out);
        else
            fprintf(out, "%%%02x", (unsigned char)part.at[i]);
    }
}

static void write_entry(FILE *out, const struct address_entry *e)
{
    const struct key_parts key = address_entry_key(e);

    fprintf(out, "127.%u.%u.%u", e->address >> 16 & 0xff, e->address >> 8 & 0xff,
            e->address & 0xff);
    write_part(out, key.context);
    write_part(out, key.ns);
    write_part(out, key.service);
    write_part(out, key.pod);
    fputc('\n', out);
}

char *state_text_write(const struct address_table *t)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        abort(); /* out of memory */
    fprintf(out, TITLE VERSION_TEXT "\nseed %016llx\n", (unsigned long long)t->seed);
    list_for_each (e, &t->recent, struct address_entry, recent)
        if (e->kept)
            write_entry(out, e);
    fprintf(out, "end %zu\n", t->kept);
    if (fclose(out))
        abort();
    return text;
}
