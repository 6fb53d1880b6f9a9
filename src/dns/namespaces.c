#include "dns/namespaces.h"

#include <stdio.h>

#include "base/map.h"
#include "base/own.h"
#include "cluster/cluster.h"
#include "kube/api.h"

#define CALL_MS 5000
#define KEY_ROOM 96

struct known {
    struct namespaces *all;
    struct list_node node;   /* the oldest first */
    char key[KEY_ROOM];      /* the number of the cluster, and the namespace */
    struct cluster *cluster; /* a reference while the call runs */
    struct api_call call;
    struct task wake;
    enum err result; /* ERR_AGAIN: the call runs */
    uint64_t answered_at;
    struct list_node wants;
};

struct namespaces {
    struct sched *sched;
    struct map by_key;
    struct list_node list;
    size_t count, calls;
};

struct namespaces *namespaces_create(struct sched *sched)
{
    struct namespaces *all = xcalloc(1, sizeof(*all));

    all->sched = sched;
    map_init(&all->by_key);
    list_init(&all->list);
    return all;
}

static void end_call(struct known *k)
{
    if (!k->cluster)
        return;
    api_call_finish(&k->call);
    cluster_unref(TAKE(k->cluster));
    k->all->calls--;
}

static void forget(struct known *k)
{
    end_call(k);
    task_cancel(&k->wake);
    map_remove(&k->all->by_key, str_of(k->key));
    list_remove(&k->node);
    k->all->count--;
    free(k);
}

void namespaces_destroy(struct namespaces *all)
{
    if (!all)
        return;
    list_for_each (k, &all->list, struct known, node)
        forget(k);
    map_finish(&all->by_key);
    free(all);
}

static void ignore_object(void *owner, json_t *object)
{
    (void)owner;
    (void)object;
}

static void on_call(struct task *t)
{
    struct known *k = container_of(t, struct known, wake);

    if (k->call.result == ERR_AGAIN || !k->cluster)
        return;
    k->result = k->call.result == ERR_FORBIDDEN ? OK : k->call.result;
    k->answered_at = k->all->sched->now;
    end_call(k);
    list_for_each (w, &k->wants, struct namespace_want, node) {
        list_remove(&w->node);
        w->result = k->result;
        task_wake(w->wake);
    }
}

static bool is_kept(const struct known *k)
{
    bool final = k->result == OK || k->result == ERR_NOT_FOUND;
    return k->result == ERR_AGAIN ||
           (final && k->all->sched->now - k->answered_at < NAMESPACE_KEEP_MS);
}

/* Removes the oldest answer from a full table.  False: calls that run have all entries. */
static bool make_room(struct namespaces *all)
{
    if (all->count < NAMESPACE_MAX)
        return true;
    list_for_each (k, &all->list, struct known, node) {
        if (k->result != ERR_AGAIN) {
            forget(k);
            return true;
        }
    }
    return false;
}

static void start_call(struct known *k, struct cluster *cluster, struct str ns)
{
    AUTO_FREE char *path = xasprintf("/api/v1/namespaces/%.*s", STR_ARG(ns));

    k->cluster = cluster_ref(cluster);
    k->all->calls++;
    k->result = ERR_AGAIN;
    k->call = (struct api_call){ .on_object = ignore_object, .wake = &k->wake };
    api_get(cluster->api, &k->call, path, CALL_MS);
    if (k->call.result != ERR_AGAIN)
        task_wake(&k->wake);
}

static struct known *add_known(struct namespaces *all, struct str key)
{
    struct known *k = xcalloc(1, sizeof(*k));

    k->all = all;
    memcpy(k->key, key.at, key.len);
    list_init(&k->wants);
    list_append(&all->list, &k->node);
    map_set(&all->by_key, key, k);
    task_init(&k->wake, all->sched, RANK_WORK, on_call);
    all->count++;
    return k;
}

void namespaces_ask(struct namespaces *all, struct cluster *cluster, struct str ns,
                    struct namespace_want *want, struct task *wake)
{
    char key[KEY_ROOM];
    int len = snprintf(key, sizeof(key), "%u/%.*s", cluster->number, STR_ARG(ns));
    struct known *k = map_get(&all->by_key, (struct str){ key, (size_t)len });

    namespaces_leave(want);
    want->wake = wake;
    if (k && is_kept(k)) {
        want->result = k->result;
    } else if (all->calls >= NAMESPACE_CALLS || (!k && !make_room(all))) {
        want->result = ERR_LIMIT;
    } else {
        if (!k)
            k = add_known(all, (struct str){ key, (size_t)len });
        start_call(k, cluster, ns);
        want->result = ERR_AGAIN;
    }
    list_init(&want->node);
    if (want->result == ERR_AGAIN)
        list_append(&k->wants, &want->node);
}

void namespaces_leave(struct namespace_want *want)
{
    if (want->node.next)
        list_remove(&want->node);
}
