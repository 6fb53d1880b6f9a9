/* tests/fuzz/name_fuzz.c - any authority: views stay inside, accepted names are clean
 *
 * The input is an authority as a client sends it.  Whatever is accepted must survive a
 * second parse of its own text, and a copy must not lean on the original.
 */
#include <assert.h>

#include "route/name.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_view(const struct name *n, struct str view)
{
    const char *begin = (const char *)n;

    if (view.len == 0)
        return;
    assert(view.at >= begin && view.at + view.len <= begin + sizeof(*n));
    for (size_t i = 0; i < view.len; i++)
        assert(view.at[i] > ' ' && view.at[i] <= '~');
}

static void check(const struct name *n)
{
    check_view(n, n->service);
    check_view(n, n->ns);
    check_view(n, n->endpoint);
    check_view(n, n->port_name);
    check_view(n, n->cluster);
    assert(str_empty(n->cluster) || n->suffix == NAME_SUFFIX_K8S ||
           n->suffix == NAME_SUFFIX_LOCALHOST || n->suffix == NAME_SUFFIX_SVC_LOCALHOST);
    assert((n->kind == NAME_INVALID) == (n->problem != NULL));
    assert(memchr(n->text, '\0', sizeof(n->text)));
    if (n->kind == NAME_SERVICE || n->kind == NAME_ENDPOINT || n->kind == NAME_DEPLOYMENT)
        assert(!str_empty(n->service) && !str_empty(n->ns));
    if (n->kind == NAME_POD)
        assert(!str_empty(n->endpoint) && !str_empty(n->ns));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str host = { (const char *)bytes, len };
    struct name n, again, copy;
    uint16_t port;

    if (authority_split(host, &host, &port) != OK)
        host = (struct str){ (const char *)bytes, len };
    name_parse(host, STR("cluster.local"), &n);
    check(&n);
    name_copy(&copy, &n);
    check(&copy);
    assert(str_eq(copy.service, n.service) && str_eq(copy.endpoint, n.endpoint) &&
           str_eq(copy.cluster, n.cluster));

    name_parse(str_of(n.text), STR("cluster.local"), &again);
    if (n.kind != NAME_INVALID)
        assert(again.kind == n.kind && str_eq(again.service, n.service) &&
               str_eq(again.ns, n.ns) && str_eq(again.endpoint, n.endpoint) &&
               str_eq(again.cluster, n.cluster));
    return 0;
}
