/* forward/words.c - the words of a command line, as kubectl reads them */
#include "base/address.h"
#include "catalog/objects.h"
#include "forward/spec.h"

#define NAME_LEN_MAX 253
#define PORT_NAME_MAX 63

/* --- the structs --- */

void forward_spec_finish(struct forward_spec *s)
{
    for (size_t i = 0; i < s->port_count; i++)
        free(s->ports[i].remote);
    free(s->ports);
    free(s->name);
    free(s->ns);
    free(s->origin);
    texts_finish(&s->addresses);
    *s = (struct forward_spec){ 0 };
}

void forward_specs_finish(struct forward_specs *s)
{
    for (size_t i = 0; i < s->count; i++)
        forward_spec_finish(&s->at[i]);
    free(s->at);
    *s = (struct forward_specs){ 0 };
}

struct forward_spec *forward_specs_add(struct forward_specs *s)
{
    if (s->count == FORWARD_TARGETS_MAX)
        return NULL;
    s->at = xrealloc(s->at, (s->count + 1) * sizeof(*s->at));
    s->at[s->count] = (struct forward_spec){ 0 };
    return &s->at[s->count++];
}

/* --- ports --- */

static enum err read_number(const char *which, struct str text, uint16_t *ret,
                            struct diag *why)
{
    uint64_t number;
    enum err e = str_to_uint(text, UINT16_MAX, &number);

    if (e)
        return diag_set(why, ERR_CONFIG, "error parsing %s port '%.*s': %s", which,
                        STR_ARG(text),
                        e == ERR_LIMIT ? "value out of range" : "invalid syntax");
    *ret = (uint16_t)number;
    return OK;
}

static bool is_number(struct str text)
{
    return !str_empty(text) && strspn(text.at, "0123456789") >= text.len;
}

static enum err read_remote(struct str text, struct forward_port *p, struct diag *why)
{
    if (str_empty(text) || text.len > PORT_NAME_MAX)
        return diag_set(why, ERR_CONFIG, "error parsing remote port '%.*s': %s",
                        STR_ARG(str_first(text, PORT_NAME_MAX)), "invalid syntax");
    if (!is_number(text))
        return OK;
    enum err e = read_number("remote", text, &p->number, why);
    if (!e && p->number == 0)
        return diag_set(why, ERR_CONFIG, "remote port must be > 0");
    return e;
}

enum err forward_port_parse(struct str text, struct forward_port *ret, struct diag *why)
{
    struct forward_port p = { 0 };
    struct str local;
    struct str remote = str_cut(text, ':', &local);

    if (remote.at && memchr(remote.at, ':', remote.len))
        return diag_set(why, ERR_CONFIG, "invalid port format '%.*s'", STR_ARG(text));
    if (!remote.at)
        remote = local;
    p.same = str_eq(local, remote);
    enum err e = read_remote(remote, &p, why);
    if (!e && !p.same && !str_empty(local))
        e = read_number("local", local, &p.local, why);
    if (e)
        return e;
    p.remote = str_dup(remote);
    *ret = p;
    return OK;
}

static enum err add_port(struct forward_spec *s, struct str text, struct diag *why)
{
    struct forward_port port;

    if (s->port_count == FORWARD_PORTS_MAX)
        return diag_set(why, ERR_CONFIG, "more than %u ports of one target",
                        FORWARD_PORTS_MAX);
    enum err e = forward_port_parse(text, &port, why);
    if (e)
        return e;
    s->ports = xrealloc(s->ports, (s->port_count + 1) * sizeof(*s->ports));
    s->ports[s->port_count++] = port;
    return OK;
}

/* --- the target --- */

static enum err check_name(struct str name, struct diag *why)
{
    if (!is_plain_name(name) || name.len > NAME_LEN_MAX)
        return diag_set(why, ERR_CONFIG, "\"%.*s\" is not the name of an object",
                        STR_ARG(str_first(name, 80)));
    return OK;
}

