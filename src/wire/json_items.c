/* wire/json_items.c - see json_items.h
 *
 * Two scanners alternate.  Between the values of the outermost object, and of "items", a
 * table of transitions reads one significant character at a time.  Inside a value,
 * brackets are counted to find its end; the bytes are copied in runs if the value is to
 * be returned, and skipped if not.  The pieces are kept one after the other in one
 * buffer, the unfinished one last, until the caller has taken them.
 *
 * A key of the list that contains escapes is never taken for "items" or "metadata": the
 * API server escapes neither.
 */
#include "wire/json_items.h"

#include "base/own.h"

#define KEY_MAX 16            /* longer keys are neither "items" nor "metadata" */
#define ROOM_KEPT (64 * 1024) /* a larger buffer is freed when it is empty */

enum place {
    /* watch */
    PLACE_BETWEEN,
    /* list: one significant character each */
    PLACE_START,
    PLACE_FIRST_KEY,
    PLACE_NEXT_KEY,
    PLACE_COLON,
    PLACE_VALUE,
    PLACE_AFTER_VALUE,
    PLACE_FIRST_ITEM,
    PLACE_NEXT_ITEM,
    PLACE_AFTER_ITEM,
    PLACE_END,
    /* both: runs of bytes */
    PLACE_IN_KEY,
    PLACE_IN_SCALAR, /* a number, true, false or null */
    PLACE_IN_VALUE,  /* an object, an array or a string */
};

struct piece {
    enum json_piece kind;
    size_t len;
};

struct json_items {
    enum json_items_mode mode;
    size_t object_max;
    enum err failed;

    enum place place, after; /* after: the place once the value being read has ended */
    bool in_string, escaped; /* in a value */
    size_t depth;
    char key[KEY_MAX];
    size_t key_len; /* up to KEY_MAX */

    bool capture; /* the value being read is a piece, of this kind */
    enum json_piece kind;
    char *text; /* pieces that were not taken, the unfinished one from `begun` on */
    size_t len, room, taken, begun;
    struct piece *pieces; /* the finished ones */
    size_t first, count, pieces_room;
};

struct json_items *json_items_create(enum json_items_mode mode, size_t object_max)
{
    struct json_items *c = xcalloc(1, sizeof(*c));
    c->mode = mode;
    c->object_max = object_max;
    c->place = mode == JSON_LIST ? PLACE_START : PLACE_BETWEEN;
    return c;
}

void json_items_destroy(struct json_items *c)
{
    if (!c)
        return;
    free(c->text);
    free(c->pieces);
    free(c);
}

/* Removes the pieces that were taken; a buffer that has grown for one large object is
 * freed. */
static void compact(struct json_items *c)
{
    c->len -= c->taken;
    c->begun -= c->begun < c->taken ? c->begun : c->taken;
    if (c->taken && c->len)
        memmove(c->text, c->text + c->taken, c->len);
    c->taken = 0;
    if (c->len == 0 && c->room > ROOM_KEPT) {
        free(TAKE(c->text));
        c->room = 0;
    }
    c->count -= c->first;
    if (c->first && c->count)
        memmove(c->pieces, c->pieces + c->first, c->count * sizeof(*c->pieces));
    c->first = 0;
}

static enum err append(struct json_items *c, struct str run)
{
    if (run.len > c->object_max - (c->len - c->begun))
        return ERR_LIMIT;
    if (run.len > c->room - c->len) {
        c->room = (c->len + run.len) * 2;
        c->text = xrealloc(c->text, c->room);
    }
    memcpy(c->text + c->len, run.at, run.len);
    c->len += run.len;
    return OK;
}

static void finish_piece(struct json_items *c)
{
    if (c->count == c->pieces_room) {
        c->pieces_room = c->pieces_room ? c->pieces_room * 2 : 8;
        c->pieces = xrealloc(c->pieces, c->pieces_room * sizeof(*c->pieces));
    }
    c->pieces[c->count++] = (struct piece){ c->kind, c->len - c->begun };
}

/* Returns how many bytes of `in` belong to the value being read; at its end c->place
 * becomes c->after. */
static size_t scan_value(struct json_items *c, struct str in)
{
    for (size_t i = 0; i < in.len; i++) {
        char ch = in.at[i];
        if (c->escaped)
            c->escaped = false;
        else if (c->in_string && ch == '\\')
            c->escaped = true;
        else if (ch == '"')
            c->in_string = !c->in_string;
        else if (!c->in_string && (ch == '{' || ch == '['))
            c->depth++;
        else if (!c->in_string && (ch == '}' || ch == ']'))
            c->depth--;
        if (c->depth == 0 && !c->in_string) {
            c->place = c->after;
            return i + 1;
        }
    }
    return in.len;
}

static enum err take_value(struct json_items *c, struct str *in)
{
    struct str run = str_first(*in, scan_value(c, *in));
    *in = str_skip(*in, run.len);
    if (!c->capture)
        return OK;
    enum err e = append(c, run);
    if (!e && c->place != PLACE_IN_VALUE)
        finish_piece(c);
    return e;
}

static enum err take_key(struct json_items *c, struct str *in)
{
    char ch = in->at[0];
    *in = str_skip(*in, 1);
    if (ch == '"' && !c->escaped) {
        c->place = PLACE_COLON;
        return OK;
    }
    c->escaped = ch == '\\' && !c->escaped;
    if (c->key_len < KEY_MAX)
        c->key[c->key_len++] = ch;
    return OK;
}

