/* addresses/addresses.c - a loopback address for each service and pod */
#include "addresses/addresses.h"

#include <sys/random.h>

#include "addresses/addresses_state.h"
#include "addresses/opened.h"
#include "addresses/state_file.h"
#include "base/log.h"
#include "base/own.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "net/loop.h"
#include "serve/policy.h"

LOG_MODULE(addresses);

#define SAVE_MS 1000 /* collisions of one moment are written together */
#define SAVE_PAUSE_MAX_MS 60000

/* ---- the state file ---- */

static uint64_t random_seed(void)
{
    uint64_t seed = 0;

    return getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed) ? seed : 0;
}

static uint64_t next_pause(uint64_t last)
{
    uint64_t next = last ? last * 2 : SAVE_MS;

    return next < SAVE_PAUSE_MAX_MS ? next : SAVE_PAUSE_MAX_MS;
}

/* After a failure, again after a longer and longer pause. */
static void save(struct addresses *a)
{
    struct diag why = { "" };

    if (!a->keeps || !a->table.changed)
        return;
    enum err e = state_file_write(a->parts.path, &a->table, &why);
    if (e && !a->save_pause)
        log_warn(NO_ID, "the addresses of services were not saved",
                 LOG_S("reason", diag_text(&why, e)));
    a->state = e ? why : (struct diag){ "" };
    a->table.changed = e != OK;
    a->save_pause = e ? next_pause(a->save_pause) : 0;
    timer_set(&a->save_later, a->save_pause);
}

static void on_save(struct timer *t)
{
    save(container_of(t, struct addresses, save_later));
}

/* What cannot be read may be of a newer version, so it is not written over.  If only what follows
 * its seed is damaged, addresses stay the same at the next start.  A fixed seed would let other
 * users compute addresses. */
static void refuse_file(struct addresses *a, enum err e, const struct diag *why)
{
    uint64_t seed = a->table.seed;

    address_table_finish(&a->table);
    address_table_init(&a->table, seed ? seed : random_seed());
    a->state = *why;
    log_error(NO_ID, "the state file of addresses is not used, and left as it is",
              LOG_S("reason", diag_text(why, e)), LOG_S("file", a->parts.path),
              LOG_S("to_begin_anew", "move it away and start kube-tunnel again"));
}

static void load(struct addresses *a)
{
    struct diag why = { "" };

    a->loaded = true;
    if (!a->parts.path) {
        a->table.seed = random_seed();
        diag_set(&a->state, ERR_NOT_FOUND,
                 "they are others after the next start; set HOME or XDG_STATE_HOME");
        return;
    }
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

static struct exposed *find_exposed(void *owner, struct in_addr at, uint16_t port)
{
    const struct addresses *a = owner;
    struct address_entry *e = address_table_at(&a->table, ntohl(at.s_addr));

    return e ? opened_connect(e, port) : NULL;
}

static void give_up(void *owner, uint16_t port)
{
    const struct addresses *a = owner;
    size_t closed = 0;

    list_for_each (e, &a->table.recent, struct address_entry, recent)
        closed += opened_release(e, port);
    log_info(NO_ID, "a port of services is now listened on at every address",
             LOG_U("port", port), LOG_U("closed", closed));
}

struct addresses *addresses_create(const struct addresses_parts *parts)
{
    struct addresses *a = xcalloc(1, sizeof(*a));

    a->parts = *parts;
    a->config = config_ref(parts->config);
    a->sched = loop_sched(parts->loop);
    a->services = (struct service_sockets){ find_exposed, give_up, a };
    timer_init(&a->save_later, a->sched, on_save);
    address_table_init(&a->table, 0);
    opened_init(a);
    return a;
}

void addresses_destroy(struct addresses *a)
{
    if (!a)
        return;
    opened_close_all(a);
    save(a);
    timer_stop(&a->save_later);
    address_table_finish(&a->table);
    problems_finish(&a->problems);
    free(a->released);
    config_unref(a->config);
    free(a);
}

void addresses_listen(struct addresses *a, struct listeners *listeners)
{
    opened_close_all(a);
    a->listeners = listeners;
}

void addresses_configure(struct addresses *a, const struct config *config)
{
    const struct config *before = a->config;

    a->config = config_ref(config);
    config_unref(before);
    opened_check(a);
}

void addresses_limit(struct addresses *a, size_t listeners)
{
    a->sockets_max = listeners;
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

/* A name of such a part would be read as one of something else. */
static bool has_dot(struct str part)
{
    struct str label;

    return str_cut(part, '.', &label).at != NULL;
}

enum err addresses_entry(struct addresses *a, const struct address_key *key,
                         struct address_entry **ret, struct diag *why)
{
    struct key_parts parts;

    if (!policy_opens(a->config, key->ns))
        return diag_set(why, ERR_CLOSED,
                        "namespace %.*s is closed by deny-namespace or allow-namespace",
                        STR_ARG(str_first(key->ns, 64)));
    if (has_dot(key->ns) || has_dot(key->service) || has_dot(key->pod))
        return diag_set(why, ERR_PROTO, "no address for a name with a dot");
    enum err e = parts_of(a, key, &parts, why);
    if (e)
        return e;
    if (!a->loaded)
        load(a);
    e = address_table_assign(&a->table, &parts, ret);
    if (e)
        return diag_set(why, e, "no address for %.*s.%.*s: the name is too long",
                        STR_ARG(str_first(key->service, 64)),
                        STR_ARG(str_first(key->ns, 64)));
    if (a->table.changed && !a->save_later.at)
        timer_set(&a->save_later, SAVE_MS);
    return OK;
}

struct address_entry *addresses_find(const struct addresses *a,
                                     const struct address_key *key)
{
    struct key_parts parts;

    return parts_of(a, key, &parts, NULL) ? NULL : address_table_find(&a->table, &parts);
}

size_t addresses_sockets_max(const struct addresses *a)
{
    size_t wanted = a->config->max_address_listeners;

    return a->sockets_max && a->sockets_max < wanted ? a->sockets_max : wanted;
}

enum err addresses_assign(struct addresses *a, const struct address_key *key,
                          struct in_addr *ret, struct diag *why)
{
    struct address_entry *entry = NULL;
    enum err e = addresses_entry(a, key, &entry, why);

    if (entry)
        ret->s_addr = htonl(entry->address);
    return e;
}

enum err addresses_open(struct addresses *a, const struct address_key *key,
                        const struct service *service, struct in_addr *ret,
                        struct diag *why)
{
    struct address_entry *entry = NULL;
    enum err e = addresses_entry(a, key, &entry, why);

    if (!entry)
        return e;
    ret->s_addr = htonl(entry->address);
    return opened_open(a, entry, service, why);
}

bool addresses_key(const struct addresses *a, const struct address_entry *e,
                   struct address_key *ret)
{
    const struct key_parts key = address_entry_key(e);
    const char *label = a->parts.clusters ? clusters_label(a->parts.clusters, key.context)
                                          : key.context.at;
    *ret = (struct address_key){ str_of(label), key.ns, key.service, key.pod };
    return label != NULL;
}

bool addresses_owner(const struct addresses *a, struct in_addr address,
                     struct address_key *ret)
{
    const struct address_entry *e = address_table_at(&a->table, ntohl(address.s_addr));

    return e && addresses_key(a, e, ret);
}
