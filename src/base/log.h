/* base/log.h - one line per event: time, level, module, id, text, key=value
 *
 * The owner of what failed logs it, once.  A disabled line costs one branch.  Lines
 * gather in a buffer that is written in one call: by the loop after LOG_LAG_MS at the
 * latest; a warning or an error causes a write at once.  Values are escaped, so a peer
 * cannot forge lines; secrets are never passed in.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/log_field.h"
#include "base/str.h"

/* A part of the program.  Its log lines contain its name, and it has a log level of its
 * own. */
struct log_module {
    const char *name;
    uint8_t level; /* lines above it are not logged; written by base/log.c only */
    bool registered;
    uint8_t next_level;
    /* Errors and warnings in one second. */
    unsigned lines;
    int64_t second;
    uint64_t suppressed;
    struct log_module *next;
};

void log_register(struct log_module *m); /* idempotent */

/* Each file that logs has this line once, with the name of its folder.  The files of a folder
 * share one module, which is registered before main begins. */
#define LOG_MODULE(NAME)                                                                 \
    __attribute__((weak)) struct log_module log_module_##NAME = { .name = #NAME,         \
                                                                  .level = LEVEL_INFO }; \
    static struct log_module *const log_module = &log_module_##NAME;                     \
    __attribute__((constructor)) static void register_log_module(void)                   \
    {                                                                                    \
        log_register(log_module);                                                        \
    }                                                                                    \
    struct log_module

static inline bool log_enabled(const struct log_module *m, enum log_level level)
{
    return level <= m->level;
}

/* LOG_MODULE(tunnel);
 *     log_info(t->id, "opened", LOG_S("pod", name), LOG_U("ms", took)); */
#define log_at(level, id, ...)                                                           \
    do {                                                                                 \
        if (log_enabled(log_module, level))                                              \
            log_event(log_module, level, id, __VA_ARGS__, LOG_END);                      \
    } while (0)
#define log_error(id, ...) log_at(LEVEL_ERROR, id, __VA_ARGS__)
#define log_warn(id, ...) log_at(LEVEL_WARN, id, __VA_ARGS__)
#define log_info(id, ...) log_at(LEVEL_INFO, id, __VA_ARGS__)
#define log_debug(id, ...) log_at(LEVEL_DEBUG, id, __VA_ARGS__)
#define NO_ID ((struct log_id){ 0 })
/* The id of events of one cluster as a whole, by its number. */
#define CLUSTER_ID(n) ((struct log_id){ .cluster = (n) })

/* Fields follow as struct log_field by value, the last is LOG_END. */
void log_event(struct log_module *m, enum log_level level, struct log_id id,
               const char *text, ...);

/* "info", "debug", or per module "info,tunnel=debug,serve=warn". */
MUST_CHECK enum err log_set_levels(struct str spec, struct diag *why);
void log_set_level(enum log_level level);
bool log_has_module(struct str name);
void log_set_format(enum log_format format);
void log_set_fd(int fd, bool colour); /* 2 and false until it is called */
void log_flush(void);

/* At the end of each turn of the loop: write the gathered lines if they fill a write or
 * are LOG_LAG_MS old (on a terminal always).  While log_pending, the loop runs another
 * turn within LOG_LAG_MS. */
#define LOG_LAG_MS 100
void log_turn(uint64_t now_ms);
bool log_pending(void);
