/* config/type.c - how text becomes a value and a value text, type by type */
#include "config/type.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/address.h"
#include "base/log.h"
#include "base/own.h"

#define DNS_PORT 53

enum err value_is_not(struct diag *why, struct str text, const char *expected)
{
    return diag_set(why, ERR_CONFIG, "\"%.*s\" is not %s", STR_ARG(text), expected);
}

/* Booleans and enumerations. */

static const struct {
    const char *word;
    bool value;
} bool_words[] = {
    { "true", true }, { "false", false }, { "yes", true }, { "no", false },
    { "on", true },   { "off", false },   { "1", true },   { "0", false },
};

static enum err bool_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    (void)s;
    for (size_t i = 0; i < ARRAY_LEN(bool_words); i++) {
        if (!str_ieq(text, str_of(bool_words[i].word)))
            continue;
        *(bool *)field = bool_words[i].value;
        return OK;
    }
    return value_is_not(why, text, "true or false");
}

static char *bool_print(const struct setting *s, const void *field)
{
    (void)s;
    return xstrdup(*(const bool *)field ? "true" : "false");
}

static enum err auto_bool_parse(const struct setting *s, struct str text, void *field,
                                struct diag *why)
{
    bool on = false;

    if (str_ieq(text, STR("auto"))) {
        *(enum auto_bool *)field = AUTO_BOOL_AUTO;
        return OK;
    }
    if (bool_parse(s, text, &on, NULL))
        return value_is_not(why, text, "auto, true or false");
    *(enum auto_bool *)field = on ? AUTO_BOOL_TRUE : AUTO_BOOL_FALSE;
    return OK;
}

static char *auto_bool_print(const struct setting *s, const void *field)
{
    static const char *const words[] = {
        [AUTO_BOOL_AUTO] = "auto",
        [AUTO_BOOL_FALSE] = "false",
        [AUTO_BOOL_TRUE] = "true",
    };
    (void)s;
    return xstrdup(words[*(const enum auto_bool *)field]);
}

/* gcc and clang store every enumeration without negative values as an unsigned int. */
static enum err enum_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    const char *const *choices = s->type->choices;

    for (unsigned i = 0; choices[i]; i++) {
        if (!str_ieq(text, str_of(choices[i])))
            continue;
        *(unsigned *)field = i;
        return OK;
    }
    return diag_set(why, ERR_CONFIG, "\"%.*s\" is not one of %s", STR_ARG(text),
                    s->type->argument);
}

static char *enum_print(const struct setting *s, const void *field)
{
    return xstrdup(s->type->choices[*(const unsigned *)field]);
}

/* A number counts things, bytes or milliseconds. */

struct unit {
    const char *name;
    uint64_t factor;
};

/* From large to small: a value is printed in the first unit that divides it. */
static const struct unit duration_units[] = {
    { "h", MS_HOUR }, { "m", MS_MINUTE }, { "s", MS_SECOND }, { "ms", 1 }, { NULL, 0 }
};
static const struct unit size_units[] = {
    { "GiB", 1024 * MIB }, { "MiB", MIB }, { "KiB", KIB }, { "", 1 }, { NULL, 0 }
};

static void unit_format(const struct unit *units, uint64_t value, char out[static 32])
{
    while (value % units->factor != 0)
        units++;
    snprintf(out, 32, "%" PRIu64 "%s", value / units->factor, value ? units->name : "");
}

static void duration_format(uint64_t ms, char out[static 32])
{
    unit_format(duration_units, ms, out);
}

static void size_format(uint64_t bytes, char out[static 32])
{
    unit_format(size_units, bytes, out);
}

static void count_format(uint64_t n, char out[static 32])
{
    snprintf(out, 32, "%" PRIu64, n);
}

static enum err check_range(const struct setting *s, struct str text, enum err parsed,
                            uint64_t value, struct diag *why)
{
    char low[32], high[32];

    if (parsed && parsed != ERR_LIMIT)
        return value_is_not(why, text, s->type->expected);
    if (!parsed && value >= s->min && value <= s->max)
        return OK;
    s->type->format(s->min, low);
    s->type->format(s->max, high);
    return diag_set(why, ERR_CONFIG, "\"%.*s\" is out of range: from %s to %s",
                    STR_ARG(text), low, high);
}

static enum err duration_parse(const struct setting *s, struct str text, void *field,
                               struct diag *why)
{
    uint64_t ms = 0;
    enum err parsed = str_to_duration_ms(text, &ms);
    enum err e = check_range(s, text, parsed, ms, why);
    if (!e)
        *(uint64_t *)field = ms;
    return e;
}

