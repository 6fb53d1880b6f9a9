/* yaml/cursor.c - the first document of a YAML text, event by event
 *
 * THEORY OF OPERATION
 *
 *      libyaml ── take_in ──┬──────────────▶ pull ──▶ expand ──▶ current event
 *                           └─▶ tape ─ frames ─┘
 *
 * take_in converts libyaml's events.  While a node with an anchor is being read, its
 * events are copied to the tape as well; a recording is a range of the tape, and an alias
 * on the tape stays an alias, so the tape is never longer than the text.  To follow an
 * alias is to push a frame: the range to be pulled from before anything else.
 *
 * A merge key's value is recorded in the same way even without an anchor; then a frame is
 * pushed for the pairs of each mapping it names, without the mapping's own first and last
 * event, so that they arrive as pairs of the mapping the merge key stands in.
 */
#include "yaml/cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/base64.h"
#include "base/map.h"
#include "base/own.h"

#define ALIAS 100 /* an alias, which expand() replaces; not in enum yaml_kind */

struct taped {
    int kind; /* enum yaml_kind or ALIAS */
    bool plain, null;
    unsigned line;
    size_t recording; /* ALIAS: its target */
    struct str text;  /* owned */
};

struct recording {
    size_t start, end; /* indices on the tape; end is 0 while the recording is open */
    int depth;
    bool open;
    size_t outer; /* the open recording around it: its number + 1, or 0 */
};

struct frame {
    size_t at, end; /* indices on the tape */
    /* keys at this depth come from a merge key; 0: the frame is not a merge */
    int merge_depth;
};

/* What the next event in a container is. */
enum place { IN_LIST, AT_KEY, AT_VALUE };

struct yaml_cursor {
    const char *path;
    struct str text;
    struct diag *why;
    yaml_parser_t parser;
    yaml_event_t raw;
    bool begun, ended;
    char *decoded; /* the text of a !!binary node that is not on the tape */

    struct yaml_event at;
    int alias; /* if raw is an alias: the number of its recording, else -1 */

    struct taped *tape;
    size_t taped, tape_room;
    struct recording *recordings;
    size_t recording_count, recording_room;
    size_t open;        /* the innermost open recording: its number + 1, or 0 */
    int depth;          /* of libyaml's events */
    struct map anchors; /* name -> recording's number + 1 */

    struct frame *frames;
    size_t frame_count, frame_room;
    size_t expanded;

    uint8_t places[YAML_DEPTH_MAX + 1];
    int nested; /* depth of the returned events */
    struct texts warnings;
};

struct yaml_cursor *yaml_cursor_create(const char *path, struct str text,
                                       struct diag *why)
{
    struct yaml_cursor *c = xcalloc(1, sizeof(*c));

    c->path = path;
    c->text = text;
    c->why = why;
    map_init(&c->anchors);
    if (!yaml_parser_initialize(&c->parser))
        abort(); /* out of memory, the only possible failure */
    yaml_parser_set_input_string(&c->parser, (const unsigned char *)text.at, text.len);
    return c;
}

void yaml_cursor_destroy(struct yaml_cursor *c)
{
    if (!c)
        return;
    yaml_event_delete(&c->raw);
    yaml_parser_delete(&c->parser);
    for (size_t i = 0; i < c->taped; i++)
        free((char *)(uintptr_t)c->tape[i].text.at);
    free(c->tape);
    free(c->recordings);
    free(c->frames);
    free(c->decoded);
    map_finish(&c->anchors);
    texts_finish(&c->warnings);
    free(c);
}

const struct yaml_event *yaml_at(const struct yaml_cursor *c)
{
    return &c->at;
}

static char *sentence(const char *format, va_list arguments)
{
    char text[DIAG_SIZE];

    vsnprintf(text, sizeof(text), format, arguments);
    return xstrdup(text);
}

enum err yaml_refuse(struct yaml_cursor *c, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    AUTO_FREE char *what = sentence(format, arguments);
    va_end(arguments);
    return diag_set(c->why, ERR_CONFIG, "%s:%u: %s", c->path, c->at.line, what);
}

enum err yaml_refuse_line(struct yaml_cursor *c, unsigned line, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    AUTO_FREE char *what = sentence(format, arguments);
    va_end(arguments);
    return diag_set(c->why, ERR_CONFIG, "%s:%u: %s", c->path, line, what);
}

