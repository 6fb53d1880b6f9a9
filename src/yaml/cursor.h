/* yaml/cursor.h - the first document of a YAML text, event by event
 *
 *     port: 8080            MAP, TEXT port, TEXT 8080,
 *     listen: [ a, *b ]     TEXT listen, LIST, TEXT a, (the events of b), LIST_END, MAP_END
 *
 * libyaml parses; on top of its events aliases are replaced by what they stand for, merge
 * keys (<<) by the pairs of the mappings they name, and !!binary texts are decoded.  The
 * order is Go's: of a key given twice, merged or not, the later one counts.  What aliases
 * add is capped (YAML_EXPANDED_MAX), and so is nesting.  Errors are ERR_CONFIG with
 * "path:line: what", and ERR_LIMIT for the caps.
 */
#pragma once

#include "base/str.h"
#include "base/texts.h"

/* Events that aliases may add, and events that may stand under anchors. */
#define YAML_EXPANDED_MAX 400000
#define YAML_DEPTH_MAX 200
#define YAML_WARNINGS_MAX 16

enum yaml_kind { YAML_END, YAML_TEXT, YAML_LIST, YAML_LIST_END, YAML_MAP, YAML_MAP_END };

struct yaml_event {
    enum yaml_kind kind;
    bool plain;    /* TEXT: neither quoted nor tagged, so it may be a number, null ... */
    bool null;     /* TEXT: an absent value, ~, null or !!null */
    bool merged;   /* a key that came by a merge key */
    unsigned line; /* from 1; of an alias's events: where they were written */
    struct str text;
};

struct yaml_cursor;

/* All borrowed until it is destroyed; path is for messages. */
struct yaml_cursor *yaml_cursor_create(const char *path, struct str text,
                                       struct diag *why);
void yaml_cursor_destroy(struct yaml_cursor *c); /* NULL accepted */

/* The event at hand; its text is valid until the next yaml_next.  END before the first
 * yaml_next and after the document. */
const struct yaml_event *yaml_at(const struct yaml_cursor *c);
/* To the next event.  After an error, do not call again. */
MUST_CHECK enum err yaml_next(struct yaml_cursor *c);
/* With the first event of a value at hand: to its last one. */
MUST_CHECK enum err yaml_skip(struct yaml_cursor *c);
/* After the END of the document: does another one follow?  Its line is that of yaml_at. */
MUST_CHECK enum err yaml_more(struct yaml_cursor *c, bool *ret);

/* "path:line: ..." of the event at hand, as an error or into the list of warnings. */
enum err yaml_refuse(struct yaml_cursor *c, const char *format, ...) PRINTF_LIKE(2, 3);
enum err yaml_refuse_line(struct yaml_cursor *c, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);
void yaml_warn(struct yaml_cursor *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* The warnings so far, at most YAML_WARNINGS_MAX; the caller's from then on. */
struct texts yaml_take_warnings(struct yaml_cursor *c);
