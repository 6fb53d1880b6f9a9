/* base/log.c - which events are logged: modules, their levels, and a limit per second
 *
 * A line is formatted by base/log_line.h and goes to base/log_sink.h, which may drop it.  Lines
 * that were suppressed or dropped are counted, and their number is logged later.
 *
 * `logging` is a mutable global: modules register before main begins, and any function may log.
 */
#include "base/log.h"

#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/log_sink.h"
#include "base/own.h"
#include "base/partition.h"

LOG_MODULE(log);

#define COMPLAINTS_PER_SECOND 50
#define FLUSH_SIZE 4096 /* this much is written without waiting for LOG_LAG_MS */

/* The program's log. */
static struct {
    struct log_module *modules; /* all registered ones, in any order */
    struct log_sink sink;
    struct log_style style;
    uint64_t since_ms; /* when log_turn first saw the gathered lines; 0: there are none */
    uint64_t suppressed; /* lines of all modules together */
} logging = { .sink.fd = STDERR_FILENO, .style.second = -1 };

static void emit_fields(struct log_module *m, enum log_level level, struct log_id id,
                        const char *text, va_list *fields)
{
    struct log_line l;

    log_line_begin(&l, &logging.style, m->name, level, id, text);
    for (;;) {
        struct log_field f = va_arg(*fields, struct log_field);
        if (f.type == FIELD_END)
            break;
        log_line_add(&l, &f);
    }
    if (partition_name(id.cluster))
        log_line_add(&l, &LOG_S(PARTITION_LABEL, partition_name(id.cluster)));
    log_line_end(&l);
    log_sink_add(&logging.sink, l.text, l.len);
}

static void emit(struct log_module *m, enum log_level level, const char *text, ...)
{
    va_list fields;
    va_start(fields, text);
    emit_fields(m, level, NO_ID, text, &fields);
    va_end(fields);
}

static time_t this_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec;
}

/* Begin another second, and log how many lines of the last one were suppressed. */
static void renew(struct log_module *m, time_t second)
{
    uint64_t suppressed = m->suppressed;

    logging.suppressed -= suppressed;
    m->second = second;
    m->lines = 0;
    m->suppressed = 0;
    if (suppressed)
        emit(m, LEVEL_WARN, "errors and warnings suppressed", LOG_U("lines", suppressed),
             LOG_END);
}

static bool throttled(struct log_module *m)
{
    time_t second = this_second();

    if (m->second != second)
        renew(m, second);
    if (m->lines < COMPLAINTS_PER_SECOND) {
        m->lines++;
        return false;
    }
    m->suppressed++;
    logging.suppressed++;
    return true;
}

void log_event(struct log_module *m, enum log_level level, struct log_id id,
               const char *text, ...)
{
    bool complaint = level <= LEVEL_WARN;
    if (complaint && throttled(m))
        return;
    va_list fields;
    va_start(fields, text);
    emit_fields(m, level, id, text, &fields);
    va_end(fields);
    if (complaint)
        log_flush();
}

/* Reports the lines suppressed in past seconds for modules that have logged nothing
 * since. */
static void report_suppressed(void)
{
    time_t second = this_second();

    for (struct log_module *m = logging.modules; m; m = m->next)
        if (m->suppressed && m->second != second)
            renew(m, second);
}

/* Called while no line is gathered, so its line fits; if that line is dropped too, the
 * count is kept. */
static void report_dropped(void)
{
    uint64_t lines = logging.sink.dropped;
    emit(log_module, LEVEL_WARN, "log lines dropped", LOG_U("lines", lines), LOG_END);
    log_sink_drain(&logging.sink);
    logging.sink.dropped = logging.sink.dropped > lines ? lines : 0;
}

void log_flush(void)
{
    if (logging.suppressed)
        report_suppressed();
    if (logging.sink.len)
        log_sink_drain(&logging.sink);
    if (logging.sink.dropped && !logging.sink.len)
        report_dropped();
}

void log_turn(uint64_t now_ms)
{
    if (!log_pending())
        return;
    if (!logging.since_ms)
        logging.since_ms = now_ms;
    if (!logging.sink.terminal && logging.sink.len < FLUSH_SIZE &&
        now_ms - logging.since_ms < LOG_LAG_MS)
        return;
    logging.since_ms = 0;
    log_flush();
}

bool log_pending(void)
{
    return logging.sink.len || logging.suppressed || logging.sink.dropped;
}

static bool find_level(struct str name, uint8_t *ret)
{
    for (size_t i = 0; i < LOG_LEVELS; i++) {
        if (str_ieq(name, str_of(log_level_name((enum log_level)i)))) {
            *ret = (uint8_t)i;
            return true;
        }
    }
    return false;
}

void log_register(struct log_module *m)
{
    if (m->registered)
        return;
    m->registered = true;
    m->next = logging.modules;
    logging.modules = m;
}

static struct log_module *find_module(struct str name)
{
    struct log_module *m = logging.modules;

    while (m && !str_ieq(name, str_of(m->name)))
        m = m->next;
    return m;
}

bool log_has_module(struct str name)
{
    return find_module(name) != NULL;
}

static void set_next_levels(uint8_t level)
{
    for (struct log_module *m = logging.modules; m; m = m->next)
        m->next_level = level;
}

static void apply_next_levels(void)
{
    for (struct log_module *m = logging.modules; m; m = m->next)
        m->level = m->next_level;
}

/* One item of the list: a level for all modules, or module=level. */
static enum err set_item(struct str item, bool for_all, struct diag *why)
{
    struct str module, name = str_cut(item, '=', &module);
    struct log_module *m = NULL;
    uint8_t level;

    if (for_all != !name.at)
        return OK;
    if (!find_level(name.at ? name : module, &level))
        return diag_set(why, ERR_CONFIG,
                        "no log level in \"%.*s\" (error, warn, info or debug)",
                        STR_ARG(item));
    if (name.at && !(m = find_module(module)))
        return diag_set(why, ERR_CONFIG, "no log module \"%.*s\"", STR_ARG(module));
    if (m)
        m->next_level = level;
    else
        set_next_levels(level);
    return OK;
}

/* Levels for all modules are applied first, wherever they are in the list: its order has
 * no meaning. */
enum err log_set_levels(struct str spec, struct diag *why)
{
    set_next_levels(LEVEL_INFO);
    for (int pass = 0; pass < 2; pass++) {
        struct str rest = spec, item;
        do {
            rest = str_cut(rest, ',', &item);
            enum err e = set_item(str_trim(item), pass == 0, why);
            if (e)
                return e;
        } while (rest.at);
    }
    apply_next_levels();
    return OK;
}

void log_set_level(enum log_level level)
{
    set_next_levels((uint8_t)level);
    apply_next_levels();
}

void log_set_format(enum log_format format)
{
    logging.style.format = format;
}

void log_set_fd(int fd, bool colour)
{
    log_sink_set_fd(&logging.sink, fd);
    logging.style.colour = colour;
}
