/* config/config.h - every setting, with its value and its source
 *
 * A struct config is loaded once, from flags, the environment, files and defaults (the
 * nearer source wins, setting by setting), and never changes afterwards: it is shared by
 * reference, and a reload makes a new one.  The fields come from the table in
 * config/settings.h, for instance
 *
 *     uint64_t idle_timeout_ms;          const char *kubeconfig;   (NULL: not set)
 *     struct listen_list listen;         enum transport_choice transport;
 *
 * Settings are checked when they are loaded: code that reads a field may rely on its
 * limits.
 */
#pragma once

#include "base/log.h"
#include "base/str.h"
#include "config/address.h"
#include "config/service_tls.h"
#include "config/settings.h"

enum transport_choice { TRANSPORT_AUTO, TRANSPORT_SPDY, TRANSPORT_WEBSOCKET };
enum discovery_choice { DISCOVER_AUTO, DISCOVER_WATCH, DISCOVER_LAZY };
enum upstream_choice { UPSTREAM_AUTO, UPSTREAM_TUNNEL, UPSTREAM_DIRECT };

enum access_format { ACCESS_COMMON, ACCESS_COMBINED, ACCESS_JSON };

#define COUNT_AUTO UINT32_MAX /* "auto" instead of a number */
#define SIZE_AUTO UINT64_MAX  /* ... of a size or a duration */

/* AUTO: the value depends on where the process runs. */
enum auto_bool { AUTO_BOOL_AUTO, AUTO_BOOL_FALSE, AUTO_BOOL_TRUE };

struct string_list {
    char **at;
    size_t count;
};

struct listen_list {
    struct listen_address *at;
    size_t count;
};

struct port_list {
    uint16_t *at;
    size_t count;
};

struct expose_list {
    struct expose *at;
    size_t count;
};

struct alias_text_list {
    struct alias_text *at;
    size_t count;
};

/* clang-format off */
#define FIELD_ACCESS_FORMAT(field) enum access_format field;
#define FIELD_ALIAS_LIST(field)  struct alias_text_list field;
#define FIELD_AUTO_BOOL(field)   enum auto_bool field;
#define FIELD_AUTO_COUNT(field)  uint32_t field;
#define FIELD_AUTO_DURATION(field) uint64_t field;
#define FIELD_AUTO_SIZE(field)   uint64_t field;
#define FIELD_BOOL(field)        bool field;
#define FIELD_TRANSPORT(field)     enum transport_choice field;
#define FIELD_CLIENT_LIST(field) struct string_list field;
#define FIELD_CONTEXT_LIST(field) struct string_list field;
#define FIELD_COUNT(field)       uint32_t field;
#define FIELD_DISCOVERY(field)   enum discovery_choice field;
#define FIELD_DNS_SERVER(field) struct listen_address field;
#define FIELD_DOMAIN(field)      const char *field;
#define FIELD_DURATION(field)    uint64_t field;
#define FIELD_EXPOSE_LIST(field) struct expose_list field;
#define FIELD_FILE(field)        const char *field;
#define FIELD_FILE_LIST(field)   struct string_list field;
#define FIELD_HOST_LIST(field)   struct string_list field;
#define FIELD_INSTANCE(field)    const char *field;
#define FIELD_LABEL(field)       const char *field;
#define FIELD_LABEL_LIST(field)  struct string_list field;
#define FIELD_LEVELS(field)      const char *field;
#define FIELD_LISTEN_LIST(field) struct listen_list field;
#define FIELD_LOG_FORMAT(field)  enum log_format field;
#define FIELD_ORIGIN_LIST(field) struct string_list field;
#define FIELD_OTLP(field)        const char *field;
#define FIELD_PORT(field)        uint16_t field;
#define FIELD_PORT_LIST(field)   struct port_list field;
#define FIELD_SIZE(field)        uint64_t field;
#define FIELD_TLS_LIST(field)    struct service_tls_list field;
#define FIELD_UPSTREAM(field)    enum upstream_choice field;
/* clang-format on */

/* SETTING_idle_timeout_ms and so on: the place of a row in the table. */
enum setting_id {
#define X(TYPE, field, ...) SETTING_##field,
    SETTINGS(X)
#undef X
        SETTING_COUNT
};

/* In ascending precedence. */
enum source { FROM_DEFAULT, FROM_SYSTEM_FILE, FROM_FILE, FROM_ENVIRONMENT, FROM_FLAG };

struct origin {
    enum source source;
    const char *file; /* for a file: its path; valid as long as the config */
    unsigned line;    /* for a file: the line, from 1 */
};

struct config {
#define X(TYPE, field, ...) FIELD_##TYPE(field)
    SETTINGS(X)
#undef X

    bool in_pod; /* where the process runs: some defaults depend on it */
    struct origin origins[SETTING_COUNT];
    struct string_list files;    /* the files that were read, in ascending precedence */
    struct string_list warnings; /* sentences that the owner of the config prints once */
    unsigned refs;               /* private */
};

struct config_flag {
    /* the name of a setting, without dashes; another name is an error */
    const char *name;
    const char *value;
};

/* The sources of settings.  All zeroed: defaults only. */
struct config_input {
    const char *file;      /* instead of both usual files; must exist */
    const char *user_file; /* skipped if it is NULL or does not exist */
    /* likewise; the user's file has precedence, for each setting */
    const char *system_file;
    char *const *environment; /* "KTUN_PORT=80", ..., NULL; other variables are ignored */
    const struct config_flag *flags;
    size_t flag_count;
    bool in_pod;
};

/* ERR_CONFIG, ERR_IO, ERR_ACCESS, ERR_NOT_FOUND or ERR_LIMIT: *why names the flag, the
 * variable or the file and line.  *ret is written only on OK and holds one reference. */
MUST_CHECK enum err config_load(const struct config_input *input, struct config **ret,
                                struct diag *why);

/* The defaults, with one reference.  Tests may write its fields before they share it. */
struct config *config_default(void);

const struct config *config_ref(const struct config *c);
void config_unref(const struct config *c); /* NULL accepted */
static inline void config_unrefp(struct config **c)
{
    config_unref(*c);
}

/* Of the first address of --listen that is no bridge, or --port; 0: the default. */
uint16_t config_listen_port(const struct config *c);

/* Are two-label names (web.shop) accepted in the Host header? */
bool config_short_names(const struct config *c);

/* Where does TLS of this service's clients end?  AUTO: here, if it has no TLS port. */
enum service_tls_mode config_tls_mode(const struct config *c, struct str ns,
                                      struct str service);

/* Was this value set by a flag, the environment or a file? */
bool config_is_set(const struct config *c, enum setting_id id);