enum err forward_target_parse(struct str text, enum forward_kind *ret_kind,
                              char **ret_name, struct diag *why)
{
    enum forward_kind kind = FORWARD_POD;
    struct str type;
    struct str name = str_cut(text, '/', &type);

    if (!name.at) {
        name = type;
    } else if (memchr(name.at, '/', name.len)) {
        return diag_set(
            why, ERR_CONFIG,
            "arguments in resource/name form may not have more than one slash");
    } else if (str_empty(type) || str_empty(name) || memchr(type.at, ',', type.len)) {
        return diag_set(
            why, ERR_CONFIG,
            "arguments in resource/name form must have a single resource and name");
    } else if (!forward_kind_find(type, &kind)) {
        return diag_set(why, ERR_CONFIG,
                        "the server doesn't have a resource type \"%.*s\" that leads to "
                        "pods; use pod, deploy, rs, sts, svc, ds, job or rc",
                        STR_ARG(str_first(type, 80)));
    }
    enum err e = check_name(name, why);
    if (e)
        return e;
    *ret_kind = kind;
    *ret_name = str_dup(name);
    return OK;
}

/* --- addresses --- */

enum err forward_address_check(struct str text, struct diag *why)
{
    struct sockaddr_storage unused;

    if (str_eq(text, STR("localhost")) || address_parse(text, &unused))
        return OK;
    return diag_set(why, ERR_CONFIG, "%.*s is not a valid IP",
                    STR_ARG(str_first(text, 80)));
}

enum err forward_addresses_add(struct texts *t, struct str text, struct diag *why)
{
    do {
        struct str one;
        text = str_cut(text, ',', &one);
        enum err e = forward_address_check(one, why);
        if (e)
            return e;
        if (t->count == FORWARD_ADDRESSES_MAX)
            return diag_set(why, ERR_CONFIG, "more than %u addresses",
                            FORWARD_ADDRESSES_MAX);
        texts_add(t, str_dup(one));
    } while (text.at);
    return OK;
}

/* --- all words --- */

static void copy_addresses(struct texts *to, const struct texts *from)
{
    for (size_t i = 0; i < from->count; i++)
        texts_add(to, xstrdup(from->at[i]));
    if (!from->count)
        texts_add(to, xstrdup("localhost"));
}

static enum err begin_target(const char *word, const struct texts *addresses,
                             struct forward_specs *specs, struct diag *why)
{
    struct forward_spec *s = forward_specs_add(specs);

    if (!s)
        return diag_set(why, ERR_CONFIG, "more than %u targets", FORWARD_TARGETS_MAX);
    copy_addresses(&s->addresses, addresses);
    return forward_target_parse(str_of(word), &s->kind, &s->name, why);
}

static enum err check_ports(const struct forward_specs *specs, struct diag *why)
{
    for (size_t i = 0; i < specs->count; i++)
        if (!specs->at[i].port_count)
            return diag_set(why, ERR_NOT_CONFIGURED,
                            "TYPE/NAME and list of ports are required for port-forward");
    return OK;
}

enum err forward_words_parse(const char *const *words, size_t count, const char *selector,
                             const struct texts *addresses, struct forward_specs *ret,
                             struct diag *why)
{
    if (selector) {
        struct forward_spec *s = forward_specs_add(ret);
        if (!s)
            return diag_set(why, ERR_CONFIG, "more than %u targets", FORWARD_TARGETS_MAX);
        s->kind = FORWARD_SELECTOR;
        s->name = xstrdup(selector);
        copy_addresses(&s->addresses, addresses);
    }
    for (size_t i = 0; i < count; i++) {
        bool is_target = strchr(words[i], '/') || !ret->count;
        enum err e = is_target
                         ? begin_target(words[i], addresses, ret, why)
                         : add_port(&ret->at[ret->count - 1], str_of(words[i]), why);
        if (e)
            return e;
    }
    return check_ports(ret, why);
}
