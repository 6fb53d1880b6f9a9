/* config/type_tls.c - the type of the setting that says how certificates of services are verified
 */
#include "config/service_tls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "config/type.h"

static const char *const keys[] = { "verify", "ca", "pin", "server-name", "mode", NULL };

/* Names of pods and Deployments are longer than those of services. */
static bool is_service(struct str ns, struct str name)
{
    return is_dns_label(ns) && is_dns_name(name);
}

static enum err add_service(struct service_tls_list *list, struct str text,
                            struct diag *why)
{
    struct str ns;
    struct str name = str_cut(text, '/', &ns);

    if (!name.at || !is_service(ns, name))
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\" is not NAMESPACE/SERVICE, like shop/web",
                        STR_ARG(text));
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(text, str_of(list->at[i].service)))
            return diag_set(why, ERR_CONFIG, "%.*s is given twice", STR_ARG(text));
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = (struct service_tls){ .service = str_dup(text) };
    return OK;
}

static enum err set_verify(struct service_tls *s, struct str value, struct diag *why)
{
    if (!str_ieq(value, STR("none")))
        return diag_set(why, ERR_CONFIG,
                        "verify: \"%.*s\" is not none (verification needs no setting)",
                        STR_ARG(value));
    s->unverified = true;
    return OK;
}

static enum err set_ca(struct service_tls *s, struct str value, struct diag *why)
{
    free(s->ca);
    s->ca = str_dup(value);
    if (access(s->ca, R_OK))
        return diag_set(why, ERR_CONFIG, "ca: %s: %s", s->ca, strerror(errno));
    return OK;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal, with or without colons, as openssl x509 -fingerprint prints it. */
static bool read_pin(struct str text, uint8_t pin[static SERVICE_TLS_PIN_SIZE])
{
    size_t n = 0;

    for (; n < SERVICE_TLS_PIN_SIZE && text.len >= 2; n++) {
        int high = digit_of(text.at[0]), low = digit_of(text.at[1]);
        if (high < 0 || low < 0)
            return false;
        pin[n] = (uint8_t)(high << 4 | low);
        text = str_skip(text, 2);
        if (text.len > 2 && text.at[0] == ':')
            text = str_skip(text, 1);
    }
    return n == SERVICE_TLS_PIN_SIZE && !text.len;
}

static enum err set_pin(struct service_tls *s, struct str value, struct diag *why)
{
    if (!read_pin(value, s->pin))
        return diag_set(why, ERR_CONFIG,
                        "pin: \"%.*s\" is not a SHA-256 fingerprint: 64 hexadecimal "
                        "digits, as of openssl x509 -noout -fingerprint -sha256",
                        STR_ARG(str_first(value, value.len < 80 ? value.len : 80)));
    s->has_pin = true;
    return OK;
}

static enum err set_server_name(struct service_tls *s, struct str value, struct diag *why)
{
    free(s->server_name);
    s->server_name = str_dup(value);
    for (char *c = s->server_name; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c |= 0x20;
    if (!is_dns_name(str_of(s->server_name)))
        return diag_set(why, ERR_CONFIG, "server-name: \"%.*s\" is not a host name",
                        STR_ARG(value));
    return OK;
}

static const char *const modes[] = {
    [SERVICE_TLS_PASSTHROUGH] = "passthrough",
    [SERVICE_TLS_TERMINATE] = "terminate",
};

static enum err set_mode(struct service_tls *s, struct str value, struct diag *why)
{
    for (size_t i = SERVICE_TLS_PASSTHROUGH; i < ARRAY_LEN(modes); i++) {
        if (!str_ieq(value, str_of(modes[i])))
            continue;
        s->mode = (enum service_tls_mode)i;
        return OK;
    }
    return diag_set(why, ERR_CONFIG, "mode: \"%.*s\" is not passthrough or terminate",
                    STR_ARG(value));
}

static enum err unknown_option(struct str key, struct diag *why)
{
    const char *nearest = nearest_name(key, keys);

    if (!nearest)
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\" is not one of verify, ca, pin, server-name and mode",
                        STR_ARG(key));
    return diag_set(why, ERR_CONFIG, "\"%.*s\" is not a key; is it \"%s\"?", STR_ARG(key),
                    nearest);
}

static enum err add_option(struct service_tls *s, struct str key, struct str value,
                           struct diag *why)
{
    static enum err (*const setters[])(struct service_tls *, struct str,
                                       struct diag *) = { set_verify, set_ca, set_pin,
                                                          set_server_name, set_mode };

