/* config/address.c - addresses to listen on and services to expose */
#include "config/address.h"

#include <net/if.h>
#include <stdio.h>

#include "base/address.h"
#include "base/own.h"

#define LABEL_MAX 63
#define BRIDGE_PORT 8080
#define NAME_MAX_LEN 253

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool is_dns_label(struct str s)
{
    if (s.len == 0 || s.len > LABEL_MAX || s.at[0] == '-' || s.at[s.len - 1] == '-')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!is_label_byte(s.at[i]))
            return false;
    return true;
}

bool is_dns_name(struct str s)
{
    if (s.len == 0 || s.len > NAME_MAX_LEN || s.at[s.len - 1] == '.')
        return false;
    while (s.len) {
        struct str label;
        s = str_cut(s, '.', &label);
        if (!is_dns_label(label))
            return false;
    }
    return true;
}

static bool is_zone(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~' || strchr("/%[]:,", s.at[i]))
            return false;
    return s.len > 0 && s.len < IF_NAMESIZE;
}

static bool ip_canonical(struct str s, sa_family_t family,
                         char out[static LISTEN_HOST_SIZE])
{
    struct sockaddr_storage at;

    return address_parse(s, &at) && at.ss_family == family &&
           address_ip_text((struct sockaddr *)&at, out);
}

/* fe80::1%eth0: only the kernel knows whether there is an eth0. */
static bool ipv6_canonical(struct str s, char out[static LISTEN_HOST_SIZE])
{
    struct str literal;
    struct str zone = str_cut(s, '%', &literal);

    if ((zone.at && !is_zone(zone)) || !ip_canonical(literal, AF_INET6, out))
        return false;
    if (zone.at) {
        size_t len = strlen(out);
        snprintf(out + len, LISTEN_HOST_SIZE - len, "%%%.*s", STR_ARG(zone));
    }
    return true;
}

static bool host_parse(struct str s, char out[static LISTEN_HOST_SIZE])
{
    if (str_empty(s) || str_eq(s, STR("*")) || str_ieq(s, STR("localhost"))) {
        const char *word = str_empty(s) ? "" : s.len == 1 ? "*" : "localhost";
        snprintf(out, LISTEN_HOST_SIZE, "%s", word);
        return true;
    }
    if (s.at[0] == '[' && s.at[s.len - 1] == ']')
        return ipv6_canonical(str_first(str_skip(s, 1), s.len - 2), out);
    return ip_canonical(s, AF_INET, out);
}

static bool port_parse(struct str s, uint16_t *ret)
{
    uint64_t port;

    if (s.len > 5 || str_to_uint(s, UINT16_MAX, &port))
        return false;
    *ret = (uint16_t)port;
    return true;
}

enum err listen_address_parse(struct str text, struct listen_address *ret,
                              struct diag *why)
{
    struct listen_address a = { 0 };
    struct str host;
    struct str port = str_cut_last(text, ':', &host);

    if (!port.at) { /* no colon: all of it is the port */
        port = text;
        host = str_of("");
    }
    if (!host_parse(host, a.host))
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\" is not an address to listen on: expected PORT or "
                        "ADDR:PORT with a literal address, like 127.0.0.1:80 or [::1]:80",
                        STR_ARG(text));
    if (!port_parse(port, &a.port))
        return diag_set(why, ERR_CONFIG, "\"%.*s\" has no port from 0 to 65535",
                        STR_ARG(text));
    *ret = a;
    return OK;
}

bool listen_is_bridge(const struct listen_address *a)
{
    return a->host[0] == LISTEN_INTERFACE || strcmp(a->host, LISTEN_DOCKER) == 0;
}

enum err listen_any_parse(struct str text, struct listen_address *ret, struct diag *why)
{
    struct listen_address a = { .port = BRIDGE_PORT };
    struct str host;
    struct str port = str_cut_last(text, ':', &host);
    struct str name = port.at ? host : text;
    bool interface = !str_empty(name) && name.at[0] == LISTEN_INTERFACE;

    if (!interface && !str_ieq(name, STR(LISTEN_DOCKER)))
        return listen_address_parse(text, ret, why);
    if (interface && !is_zone(str_skip(name, 1)))
        return diag_set(why, ERR_CONFIG, "\"%.*s\" names no interface", STR_ARG(text));
    if (port.at && (!port_parse(port, &a.port) || !a.port))
        return diag_set(why, ERR_CONFIG, "\"%.*s\" has no port from 1 to 65535",
                        STR_ARG(text));
    if (interface)
        snprintf(a.host, sizeof(a.host), "%.*s", STR_ARG(name));
    else
        snprintf(a.host, sizeof(a.host), LISTEN_DOCKER);
    *ret = a;
    return OK;
}

