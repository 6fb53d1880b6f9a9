/* base/log_line.h - one line of the log, as text or as JSON
 *
 * A line is at most LOG_LINE_SIZE bytes, its newline included; a longer one is truncated, which
 * "..." at its end shows, and is still valid JSON.  Values are escaped.  No I/O, no allocation.
 * Private to base/log.c.
 */
#pragma once

#include <stdbool.h>
#include <time.h>

#include "base/log_field.h"

#define LOG_LINE_SIZE 2048

/* How lines look; the caller sets the first two, and `second` to -1 once. */
struct log_style {
    enum log_format format;
    bool colour;   /* text: of the level */
    time_t second; /* the second whose text `date` is */
    char date[24]; /* 2026-11-23T07:30:00 */
};

struct log_line {
    enum log_format format;
    bool cut; /* a piece did not fit: no later one is appended */
    size_t len;
    char text[LOG_LINE_SIZE];
};

/* The time is that of the call. */
void log_line_begin(struct log_line *l, struct log_style *style, const char *module,
                    enum log_level level, struct log_id id, const char *text);
void log_line_add(struct log_line *l, const struct log_field *f);
void log_line_end(struct log_line *l);

#define LOG_LEVELS 4
const char *log_level_name(enum log_level level); /* "info" */