static bool ends_scalar(char ch)
{
    return ch && strchr(" \t\r\n,]}", ch);
}

static enum err take_scalar(struct json_items *c, struct str *in)
{
    char ch = in->at[0];
    if (ends_scalar(ch)) {
        c->place = c->after;
        return OK;
    }
    bool legal = (ch >= '0' && ch <= '9') || (ch >= 'a' && ch <= 'z') || ch == 'E' ||
                 ch == '+' || ch == '-' || ch == '.';
    *in = str_skip(*in, 1);
    return legal ? OK : ERR_PROTO;
}

static enum err begin_value(struct json_items *c, bool capture, enum json_piece kind,
                            enum place after)
{
    c->place = PLACE_IN_VALUE;
    c->after = after;
    c->in_string = c->escaped = false;
    c->depth = 0;
    c->capture = capture;
    c->kind = kind;
    c->begun = c->len;
    return OK;
}

static bool key_is(const struct json_items *c, struct str name)
{
    return str_eq((struct str){ c->key, c->key_len }, name);
}

/* Begins the value of a key of the list; `ch`, its first character, is not consumed. */
static enum err list_value(struct json_items *c, char ch)
{
    bool items = key_is(c, STR("items")), metadata = key_is(c, STR("metadata"));
    bool container = ch == '{' || ch == '[';

    if (items && ch != '[' && ch != 'n')
        return ERR_PROTO;
    if (metadata && ch != '{' && ch != 'n')
        return ERR_PROTO;
    if (items && ch == '[') {
        c->place = PLACE_FIRST_ITEM;
        return OK;
    }
    if (container || ch == '"')
        return begin_value(c, metadata, JSON_METADATA, PLACE_AFTER_VALUE);
    if (!ch || !strchr("-0123456789tfn", ch))
        return ERR_PROTO;
    c->place = PLACE_IN_SCALAR;
    c->after = PLACE_AFTER_VALUE;
    return OK;
}

static const struct move {
    enum place from;
    char on;
    enum place to;
} moves[] = {
    /* clang-format off */
    { PLACE_START,       '{', PLACE_FIRST_KEY },
    { PLACE_FIRST_KEY,   '"', PLACE_IN_KEY },
    { PLACE_FIRST_KEY,   '}', PLACE_END },
    { PLACE_NEXT_KEY,    '"', PLACE_IN_KEY },
    { PLACE_COLON,       ':', PLACE_VALUE },
    { PLACE_AFTER_VALUE, ',', PLACE_NEXT_KEY },
    { PLACE_AFTER_VALUE, '}', PLACE_END },
    { PLACE_FIRST_ITEM,  ']', PLACE_AFTER_VALUE },
    { PLACE_AFTER_ITEM,  ',', PLACE_NEXT_ITEM },
    { PLACE_AFTER_ITEM,  ']', PLACE_AFTER_VALUE },
    /* clang-format on */
};

static enum err move(struct json_items *c, char ch)
{
    for (size_t i = 0; i < ARRAY_LEN(moves); i++) {
        if (moves[i].from != c->place || moves[i].on != ch)
            continue;
        c->place = moves[i].to;
        if (c->place == PLACE_IN_KEY) {
            c->key_len = 0;
            c->escaped = false;
        }
        return OK;
    }
    return ERR_PROTO;
}

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\n' || ch == '\r' || ch == '\t';
}

/* Reads one significant character.  The first one of a piece is not consumed, so that
 * scan_value copies it. */
static enum err take_structure(struct json_items *c, struct str *in)
{
    char ch = in->at[0];
    if (is_blank(ch)) {
        *in = str_skip(*in, 1);
        return OK;
    }
    if (c->place == PLACE_BETWEEN)
        return ch == '{' ? begin_value(c, true, JSON_ITEM, PLACE_BETWEEN) : ERR_PROTO;
    if (ch == '{' && (c->place == PLACE_FIRST_ITEM || c->place == PLACE_NEXT_ITEM))
        return begin_value(c, true, JSON_ITEM, PLACE_AFTER_ITEM);
    if (c->place != PLACE_VALUE) {
        *in = str_skip(*in, 1);
        return move(c, ch);
    }
    enum err e = list_value(c, ch);
    if (!e && c->place == PLACE_FIRST_ITEM)
        *in = str_skip(*in, 1);
    return e;
}

static enum err take(struct json_items *c, struct str *in)
{
    switch (c->place) {
    case PLACE_IN_VALUE:
        return take_value(c, in);
    case PLACE_IN_KEY:
        return take_key(c, in);
    case PLACE_IN_SCALAR:
        return take_scalar(c, in);
    default:
        return take_structure(c, in);
    }
}

enum err json_items_feed(struct json_items *c, const char *in, size_t len)
{
    struct str rest = { in, len };

    compact(c);
    while (rest.len && !c->failed)
        c->failed = take(c, &rest);
    return c->failed;
}

enum err json_items_next(struct json_items *c, enum json_piece *ret_kind,
                         struct str *ret_text)
{
    if (c->first == c->count)
        return ERR_AGAIN;
    const struct piece *p = &c->pieces[c->first++];
    *ret_kind = p->kind;
    *ret_text = (struct str){ c->text + c->taken, p->len };
    c->taken += p->len;
    return OK;
}

bool json_items_complete(const struct json_items *c)
{
    return !c->failed && (c->place == PLACE_END || c->place == PLACE_BETWEEN);
}