void listen_address_print(const struct listen_address *a,
                          char out[static LISTEN_TEXT_SIZE])
{
    if (!a->host[0])
        snprintf(out, LISTEN_TEXT_SIZE, "%u", a->port);
    else if (strchr(a->host, ':'))
        snprintf(out, LISTEN_TEXT_SIZE, "[%s]:%u", a->host, a->port);
    else
        snprintf(out, LISTEN_TEXT_SIZE, "%s:%u", a->host, a->port);
}

/* Names of service ports are DNS labels; a label of digits only would be a port
 * number. */
static bool is_port_name(struct str s)
{
    bool letter = false;
    for (size_t i = 0; i < s.len; i++)
        letter |= s.at[i] >= 'a' && s.at[i] <= 'z';
    return letter && is_dns_label(s);
}

/* At least two labels, of characters that are allowed in names of the cluster. */
static bool is_dotted(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool capital = c >= 'A' && c <= 'Z';
        if (!is_label_byte(c) && !capital && c != '.' && c != '_')
            return false;
    }
    return s.len <= NAME_MAX_LEN + 1 && s.len > 2 && s.at[0] != '.' &&
           memchr(s.at, '.', s.len - 1);
}

static enum err expose_malformed(struct str text, struct diag *why)
{
    return diag_set(why, ERR_CONFIG,
                    "\"%.*s\" is not NAME:PORT[=LOCAL], like pg.shop:5432=15432",
                    STR_ARG(text));
}

static enum err expose_no_port(struct str text, struct str port, struct diag *why)
{
    uint64_t number;
    enum err e = str_to_uint(port, UINT16_MAX, &number);

    if (e && e != ERR_LIMIT)
        return expose_malformed(text, why);
    return diag_set(why, ERR_CONFIG,
                    "\"%.*s\": port %.*s is out of range: from 1 to 65535", STR_ARG(text),
                    STR_ARG(port));
}

static enum err expose_local(struct str text, struct str port, struct str local,
                             struct listen_address *ret, struct diag *why)
{
    if (local.at)
        return listen_address_parse(local, ret, why);
    if (is_port_name(port))
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\" names its port, so it needs a local one: %.*s=LOCAL",
                        STR_ARG(text), STR_ARG(text));
    return listen_address_parse(port, ret, why);
}

enum err expose_parse(struct str text, struct expose *ret, struct diag *why)
{
    struct listen_address local_address;
    uint16_t number;
    struct str remote, name;
    struct str local = str_cut(text, '=', &remote);
    struct str port = str_cut_last(remote, ':', &name);
    bool numeric = port_parse(port, &number) && number > 0;

    if (!port.at || !is_dotted(name))
        return expose_malformed(text, why);
    if (!numeric && !is_port_name(port))
        return expose_no_port(text, port, why);

    enum err e = expose_local(text, port, local, &local_address, why);
    if (e)
        return e;
    *ret = (struct expose){
        .name = str_dup(name),
        .port = str_dup(port),
        .local = local_address,
    };
    return OK;
}

void expose_finish(struct expose *e)
{
    free(e->name);
    free(e->port);
    *e = (struct expose){ 0 };
}

static struct str without_final_dot(struct str s)
{
    return str_ends(s, STR(".")) ? str_first(s, s.len - 1) : s;
}

/* Upper case is allowed, since names are compared without regard to case. */
static bool is_alias_name(struct str s)
{
    AUTO_FREE char *lower = str_dup(without_final_dot(s));

    for (char *c = lower; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return is_dns_name(str_of(lower));
}

enum err alias_parse(struct str text, struct alias_text *ret, struct diag *why)
{
    uint16_t number;
    struct str name, target;
    struct str port = str_cut_last(str_cut(text, '=', &name), ':', &target);

    if (!port.at)
        target = str_cut(text, '=', &name);
    if (!target.at || !is_alias_name(name) || !is_dotted(target))
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\" is not NAME=SERVICE.NAMESPACE[:PORT], like "
                        "shop=web.shop:8080",
                        STR_ARG(text));
    if (port.at && !is_port_name(port) && (!port_parse(port, &number) || !number))
        return diag_set(why, ERR_CONFIG,
                        "\"%.*s\": port %.*s is no number from 1 to 65535 and no name",
                        STR_ARG(text), STR_ARG(port));
    *ret = (struct alias_text){
        .name = str_dup(name),
        .target = str_dup(target),
        .port = port.at ? str_dup(port) : NULL,
    };
    return OK;
}

void alias_text_finish(struct alias_text *a)
{
    free(a->name);
    free(a->target);
    free(a->port);
    *a = (struct alias_text){ 0 };
}