static char *duration_print(const struct setting *s, const void *field)
{
    char text[32];
    (void)s;
    duration_format(*(const uint64_t *)field, text);
    return xstrdup(text);
}

static const struct unit size_suffixes[] = {
    { "", 1 },    { "B", 1 },     { "K", KIB },        { "KiB", KIB },
    { "M", MIB }, { "MiB", MIB }, { "G", 1024 * MIB }, { "GiB", 1024 * MIB },
};

static uint64_t size_factor(struct str suffix)
{
    for (size_t i = 0; i < ARRAY_LEN(size_suffixes); i++)
        if (str_ieq(suffix, str_of(size_suffixes[i].name)))
            return size_suffixes[i].factor;
    return 0;
}

static enum err bytes_of(struct str text, uint64_t *ret)
{
    size_t digits = 0;
    uint64_t n;

    while (digits < text.len && text.at[digits] >= '0' && text.at[digits] <= '9')
        digits++;
    uint64_t factor = size_factor(str_skip(text, digits));
    if (!factor)
        return ERR_PROTO;
    enum err e = str_to_uint(str_first(text, digits), UINT64_MAX / factor, &n);
    if (!e)
        *ret = n * factor;
    return e;
}

static enum err size_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    uint64_t bytes = 0;
    enum err parsed = bytes_of(text, &bytes);
    enum err e = check_range(s, text, parsed, bytes, why);
    if (!e)
        *(uint64_t *)field = bytes;
    return e;
}

static char *size_print(const struct setting *s, const void *field)
{
    char text[32];
    (void)s;
    size_format(*(const uint64_t *)field, text);
    return xstrdup(text);
}

static enum err count_parse(const struct setting *s, struct str text, void *field,
                            struct diag *why)
{
    uint64_t n = 0;
    enum err parsed = str_to_uint(text, UINT32_MAX, &n);
    enum err e = check_range(s, text, parsed, n, why);
    if (!e)
        *(uint32_t *)field = (uint32_t)n;
    return e;
}

static char *count_print(const struct setting *s, const void *field)
{
    (void)s;
    return xasprintf("%" PRIu32, *(const uint32_t *)field);
}

static enum err auto_count_parse(const struct setting *s, struct str text, void *field,
                                 struct diag *why)
{
    if (!str_eq(text, STR("auto")))
        return count_parse(s, text, field, why);
    *(uint32_t *)field = COUNT_AUTO;
    return OK;
}

/* For sizes and durations: "auto", or text that the type of numbers parses. */
static enum err auto_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    if (!str_eq(text, STR("auto")))
        return s->type == &type_AUTO_SIZE ? size_parse(s, text, field, why)
                                          : duration_parse(s, text, field, why);
    *(uint64_t *)field = SIZE_AUTO;
    return OK;
}

static char *auto_print(const struct setting *s, const void *field)
{
    if (*(const uint64_t *)field == SIZE_AUTO)
        return xstrdup("auto");
    return s->type == &type_AUTO_SIZE ? size_print(s, field) : duration_print(s, field);
}

static char *auto_count_print(const struct setting *s, const void *field)
{
    return *(const uint32_t *)field == COUNT_AUTO ? xstrdup("auto")
                                                  : count_print(s, field);
}

/* "10.0.0.2", "10.0.0.2:53", "[::1]:53"; the port is 53 by default. */
static enum err dns_server_parse(const struct setting *s, struct str text, void *field,
                                 struct diag *why)
{
    struct listen_address *a = field;
    struct listen_address parsed = { .port = DNS_PORT };
    (void)s;

    bool bare = host_is_address(text) && text.len < sizeof(parsed.host);
    if (bare)
        memcpy(parsed.host, text.at, text.len);
    enum err e = bare ? OK : listen_address_parse(text, &parsed, NULL);
    if (e || !parsed.port || !host_is_address(str_of(parsed.host)))
        return value_is_not(why, text, "an address like 10.0.0.2 or 10.0.0.2:53");
    *a = parsed;
    return OK;
}

static char *dns_server_print(const struct setting *s, const void *field)
{
    char text[LISTEN_TEXT_SIZE];
    const struct listen_address *a = field;
    (void)s;

    if (!a->host[0])
        return xstrdup("");
    listen_address_print(a, text);
    return xstrdup(text);
}

const struct setting_type type_DNS_SERVER = {
    .argument = "ADDR[:PORT]",
    .parse = dns_server_parse,
    .print = dns_server_print,
    .size = sizeof(struct listen_address),
};

