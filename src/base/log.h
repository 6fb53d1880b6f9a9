/* base/log.h - one line per event: time, level, module, id, text, key=value
 *
 * Who owns what failed logs it, once.  A disabled line costs one branch.  Lines gather in a
 * buffer that is written in one call: by the loop after LOG_LAG_MS at the latest, with
 * warnings and errors at once.  Values are escaped, so a peer cannot forge lines; secrets
 * are never passed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* clang-format off */
#define LOG_MODULES(X) \
    X(ADMIN, admin) X(CATALOG, catalog) X(CLI, cli) X(CLUSTER, cluster) X(CONFIG, config) X(DAEMON, daemon) \
    X(KUBE, kube) X(LISTEN, listen) X(NET, net) X(PLAYGROUND, playground) X(RELAY, relay) \
    X(ROUTE, route) X(SERVE, serve) X(TUNNEL, tunnel) X(UPSTREAM, upstream)
/* clang-format on */

enum log_module {
#define X(NAME, name) LOG_##NAME,
    LOG_MODULES(X)
#undef X
        LOG_MODULE_COUNT
};

enum log_level { LEVEL_ERROR, LEVEL_WARN, LEVEL_INFO, LEVEL_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

/* s41, s41.3, t7: kind 0 is "no id", sub 0 is "no sub".  `cluster` is a number of
 * base/partition.h: 0 or without a name, nothing is said of it. */
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

extern uint8_t log_levels[LOG_MODULE_COUNT]; /* written by log_set_level only */

static inline bool log_enabled(enum log_module m, enum log_level level)
{
    return level <= log_levels[m];
}

/* The including file defines LOG_MODULE (for instance LOG_TUNNEL).
 *     log_info(t->id, "opened", LOG_S("pod", name), LOG_U("ms", took)); */
#define log_at(level, id, ...)                                                           \
    do {                                                                                 \
        if (log_enabled(LOG_MODULE, level))                                              \
            log_event(LOG_MODULE, level, id, __VA_ARGS__, LOG_END);                      \
    } while (0)
#define log_error(id, ...) log_at(LEVEL_ERROR, id, __VA_ARGS__)
#define log_warn(id, ...) log_at(LEVEL_WARN, id, __VA_ARGS__)
#define log_info(id, ...) log_at(LEVEL_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_at(LEVEL_DEBUG, id, __VA_ARGS__)
#define NO_ID ((struct log_id){ 0 })
/* Of what belongs to one cluster as a whole, by its number. */
#define CLUSTER_ID(n) ((struct log_id){ .cluster = (n) })

/* Fields follow as struct log_field by value, the last is LOG_END. */
void log_event(enum log_module m, enum log_level level, struct log_id id,
               const char *text, ...);

/* "info", "debug", or per module "info,tunnel=debug,serve=warn". */
MUST_CHECK enum err log_set_levels(struct str spec, struct diag *why);
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_fd(int fd, bool colour); /* 2 and false until said otherwise */
void log_flush(void);

/* At the end of each turn of the loop: write what has gathered when it is enough for a call
 * or LOG_LAG_MS old (on a terminal always).  While log_pending, the loop comes back in that
 * time. */
#define LOG_LAG_MS 100
void log_turn(uint64_t now_ms);
bool log_pending(void);
/* "s41.3" into out; returns its length. */
size_t log_id_text(struct log_id id, char out[static 48]);
