/* forward/team.c - a file of forwards that a team shares
 *
 * Every key is known or refused: a misspelt one would otherwise be a forward to somewhere
 * else.
 */
#include "base/address.h"
#include "catalog/objects.h"
#include "forward/spec.h"
#include "yaml/cursor.h"
#include "yaml/fields.h"

#define SELECTOR_MAX 1024

/* One element of the list, as it is written. */
struct entry {
    char *target, *selector, *ns, *address; /* NULL: absent */
    struct texts ports;
    unsigned line, address_line;
};

struct team {
    const char *path;
    const struct texts *allowed;
    struct forward_specs *specs;
};

static void entry_finish(struct entry *e)
{
    free(e->target);
    free(e->selector);
    free(e->ns);
    free(e->address);
    texts_finish(&e->ports);
}

/* --- what an element may say --- */

static bool is_allowed(const struct texts *allowed, struct str address)
{
    for (size_t i = 0; i < allowed->count; i++)
        if (str_eq(address, str_of(allowed->at[i])))
            return true;
    return host_is_loopback(address);
}

static enum err take_address(struct yaml_cursor *c, const struct team *t,
                             const struct entry *e, struct forward_spec *s)
{
    struct diag why = { "" };
    struct str address = str_of(e->address);

    for (size_t i = 0; !e->address && i < t->allowed->count; i++)
        texts_add(&s->addresses, xstrdup(t->allowed->at[i]));
    if (!e->address && !t->allowed->count)
        address = STR("localhost");
    if (str_empty(address))
        return OK;
    if (forward_address_check(address, &why))
        return yaml_refuse_line(c, e->address_line, "address: %s", why.text);
    if (!is_allowed(t->allowed, address))
        return yaml_refuse_line(
            c, e->address_line,
            "address: a file may name loopback addresses only; to allow this one, add "
            "--address %s to the command line",
            e->address);
    texts_add(&s->addresses, str_dup(address));
    return OK;
}

static bool is_selector(const char *text)
{
    for (const char *at = text; *at; at++)
        if (*at < ' ' || *at > '~')
            return false;
    return strlen(text) <= SELECTOR_MAX;
}

static enum err take_target(struct yaml_cursor *c, struct entry *e,
                            struct forward_spec *s)
{
    struct diag why = { "" };

    if (!e->target == !e->selector)
        return yaml_refuse_line(c, e->line, "either target or selector is needed");
    if (e->selector && !is_selector(e->selector))
        return yaml_refuse_line(c, e->line, "selector: not a label selector");
    if (e->selector) {
        s->kind = FORWARD_SELECTOR;
        s->name = TAKE(e->selector);
    } else if (forward_target_parse(str_of(e->target), &s->kind, &s->name, &why)) {
        return yaml_refuse_line(c, e->line, "target: %s", why.text);
    }
    if (e->ns && !is_plain_name(str_of(e->ns)))
        return yaml_refuse_line(c, e->line, "namespace: not the name of one");
    s->ns = TAKE(e->ns);
    return OK;
}

static enum err take_ports(struct yaml_cursor *c, const struct entry *e,
                           struct forward_spec *s)
{
    struct diag why = { "" };

    if (!e->ports.count)
        return yaml_refuse_line(c, e->line, "ports are needed: [ \"8080:80\" ]");
    if (e->ports.count > FORWARD_PORTS_MAX)
        return yaml_refuse_line(c, e->line, "more than %u ports", FORWARD_PORTS_MAX);
    s->ports = xcalloc(e->ports.count, sizeof(*s->ports));
    for (size_t i = 0; i < e->ports.count; i++) {
        if (forward_port_parse(str_of(e->ports.at[i]), &s->ports[i], &why))
            return yaml_refuse_line(c, e->line, "ports: %s", why.text);
        s->port_count++;
    }
    return OK;
}