static enum err type_port_parse(const struct setting *s, struct str text, void *field,
                                struct diag *why)
{
    uint64_t n = 0;
    enum err parsed = str_to_uint(text, UINT16_MAX, &n);
    enum err e = check_range(s, text, parsed, n, why);
    if (!e)
        *(uint16_t *)field = (uint16_t)n;
    return e;
}

static char *port_print(const struct setting *s, const void *field)
{
    uint16_t port = *(const uint16_t *)field;
    (void)s;
    return port ? xasprintf("%u", port) : xstrdup("");
}

/* Text. */

bool is_printable_text(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7f)
            return false;
    return true;
}

static enum err string_parse(const struct setting *s, struct str text, void *field,
                             struct diag *why)
{
    (void)s;
    if (!is_printable_text(text))
        return diag_set(why, ERR_CONFIG, "the value has control characters in it");
    *(char **)field = str_dup(text);
    return OK;
}

static char *string_print(const struct setting *s, const void *field)
{
    const char *text = *(const char *const *)field;
    (void)s;
    return xstrdup(text ? text : "");
}

static void string_clear(void *field)
{
    own_freep(field);
}

/* Expands "~/", because no shell does so in a file. */
static enum err path_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    const char *home = getenv("HOME");

    if (!home || !str_starts(text, STR("~/")))
        return string_parse(s, text, field, why);
    AUTO_FREE char *path = xasprintf("%s%.*s", home, STR_ARG(str_skip(text, 1)));
    return string_parse(s, str_of(path), field, why);
}

/* A value is shown in many places, so it must have no password. */
static enum err otlp_parse(const struct setting *s, struct str text, void *field,
                           struct diag *why)
{
    bool https = str_starts(text, STR("https://"));
    struct str authority;

    if (!https && !str_starts(text, STR("http://")))
        return memmem(text.at, text.len, "://", 3)
                   ? value_is_not(why, text, "a path, or a URL with http:// or https://")
                   : path_parse(s, text, field, why);
    str_cut(str_skip(text, https ? 8 : 7), '/', &authority);
    if (authority.len && memchr(authority.at, '@', authority.len))
        return diag_set(why, ERR_CONFIG, "the URL must have no user and no password");
    return string_parse(s, text, field, why);
}

static enum err label_parse(const struct setting *s, struct str text, void *field,
                            struct diag *why)
{
    if (!is_dns_label(text))
        return value_is_not(why, text, EXPECTED_LABEL);
    return string_parse(s, text, field, why);
}

static enum err instance_parse(const struct setting *s, struct str text, void *field,
                               struct diag *why)
{
    if (!is_dns_label(text))
        return value_is_not(why, text, "a name: up to 63 of a-z, 0-9 and \"-\"");
    return string_parse(s, text, field, why);
}

/* Normalises the domain: cluster.local and Cluster.Local. are the same. */
static enum err domain_parse(const struct setting *s, struct str text, void *field,
                             struct diag *why)
{
    AUTO_FREE char *lower = str_dup(text);
    size_t len = text.len;

    if (len > 1 && text.at[len - 1] == '.')
        len--;
    for (size_t i = 0; i < len; i++)
        if (lower[i] >= 'A' && lower[i] <= 'Z')
            lower[i] = (char)(lower[i] - 'A' + 'a');
    if (!is_dns_name((struct str){ lower, len }))
        return value_is_not(why, text, "a domain name, like cluster.local");
    return string_parse(s, (struct str){ lower, len }, field, why);
}

static bool is_level(struct str s)
{
    static const char *const names[] = { "error", "warn", "info", "debug" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq(s, str_of(names[i])))
            return true;
    return false;
}

static enum err level_check(struct str part, struct diag *why)
{
    struct str module;
    struct str level = str_cut(part, '=', &module);

    if (!level.at)
        level = module;
    else if (!log_has_module(module))
        return value_is_not(why, module, "a part of the program that logs");
    return is_level(level) ? OK
                           : value_is_not(why, level, "one of error, warn, info, debug");
}

static enum err levels_parse(const struct setting *s, struct str text, void *field,
                             struct diag *why)
{
    struct str rest = text;

    do {
        struct str part;
        rest = str_cut(rest, ',', &part);
        enum err e = level_check(part, why);
        if (e)
            return e;
    } while (rest.at);
    return string_parse(s, text, field, why);
}

#define CHOICES(...) ((const char *const[]){ __VA_ARGS__, NULL })

