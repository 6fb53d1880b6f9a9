#include "tunnel/node.h"

#include "base/own.h"

static struct node *node_create(struct map *all, const char *name)
{
    size_t len = strlen(name);
    struct node *n = xcalloc(1, sizeof(*n) + len + 1);

    n->all = all;
    memcpy(n->name, name, len);
    list_init(&n->lacking);
    list_init(&n->ahead);
    list_init(&n->in_blocked);
    map_set(all, str_of(n->name), n);
    return n;
}

struct node *node_ref(struct map *all, const char *ns, const char *node)
{
    /* The upper bits of the hash depend on every byte of the name. */
    unsigned bucket = (unsigned)(str_hash(str_of(node)) >> 48) % NODE_BUCKETS;
    AUTO_FREE char *name = xasprintf("%s/%u", ns, bucket);
    struct node *n = map_get(all, str_of(name));

    if (!n)
        n = node_create(all, name);
    n->pods++;
    return n;
}

struct node *node_share(struct node *n)
{
    n->pods++;
    return n;
}

void node_unref(struct node *n)
{
    if (--n->pods)
        return;
    list_remove(&n->in_blocked);
    map_remove(n->all, str_of(n->name));
    free(n);
}