static enum err add_entry(struct yaml_cursor *c, const struct team *t, struct entry *e)
{
    struct forward_spec *s = forward_specs_add(t->specs);

    if (!s)
        return yaml_refuse_line(c, e->line, "more than %u targets", FORWARD_TARGETS_MAX);
    s->origin = xasprintf("%s:%u", t->path, e->line);
    enum err result = take_target(c, e, s);
    if (!result)
        result = take_address(c, t, e, s);
    return result ? result : take_ports(c, e, s);
}

/* --- reading --- */

/* Moves on to its value. */
static enum err read_key(struct yaml_cursor *c, char **ret)
{
    enum err e = yaml_read_text(c, ret);

    if (!e && !*ret)
        *ret = xstrdup("");
    return e ? e : yaml_next(c);
}

static enum err read_value(struct yaml_cursor *c, const char *key, char **slot)
{
    free(TAKE(*slot));
    enum err e = yaml_read_text(c, slot);

    if (!e && !*slot)
        return yaml_refuse(c, "%s: a value is needed", key);
    return e;
}

static enum err read_port(struct yaml_cursor *c, void *at)
{
    char *text = NULL;
    enum err e = read_value(c, "ports", &text);

    if (!e)
        texts_add(at, text);
    return e;
}

static enum err read_field(struct yaml_cursor *c, void *at)
{
    struct entry *e = at;
    AUTO_FREE char *key = NULL;
    enum err result = read_key(c, &key);

    if (result)
        return result;
    if (strcmp(key, "target") == 0)
        return read_value(c, key, &e->target);
    if (strcmp(key, "selector") == 0)
        return read_value(c, key, &e->selector);
    if (strcmp(key, "namespace") == 0)
        return read_value(c, key, &e->ns);
    if (strcmp(key, "address") == 0) {
        e->address_line = yaml_at(c)->line;
        return read_value(c, key, &e->address);
    }
    if (strcmp(key, "ports") == 0) {
        texts_finish(&e->ports);
        return yaml_read_each(c, YAML_LIST, read_port, &e->ports);
    }
    return yaml_refuse(c,
                       "unknown key \"%.40s\"; there are target, selector, namespace, "
                       "address and ports",
                       key);
}

static enum err read_entry(struct yaml_cursor *c, void *at)
{
    AUTO(entry_finish) struct entry e = { .line = yaml_at(c)->line };

    e.address_line = e.line;
    enum err result = yaml_read_each(c, YAML_MAP, read_field, &e);
    return result ? result : add_entry(c, at, &e);
}

static enum err read_top(struct yaml_cursor *c, void *at)
{
    AUTO_FREE char *key = NULL;
    enum err e = read_key(c, &key);

    if (!e && strcmp(key, "forwards") != 0)
        return yaml_refuse(c, "unknown key \"%.40s\"; there is only forwards", key);
    return e ? e : yaml_read_each(c, YAML_LIST, read_entry, at);
}

static enum err read_document(struct yaml_cursor *c, struct team *t)
{
    enum err e = yaml_next(c);
    bool more = false;

    if (!e && yaml_at(c)->kind != YAML_END)
        e = yaml_read_each(c, YAML_MAP, read_top, t);
    if (!e && yaml_at(c)->kind != YAML_END)
        e = yaml_next(c);
    if (!e)
        e = yaml_more(c, &more);
    return !e && more ? yaml_refuse(c, "a second document; one file holds one") : e;
}

enum err forward_file_parse(struct str text, const char *path,
                            const struct texts *allowed, struct forward_specs *ret,
                            struct diag *why)
{
    struct team t = { path, allowed, ret };
    size_t before = ret->count;
    struct yaml_cursor *c = yaml_cursor_create(path, text, why);
    enum err e = read_document(c, &t);

    yaml_cursor_destroy(c);
    if (!e && ret->count == before)
        return diag_set(why, ERR_CONFIG, "%s: it has no forwards", path);
    return e;
}