void yaml_warn(struct yaml_cursor *c, const char *format, ...)
{
    va_list arguments;

    if (c->warnings.count == YAML_WARNINGS_MAX)
        return;
    va_start(arguments, format);
    AUTO_FREE char *what = sentence(format, arguments);
    va_end(arguments);
    texts_add(&c->warnings, xasprintf("%s:%u: %s", c->path, c->at.line, what));
}

struct texts yaml_take_warnings(struct yaml_cursor *c)
{
    struct texts taken = c->warnings;

    c->warnings = (struct texts){ 0 };
    return taken;
}

/* Grows an array so that one more element fits. */
static void *grown(void *at, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return at;
    *room = *room ? *room * 2 : 16;
    return xrealloc(at, *room * size);
}

/* libyaml reports the offset of a byte that is not valid text, and the line of any other
 * error. */
static enum err not_yaml(struct yaml_cursor *c)
{
    const char *problem = c->parser.problem ? c->parser.problem : "not YAML";
    size_t line = c->parser.problem_mark.line;

    if (c->parser.error == YAML_READER_ERROR) {
        line = 0;
        for (size_t i = 0; i < c->parser.problem_offset && i < c->text.len; i++)
            line += c->text.at[i] == '\n';
    }
    return diag_set(c->why, ERR_CONFIG, "%s:%zu: %s", c->path, line + 1, problem);
}

static enum err raw_next(struct yaml_cursor *c)
{
    yaml_event_delete(&c->raw);
    if (!yaml_parser_parse(&c->parser, &c->raw))
        return not_yaml(c);
    c->at.line = (unsigned)c->raw.start_mark.line + 1;
    return OK;
}

static bool has_tag(const yaml_event_t *e, const char *tag)
{
    const char *own = (const char *)e->data.scalar.tag;
    return own && strcmp(own, tag) == 0;
}

static bool means_null(const yaml_event_t *e, struct str text, bool plain)
{
    static const char *const nulls[] = { "~", "null", "Null", "NULL" };

    if (!plain)
        return has_tag(e, YAML_NULL_TAG);
    if (text.len > 4)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
        if (str_eq(text, str_of(nulls[i])))
            return true;
    return str_empty(text);
}

static enum err decode_binary(struct yaml_cursor *c)
{
    size_t len;

    free(TAKE(c->decoded));
    if (base64_decode(c->at.text, &c->decoded, &len))
        return yaml_refuse(c, "!!binary is not base64");
    c->at.text = (struct str){ c->decoded, len };
    return OK;
}

static enum err take_scalar(struct yaml_cursor *c)
{
    const yaml_event_t *e = &c->raw;

    c->at.kind = YAML_TEXT;
    c->at.text =
        (struct str){ (const char *)e->data.scalar.value, e->data.scalar.length };
    c->at.plain =
        e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && e->data.scalar.plain_implicit;
    c->at.null = means_null(e, c->at.text, c->at.plain);
    return has_tag(e, "tag:yaml.org,2002:binary") ? decode_binary(c) : OK;
}

static enum err take_alias(struct yaml_cursor *c)
{
    const char *name = (const char *)c->raw.data.alias.anchor;
    void *found = map_get(&c->anchors, str_of(name));

    if (!found)
        return yaml_refuse(c, "no anchor &%s before this alias *%s", name, name);
    c->alias = (int)((uintptr_t)found - 1);
    if (c->recordings[c->alias].open)
        return yaml_refuse(c, "the alias *%s is inside its anchor &%s", name, name);
    return OK;
}

static const char *anchor_of(const yaml_event_t *e)
{
    const yaml_char_t *name = NULL;

    if (e->type == YAML_SCALAR_EVENT)
        name = e->data.scalar.anchor;
    else if (e->type == YAML_SEQUENCE_START_EVENT)
        name = e->data.sequence_start.anchor;
    else if (e->type == YAML_MAPPING_START_EVENT)
        name = e->data.mapping_start.anchor;
    return (const char *)name;
}

static size_t start_recording(struct yaml_cursor *c, int depth)
{
    c->recordings = grown(c->recordings, c->recording_count, &c->recording_room,
                          sizeof(*c->recordings));
    c->recordings[c->recording_count] = (struct recording){
        .start = c->taped, .depth = depth, .open = true, .outer = c->open
    };
    c->open = ++c->recording_count;
    return c->recording_count - 1;
}

static enum err put_on_tape(struct yaml_cursor *c)
{
    struct taped t = { .kind = (int)c->at.kind,
                       .plain = c->at.plain,
                       .null = c->at.null,
                       .line = c->at.line };