const struct setting_type type_BOOL = {
    .parse = bool_parse,
    .print = bool_print,
    .size = FIELD_SIZE_OF(half_close),
};
const struct setting_type type_AUTO_BOOL = {
    .parse = auto_bool_parse,
    .print = auto_bool_print,
    .size = FIELD_SIZE_OF(short_names),
};
const struct setting_type type_TRANSPORT = {
    .argument = "auto|spdy|websocket",
    .choices = CHOICES("auto", "spdy", "websocket"),
    .parse = enum_parse,
    .print = enum_print,
    .size = FIELD_SIZE_OF(transport),
};
const struct setting_type type_DISCOVERY = {
    .argument = "auto|watch|lazy",
    .choices = CHOICES("auto", "watch", "lazy"),
    .parse = enum_parse,
    .print = enum_print,
    .size = FIELD_SIZE_OF(discovery),
};
const struct setting_type type_UPSTREAM = {
    .argument = "auto|tunnel|direct",
    .choices = CHOICES("auto", "tunnel", "direct"),
    .parse = enum_parse,
    .print = enum_print,
    .size = FIELD_SIZE_OF(upstream),
};
const struct setting_type type_ACCESS_FORMAT = {
    .argument = "common|combined|json",
    .choices = CHOICES("common", "combined", "json"),
    .parse = enum_parse,
    .print = enum_print,
    .size = FIELD_SIZE_OF(access_log_format),
};
const struct setting_type type_LOG_FORMAT = {
    .argument = "text|json",
    .choices = CHOICES("text", "json"),
    .parse = enum_parse,
    .print = enum_print,
    .size = FIELD_SIZE_OF(log_format),
};
const struct setting_type type_COUNT = {
    .argument = "N",
    .expected = "a number",
    .parse = count_parse,
    .print = count_print,
    .format = count_format,
    .size = FIELD_SIZE_OF(max_connections),
};
const struct setting_type type_AUTO_COUNT = {
    .argument = "auto|N",
    .expected = "\"auto\" or a number",
    .parse = auto_count_parse,
    .print = auto_count_print,
    .format = count_format,
    .size = FIELD_SIZE_OF(http_tunnels_per_pod),
};
const struct setting_type type_AUTO_SIZE = {
    .argument = "auto|SIZE",
    .expected = "\"auto\", a size in bytes, or like 64KiB or 1MiB",
    .parse = auto_parse,
    .print = auto_print,
    .format = size_format,
    .size = FIELD_SIZE_OF(buffer_memory),
};
const struct setting_type type_AUTO_DURATION = {
    .argument = "auto|DURATION",
    .expected = "\"auto\", or a duration with its unit, like 500ms, 10s, 5m or 1h30m",
    .parse = auto_parse,
    .print = auto_print,
    .format = duration_format,
    .size = FIELD_SIZE_OF(idle_timeout_ms),
};
const struct setting_type type_PORT = {
    .argument = "PORT",
    .expected = "a port number",
    .parse = type_port_parse,
    .print = port_print,
    .format = count_format,
    .size = FIELD_SIZE_OF(port),
};
const struct setting_type type_DURATION = {
    .argument = "DURATION",
    .expected = "a duration with its unit, like 500ms, 10s, 5m or 1h30m",
    .parse = duration_parse,
    .print = duration_print,
    .format = duration_format,
    .size = FIELD_SIZE_OF(idle_timeout_ms),
};
const struct setting_type type_SIZE = {
    .argument = "SIZE",
    .expected = "a size in bytes, or like 64KiB or 1MiB",
    .parse = size_parse,
    .print = size_print,
    .format = size_format,
    .size = FIELD_SIZE_OF(replay_buffer),
};
const struct setting_type type_FILE = {
    .argument = "FILE",
    .parse = path_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(kubeconfig),
};
const struct setting_type type_OTLP = {
    .argument = "FILE|URL",
    .parse = otlp_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(otlp),
};
const struct setting_type type_INSTANCE = {
    .argument = "NAME",
    .parse = instance_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(name),
};
const struct setting_type type_LABEL = {
    .argument = "NAME",
    .parse = label_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(namespace),
};
const struct setting_type type_DOMAIN = {
    .argument = "DOMAIN",
    .parse = domain_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(cluster_domain),
};
const struct setting_type type_LEVELS = {
    .argument = "LEVELS",
    .parse = levels_parse,
    .print = string_print,
    .clear = string_clear,
    .size = FIELD_SIZE_OF(log_level),
};
