/* yaml/cursor.h - the first document of a YAML text, event by event
 *
 *     port: 8080            MAP, TEXT port, TEXT 8080,
 *     listen: [ a, *b ]     TEXT listen, LIST, TEXT a, (the events of b), LIST_END, MAP_END
 *
 * libyaml parses.  In its events, aliases are replaced by the events of their anchors,
 * merge keys (<<) by the pairs of the mappings they name, and !!binary texts are decoded.
 * As in Go, of a key given twice, merged or not, the later one counts.  The number of
 * events that aliases add is limited (YAML_EXPANDED_MAX), and so is nesting.  Errors are
 * ERR_CONFIG with "path:line: what", and ERR_LIMIT for these limits.
 */
#pragma once

#include "base/str.h"
#include "base/texts.h"

/* How many events aliases may add, and how many may be recorded for anchors. */
#define YAML_EXPANDED_MAX 400000
#define YAML_DEPTH_MAX 200
#define YAML_WARNINGS_MAX 16

enum yaml_kind { YAML_END, YAML_TEXT, YAML_LIST, YAML_LIST_END, YAML_MAP, YAML_MAP_END };

struct yaml_event {
    enum yaml_kind kind;
    bool plain;    /* TEXT: neither quoted nor tagged, so it may be a number, null ... */
    bool null;     /* TEXT: an absent value, ~, null or !!null */
    bool merged;   /* a key from a merge key's mapping */
    unsigned line; /* from 1; for events of an alias: the line of the anchor */
    struct str text;
};

struct yaml_cursor;

/* The arguments are borrowed until the cursor is destroyed; path is for error texts. */
struct yaml_cursor *yaml_cursor_create(const char *path, struct str text,
                                       struct diag *why);
void yaml_cursor_destroy(struct yaml_cursor *c); /* NULL accepted */

/* The current event; its text is valid until the next yaml_next.  END before the first
 * yaml_next and after the document. */
const struct yaml_event *yaml_at(const struct yaml_cursor *c);
/* Moves to the next event.  After an error, do not call it again. */
MUST_CHECK enum err yaml_next(struct yaml_cursor *c);
/* When the current event is the first one of a value: moves to its last one. */
MUST_CHECK enum err yaml_skip(struct yaml_cursor *c);
/* After the END of the document: does another one follow?  Its line is that of yaml_at. */
MUST_CHECK enum err yaml_more(struct yaml_cursor *c, bool *ret);

/* "path:line: ..." of the current event, as an error or as an entry of the list of
 * warnings. */
enum err yaml_refuse(struct yaml_cursor *c, const char *format, ...) PRINTF_LIKE(2, 3);
enum err yaml_refuse_line(struct yaml_cursor *c, unsigned line, const char *format, ...)
    PRINTF_LIKE(3, 4);
void yaml_warn(struct yaml_cursor *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Moves the warnings so far, at most YAML_WARNINGS_MAX, to the caller. */
struct texts yaml_take_warnings(struct yaml_cursor *c);