    if (c->taped == YAML_EXPANDED_MAX)
        return diag_set(c->why, ERR_LIMIT, "%s:%u: too much text under anchors (&)",
                        c->path, c->at.line);
    if (c->alias >= 0) {
        t.kind = ALIAS;
        t.recording = (size_t)c->alias;
    } else if (t.kind == YAML_TEXT) {
        t.text = (struct str){ str_dup(c->at.text), c->at.text.len };
    }
    c->tape = grown(c->tape, c->taped, &c->tape_room, sizeof(*c->tape));
    c->tape[c->taped++] = t;
    return OK;
}

/* A node is complete at c->depth: ends the recordings that began there. */
static void end_recordings(struct yaml_cursor *c)
{
    while (c->open && c->recordings[c->open - 1].depth == c->depth) {
        struct recording *r = &c->recordings[c->open - 1];
        r->open = false;
        r->end = c->taped;
        c->open = r->outer;
    }
}

static enum err record(struct yaml_cursor *c)
{
    const char *anchor = anchor_of(&c->raw);
    bool opens = c->at.kind == YAML_LIST || c->at.kind == YAML_MAP;
    bool closes = c->at.kind == YAML_LIST_END || c->at.kind == YAML_MAP_END;

    c->depth -= closes;
    if (anchor) {
        size_t number = start_recording(c, c->depth);
        map_set(&c->anchors, str_of(anchor), (void *)(uintptr_t)(number + 1));
    }
    if (c->open) {
        enum err e = put_on_tape(c);
        if (e)
            return e;
    }
    c->depth += opens;
    if (!opens)
        end_recordings(c);
    return OK;
}

/* Reads one event from libyaml, inside the document. */
static enum err take_in(struct yaml_cursor *c)
{
    enum err e = raw_next(c);

    if (e)
        return e;
    c->at = (struct yaml_event){ .line = c->at.line };
    c->alias = -1;
    switch (c->raw.type) {
    case YAML_SCALAR_EVENT:
        e = take_scalar(c);
        break;
    case YAML_ALIAS_EVENT:
        e = take_alias(c);
        break;
    case YAML_SEQUENCE_START_EVENT:
        c->at.kind = YAML_LIST;
        break;
    case YAML_SEQUENCE_END_EVENT:
        c->at.kind = YAML_LIST_END;
        break;
    case YAML_MAPPING_START_EVENT:
        c->at.kind = YAML_MAP;
        break;
    case YAML_MAPPING_END_EVENT:
        c->at.kind = YAML_MAP_END;
        break;
    default:
        c->ended = true;
        return OK;
    }
    return e ? e : record(c);
}

static enum err count_expanded(struct yaml_cursor *c)
{
    if (++c->expanded <= YAML_EXPANDED_MAX)
        return OK;
    return diag_set(c->why, ERR_LIMIT, "%s:%u: its aliases (*) add too much", c->path,
                    c->at.line);
}

static enum err push_frame(struct yaml_cursor *c, size_t start, size_t end,
                           int merge_depth)
{
    c->frames = grown(c->frames, c->frame_count, &c->frame_room, sizeof(*c->frames));
    c->frames[c->frame_count++] = (struct frame){ start, end, merge_depth };
    return count_expanded(c);
}

/* The frame to pull from, or NULL for libyaml; frames that are used up are dropped. */
static struct frame *current_frame(struct yaml_cursor *c)
{
    while (c->frame_count) {
        struct frame *f = &c->frames[c->frame_count - 1];
        if (f->at < f->end)
            return f;
        c->frame_count--;
    }
    return NULL;
}

static void lend_taped(struct yaml_cursor *c, const struct taped *t)
{
    c->alias = t->kind == ALIAS ? (int)t->recording : -1;
    c->at = (struct yaml_event){ .kind = (enum yaml_kind)t->kind,
                                 .plain = t->plain,
                                 .null = t->null,
                                 .line = t->line,
                                 .text = t->text };
}

/* Reads the next event, from the tape or from libyaml; aliases are not yet replaced. */
static enum err pull(struct yaml_cursor *c)
{
    struct frame *f = current_frame(c);

    if (!f)
        return take_in(c);
    lend_taped(c, &c->tape[f->at++]);
    return count_expanded(c);
}

static size_t node_end(const struct yaml_cursor *c, size_t at)
{
    for (int depth = 0;;) {
        int kind = c->tape[at++].kind;
        depth += kind == YAML_LIST || kind == YAML_MAP;
        depth -= kind == YAML_LIST_END || kind == YAML_MAP_END;
        if (depth == 0)
            return at;
    }
}

