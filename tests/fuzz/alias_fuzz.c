/* tests/fuzz/alias_fuzz.c - any --alias, and hosts that may be one
 *
 * The input is lines: aliases until an empty one, then hosts.  An accepted alias is found by
 * its name and under .localhost, and what it means is a name of the cluster; no alias leads
 * to another.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/own.h"
#include "config/address.h"
#include "route/naming.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_target(const struct name *n)
{
    assert(n->kind != NAME_INVALID && n->kind != NAME_OWN);
    assert(!str_empty(n->ns));
    assert(n->ns.at >= n->text && n->ns.at + n->ns.len <= n->text + sizeof(n->text));
}

static void check_found(const struct naming *n, const char *host)
{
    struct name name;

    naming_read(n, str_of(host), &name, NULL);
    assert(name.suffix == NAME_SUFFIX_ALIAS);
    check_target(&name);
}

static void add(struct naming *n, struct str line)
{
    struct alias_text a;
    struct diag why = { "" };

    if (alias_parse(line, &a, &why)) {
        assert(why.text[0]);
        return;
    }
    struct str port = a.port ? str_of(a.port) : (struct str){ 0 };
    if (naming_add_alias(n, str_of(a.name), str_of(a.target), port, &why) == OK) {
        AUTO_FREE char *local =
            xasprintf("%s.localhost", n->aliases[n->alias_count - 1]->name);
        check_found(n, a.name);
        check_found(n, local);
    }
    alias_text_finish(&a);
}

/* What is outside is nothing that has a meaning here, and safe to give to a resolver. */
static void check_outside(const struct naming *n, struct str host)
{
    struct name name, meant;

    if (!naming_read_outside(n, host, false, &name))
        return;
    assert(name.kind == NAME_OUTSIDE && name.text[0]);
    for (const char *c = name.text; *c; c++)
        assert(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.:", *c));
    naming_read(n, host, &meant, NULL);
    assert(meant.kind == NAME_INVALID || meant.suffix == NAME_SUFFIX_NONE);
    assert(!str_iends(host, STR(".localhost")) && !str_iends(host, STR(".svc")));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = { (const char *)bytes, len }, line;
    struct naming n;

    naming_init(&n, "cluster.local");
    while (!str_empty(rest) && n.alias_count < 16) {
        rest = str_cut(rest, '\n', &line);
        if (str_empty(line))
            break;
        add(&n, line);
    }
    while (!str_empty(rest)) {
        struct name name;
        rest = str_cut(rest, '\n', &line);
        naming_read(&n, line, &name, NULL);
        if (name.suffix == NAME_SUFFIX_ALIAS)
            check_target(&name);
        check_outside(&n, line);
    }
    naming_finish(&n);
    return 0;
}