    for (size_t i = 0; keys[i]; i++) {
        if (!setting_name_matches(key, keys[i]))
            continue;
        if (str_empty(value))
            return diag_set(why, ERR_CONFIG, "%s: a value is missing", keys[i]);
        return setters[i](s, value, why);
    }
    return unknown_option(key, why);
}

/* NAMESPACE/SERVICE begins the next service of the list; KEY=VALUE is added to the last one. */
static enum err add_text(struct service_tls_list *list, struct str text, struct diag *why)
{
    struct str key;
    struct str value = str_cut(text, '=', &key);

    if (!value.at)
        return add_service(list, text, why);
    if (!list->count)
        return diag_set(why, ERR_CONFIG, "\"%.*s\" comes before any NAMESPACE/SERVICE",
                        STR_ARG(text));
    struct service_tls *last = &list->at[list->count - 1];
    enum err e = add_option(last, key, value, why);
    return e ? diag_prefix(why, e, "%s", last->service) : OK;
}

bool service_tls_verifies(const struct service_tls *s)
{
    return s->unverified || s->ca || s->has_pin || s->server_name;
}

enum service_tls_mode service_tls_mode(const struct service_tls_list *list, struct str ns,
                                       struct str service)
{
    for (size_t i = 0; i < list->count; i++) {
        struct str first;
        struct str second = str_cut(str_of(list->at[i].service), '/', &first);
        if (str_ieq(first, ns) && str_ieq(second, service))
            return list->at[i].mode;
    }
    return SERVICE_TLS_AUTO;
}

static enum err check_one(const struct service_tls *s, struct diag *why)
{
    if (s->unverified && (s->ca || s->has_pin))
        return diag_set(why, ERR_CONFIG,
                        "%s: verify: none excludes ca and pin, which verify", s->service);
    if (s->ca && s->has_pin)
        return diag_set(why, ERR_CONFIG,
                        "%s: ca and pin exclude one another: a pinned certificate needs "
                        "no authority",
                        s->service);
    if (!service_tls_verifies(s) && !s->mode)
        return diag_set(why, ERR_CONFIG,
                        "%s: one of verify, ca, pin, server-name and mode is missing",
                        s->service);
    return OK;
}

enum err service_tls_check(const struct service_tls_list *list, struct diag *why)
{
    enum err e = OK;

    for (size_t i = 0; !e && i < list->count; i++)
        e = check_one(&list->at[i], why);
    return e;
}

static void print_one(FILE *out, const struct service_tls *s)
{
    fprintf(out, "%s", s->service);
    if (s->unverified)
        fprintf(out, ",verify=none");
    if (s->ca)
        fprintf(out, ",ca=%s", s->ca);
    if (s->has_pin)
        fprintf(out, ",pin=");
    for (size_t i = 0; s->has_pin && i < sizeof(s->pin); i++)
        fprintf(out, "%02x", s->pin[i]);
    if (s->server_name)
        fprintf(out, ",server-name=%s", s->server_name);
    if (s->mode)
        fprintf(out, ",mode=%s", modes[s->mode]);
}

static char *tls_print(const struct setting *s, const void *field)
{
    const struct service_tls_list *list = field;
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);

    (void)s;
    if (!out)
        abort(); /* out of memory */
    for (size_t i = 0; i < list->count; i++) {
        if (i)
            fputc(',', out);
        print_one(out, &list->at[i]);
    }
    if (fclose(out))
        abort();
    return text;
}

static void tls_clear(void *field)
{
    struct service_tls_list *list = field;

    for (size_t i = 0; i < list->count; i++) {
        free(list->at[i].service);
        free(list->at[i].ca);
        free(list->at[i].server_name);
    }
    free(list->at);
}

static enum err tls_parse(const struct setting *s, struct str text, void *field,
                          struct diag *why)
{
    struct service_tls_list *list = field;

    if (list->count >= s->max && !memchr(text.at, '=', text.len))
        return diag_set(why, ERR_CONFIG, "more than %" PRIu64 " services", s->max);
    return add_text(list, text, why);
}

const struct setting_type type_TLS_LIST = {
    .argument = "NS/SVC,KEY=VALUE",
    .parse = tls_parse,
    .print = tls_print,
    .clear = tls_clear,
    .size = FIELD_SIZE_OF(tls),
    .list = true,
    .sections = true,
};
