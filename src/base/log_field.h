/* base/log_field.h - what a line of the log is made of: level, id, fields
 *
 * Values only: a struct log_field borrows its text until log_event returns.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* s41, s41.3, t7: kind 0 is "no id", sub 0 is "no sub".  `cluster` is a number of
 * base/partition.h: 0, or a number without a name, is not logged. */
struct log_id {
    char kind;
    uint64_t number, sub;
    uint16_t cluster;
};

enum log_type { FIELD_END, FIELD_STR, FIELD_UINT, FIELD_INT, FIELD_ID };
struct log_field {
    const char *key;
    enum log_type type;
    union {
        struct str str;
        uint64_t uint;
        int64_t sint;
        struct log_id id;
    };
};

/* clang-format off */
#define LOG_S(k, v)  ((struct log_field){ .key = (k), .type = FIELD_STR, .str = str_of(v) })
#define LOG_V(k, v)  ((struct log_field){ .key = (k), .type = FIELD_STR, .str = (v) })
#define LOG_U(k, v)  ((struct log_field){ .key = (k), .type = FIELD_UINT, .uint = (uint64_t)(v) })
#define LOG_I(k, v)  ((struct log_field){ .key = (k), .type = FIELD_INT, .sint = (int64_t)(v) })
#define LOG_ID(k, v) ((struct log_field){ .key = (k), .type = FIELD_ID, .id = (v) })
#define LOG_END      ((struct log_field){ .type = FIELD_END })
/* clang-format on */

/* "s41.3" into out; returns its length. */
size_t log_id_text(struct log_id id, char out[static 48]);