/* Records the value of a merge key, as a range of the tape. */
static enum err tape_value(struct yaml_cursor *c, size_t *ret_start)
{
    struct frame *f = current_frame(c);

    if (f) {
        *ret_start = f->at;
        f->at = node_end(c, f->at);
        return OK;
    }
    size_t number = start_recording(c, c->depth);
    while (c->recordings[number].open) {
        enum err e = take_in(c);
        if (e)
            return e;
    }
    *ret_start = c->recordings[number].start;
    return OK;
}

/* Pushes a frame for the mapping, or the alias of one, at this index of the tape. */
static enum err merge_one(struct yaml_cursor *c, size_t at)
{
    while (c->tape[at].kind == ALIAS)
        at = c->recordings[c->tape[at].recording].start;
    if (c->tape[at].kind != YAML_MAP)
        return yaml_refuse(c, "<< takes a mapping or a list of them");
    return push_frame(c, at + 1, node_end(c, at) - 1, c->nested);
}

/* The first mapping of a list has precedence, so its events come last: frames are a
 * stack. */
static enum err merge(struct yaml_cursor *c)
{
    size_t at = 0;
    enum err e = tape_value(c, &at);

    if (e)
        return e;
    while (c->tape[at].kind == ALIAS)
        at = c->recordings[c->tape[at].recording].start;
    if (c->tape[at].kind != YAML_LIST)
        return merge_one(c, at);
    size_t end = node_end(c, at) - 1;
    for (at++; !e && at < end; at = node_end(c, at))
        e = merge_one(c, at);
    return e;
}

static bool at_key(const struct yaml_cursor *c)
{
    return c->nested && c->places[c->nested] == AT_KEY;
}

static bool is_merge_key(const struct yaml_cursor *c)
{
    return at_key(c) && c->at.kind == YAML_TEXT && c->at.plain &&
           str_eq(c->at.text, STR("<<"));
}

/* A node is complete: a mapping around it goes from key to value, or from value to
 * key. */
static void advance(struct yaml_cursor *c)
{
    uint8_t *place = &c->places[c->nested];

    if (c->nested && *place != IN_LIST)
        *place = *place == AT_KEY ? AT_VALUE : AT_KEY;
}

static enum err note_place(struct yaml_cursor *c)
{
    c->at.merged = at_key(c) && c->frame_count &&
                   c->frames[c->frame_count - 1].merge_depth == c->nested;
    if (c->at.kind == YAML_LIST || c->at.kind == YAML_MAP) {
        if (c->nested == YAML_DEPTH_MAX)
            return yaml_refuse(c, "nested more than %d deep", YAML_DEPTH_MAX);
        c->places[++c->nested] = c->at.kind == YAML_MAP ? AT_KEY : IN_LIST;
        return OK;
    }
    if (c->at.kind != YAML_TEXT)
        c->nested--;
    advance(c);
    return OK;
}

/* Moves to the first event of the document. */
static enum err begin(struct yaml_cursor *c)
{
    enum err e = raw_next(c); /* the event of the stream's start */

    c->begun = true;
    if (!e)
        e = raw_next(c);
    c->ended = !e && c->raw.type != YAML_DOCUMENT_START_EVENT;
    return e;
}

enum err yaml_next(struct yaml_cursor *c)
{
    enum err e = c->begun ? OK : begin(c);

    while (!e && !c->ended) {
        e = pull(c);
        if (e || c->ended)
            break;
        if (c->alias >= 0) {
            const struct recording *r = &c->recordings[c->alias];
            e = push_frame(c, r->start, r->end, 0);
        } else if (is_merge_key(c)) {
            e = merge(c);
        } else {
            return note_place(c);
        }
    }
    c->at = (struct yaml_event){ .line = c->at.line };
    return e;
}

enum err yaml_skip(struct yaml_cursor *c)
{
    bool opens = c->at.kind == YAML_LIST || c->at.kind == YAML_MAP;
    int outer = c->nested - 1;
    enum err e = OK;

    while (!e && opens && c->nested > outer)
        e = yaml_next(c);
    return e;
}

enum err yaml_more(struct yaml_cursor *c, bool *ret)
{
    enum err e = OK;

    while (!e && c->raw.type != YAML_STREAM_END_EVENT &&
           (c->raw.type != YAML_DOCUMENT_START_EVENT))
        e = raw_next(c);
    *ret = !e && c->raw.type == YAML_DOCUMENT_START_EVENT;
    return e;
}
