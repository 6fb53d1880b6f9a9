/* addresses/addresses.c - a loopback address for each service and pod */
#include "addresses/addresses.h"

#include <sys/random.h>

#include "addresses/addresses_state.h"
#include "addresses/state_file.h"
#include "base/log.h"
#include "base/own.h"
#include "cluster/clusters.h"
#include "net/loop.h"

LOG_MODULE(addresses);

#define SAVE_MS 1000 /* collisions of one moment are written together */

/* ---- the state file ---- */

static uint64_t random_seed(void)
{
    uint64_t seed = 0;

    return getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed) ? seed : 0;
}

static void save(struct addresses *a)
{
    struct diag why = { "" };

    if (!a->keeps || !a->table.changed)
        return;
    a->table.changed = false;
    enum err e = state_file_write(a->parts.path, &a->table, &why);
    if (e && strcmp(a->state.text, why.text) != 0)
        log_warn(NO_ID, "the addresses of services were not saved",
                 LOG_S("reason", diag_text(&why, e)));
    a->state = e ? why : (struct diag){ "" };
}

static void on_save(struct timer *t)
{
    save(container_of(t, struct addresses, save_later));
}

/* What cannot be read may be of a newer version, so it is not written over.  Without a seed of
 * the file a fixed one is used, so that addresses stay the same at the next start. */
static void refuse_file(struct addresses *a, enum err e, const struct diag *why)
{
    table_finish(&a->table);
    table_init(&a->table, 0);
    a->state = *why;
    log_error(NO_ID, "the state file of addresses is not used, and left as it is",
              LOG_S("reason", diag_text(why, e)), LOG_S("file", a->parts.path),
              LOG_S("to_begin_anew", "move it away and start kube-tunnel again"));
}

static void load(struct addresses *a)
{
    struct diag why = { "" };

    table_init(&a->table, 0);
    if (!a->parts.path)
        return;
    enum err e = state_file_read(a->parts.path, &a->table, &why);
    if (e && e != ERR_NOT_FOUND) {
        refuse_file(a, e, &why);
        return;
    }
    a->keeps = true;
    if (!e)
        return;
    a->table.seed = random_seed();
    a->table.changed = true;
    save(a);
}

struct addresses *addresses_create(const struct addresses_parts *parts)
{
    struct addresses *a = xcalloc(1, sizeof(*a));

    a->parts = *parts;
    a->sched = loop_sched(parts->loop);
    timer_init(&a->save_later, a->sched, on_save);
    load(a);
    return a;
}

void addresses_destroy(struct addresses *a)
{
    if (!a)
        return;
    timer_stop(&a->save_later);
    save(a);
    table_finish(&a->table);
    free(a);
}

/* ---- addresses ---- */

static enum err parts_of(const struct addresses *a, const struct address_key *key,
                         struct key_parts *ret, struct diag *why)
{
    *ret = (struct key_parts){ key->cluster, key->ns, key->service, key->pod };
    if (!a->parts.clusters)
        return OK;
    const char *context = clusters_context(a->parts.clusters, key->cluster);
    if (!context)
        return diag_set(why, ERR_NOT_CONFIGURED, "no context \"%.*s\"",
                        STR_ARG(str_first(key->cluster, 64)));
    ret->context = str_of(context);
    return OK;
}

enum err addresses_entry(struct addresses *a, const struct address_key *key,
                         struct entry **ret, struct diag *why)
{
    struct key_parts parts;
    enum err e = parts_of(a, key, &parts, why);

    if (e)
        return e;
    e = table_assign(&a->table, &parts, ret);
    if (e)
        return diag_set(why, e, "no address for %.*s.%.*s: the name is too long",
                        STR_ARG(str_first(key->service, 64)),
                        STR_ARG(str_first(key->ns, 64)));
    if (a->table.changed && !a->save_later.at)
        timer_set(&a->save_later, SAVE_MS);
    return OK;
}

enum err addresses_assign(struct addresses *a, const struct address_key *key,
                          struct in_addr *ret, struct diag *why)
{
    struct entry *entry;
    enum err e = addresses_entry(a, key, &entry, why);

    if (!e)
        ret->s_addr = htonl(entry->address);
    return e;
}

enum err addresses_open(struct addresses *a, const struct address_key *key,
                        const struct service *service, struct in_addr *ret,
                        struct diag *why)
{
    (void)service;
    return addresses_assign(a, key, ret, why);
}

bool addresses_owner(const struct addresses *a, struct in_addr address,
                     struct address_key *ret)
{
    const struct entry *e = table_at(&a->table, ntohl(address.s_addr));

    if (!e)
        return false;
    const char *label = a->parts.clusters
                            ? clusters_label(a->parts.clusters, e->key.context)
                            : e->key.context.at;
    *ret = (struct address_key){ str_of(label), e->key.ns, e->key.service, e->key.pod };
    return label != NULL;
}
