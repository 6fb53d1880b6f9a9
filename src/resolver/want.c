/* resolver/want.c - what is to be installed, and whether it can be written into files */
#include <arpa/inet.h>
#include <ctype.h>

#include "base/own.h"
#include "resolver/backend.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX 63
#define NAMES_MAX (512 * 1024)
#define DOMAINS_MAX 64

void resolver_want_finish(struct resolver_want *w)
{
    free(w->backend);
    free(w->server);
    texts_finish(&w->domains);
    free(w->low_ports);
    free(w->program);
    free(w->user);
    free(w->names);
    *w = (struct resolver_want){ 0 };
}

static bool is_label(struct str s)
{
    bool valid = s.len > 0 && s.len <= LABEL_MAX && s.at[0] != '-';

    for (size_t i = 0; valid && i < s.len; i++)
        valid = islower((unsigned char)s.at[i]) || isdigit((unsigned char)s.at[i]) ||
                s.at[i] == '-' || s.at[i] == '_';
    return valid;
}

static bool is_name(struct str s)
{
    bool valid = s.len > 0 && s.len <= NAME_MAX_LEN && s.at[s.len - 1] != '.';
    struct str label;

    while (valid && !str_empty(s)) {
        s = str_cut(s, '.', &label);
        valid = is_label(label);
    }
    return valid;
}

static bool is_loopback(const char *text)
{
    struct in_addr address;

    return text && inet_pton(AF_INET, text, &address) == 1 &&
           ntohl(address.s_addr) >> 24 == 127;
}

static bool is_below(struct str name, const struct texts *domains)
{
    for (size_t i = 0; i < domains->count; i++) {
        AUTO_FREE char *suffix = xasprintf(".%s", domains->at[i]);
        if (str_ends(name, str_of(suffix)))
            return true;
    }
    return false;
}

static enum err check_names_line(struct str line, const struct texts *domains,
                                 size_t number, struct diag *why)
{
    struct str word, rest = str_cut(line, ' ', &word);
    AUTO_FREE char *address = str_dup(word);

    if (!is_loopback(address))
        return diag_set(why, ERR_CONFIG,
                        "names, line %zu: \"%.40s\" is no address in 127.0.0.0/8", number,
                        address);
    if (str_empty(rest))
        return diag_set(why, ERR_CONFIG, "names, line %zu: a name is missing", number);
    while (!str_empty(rest)) {
        rest = str_cut(rest, ' ', &word);
        if (!is_name(word) || !is_below(word, domains))
            return diag_set(why, ERR_CONFIG,
                            "names, line %zu: \"%.*s\" is no name below one of the "
                            "domains",
                            number, (int)(word.len < 80 ? word.len : 80), word.at);
    }
    return OK;
}

/* The owner of a Service must not be able to name hosts outside the cluster. */
static enum err check_names(const struct resolver_want *w, struct diag *why)
{
    struct str rest = str_of(w->names), line;
    enum err e = OK;

    if (rest.len > NAMES_MAX)
        return diag_set(why, ERR_LIMIT, "names: more than %d bytes", NAMES_MAX);
    for (size_t number = 1; !e && !str_empty(rest); number++) {
        rest = str_cut(rest, '\n', &line);
        if (!rest.at)
            return diag_set(why, ERR_CONFIG, "names, line %zu: no line feed", number);
        e = check_names_line(line, &w->domains, number, why);
    }
    return e;
}

static enum err check_domains(const struct texts *domains, struct diag *why)
{
    if (!domains->count || domains->count > DOMAINS_MAX)
        return diag_set(why, ERR_CONFIG, "%zu domains: expected 1 to %d", domains->count,
                        DOMAINS_MAX);
    for (size_t i = 0; i < domains->count; i++)
        if (!is_name(str_of(domains->at[i])))
            return diag_set(why, ERR_CONFIG, "domain \"%.80s\": not a name of the DNS",
                            domains->at[i]);
    return OK;
}

/* It stands in a unit: no blank, no quotation mark, no specifier. */
static bool is_plain_path(const char *path)
{
    return path && path[0] == '/' &&
           strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "/._+-") == strlen(path);
}

static bool is_user(const char *name)
{
    return name && name[0] && name[0] != '-' && strlen(name) < 64 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                        "._-") == strlen(name);
}

static enum err check_low_ports(const struct resolver_want *w, struct diag *why)
{
    const char *kind = w->low_ports ? w->low_ports : "";
    size_t i = 0;

    while (resolver_low_ports_at(i) && strcmp(resolver_low_ports_at(i), kind) != 0)
        i++;
    if (!resolver_low_ports_at(i))
        return diag_set(why, ERR_CONFIG,
                        "--low-ports \"%.40s\": expected none, setcap, unit or sysctl",
                        kind);
    bool unit = strcmp(kind, "unit") == 0;
    if ((unit || strcmp(kind, "setcap") == 0) && !is_plain_path(w->program))
        return diag_set(why, ERR_CONFIG,
                        "\"%.120s\": the path of kube-tunnel has characters that a unit "
                        "cannot have: move it",
                        w->program ? w->program : "");
    if (unit && !is_user(w->user))
        return diag_set(why, ERR_CONFIG,
                        "--low-ports unit: --user is missing, or is no user's name");
    return OK;
}

enum err resolver_want_check(const struct resolver_want *w, struct diag *why)
{
    const struct machine here = { "" };
    enum err e = OK;

    if (w->backend && !backend_find(&here, w->backend))
        e = diag_set(why, ERR_CONFIG,
                     "--backend \"%.40s\": expected resolved-delegate, resolved-link, "
                     "networkmanager, dnsmasq, macos, resolv.conf or hosts",
                     w->backend);
    else if (!is_loopback(w->server) || !w->port)
        e = diag_set(why, ERR_CONFIG,
                     "the DNS server's address \"%.40s\": expected one in 127.0.0.0/8, "
                     "with a port",
                     w->server ? w->server : "");
    if (!e)
        e = check_domains(&w->domains, why);
    if (!e)
        e = check_low_ports(w, why);
    return e || !w->names ? e : check_names(w, why);
}
