#include "net/name_lookup.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"

struct name_lookups {
    atomic_int refs; /* of the owner, and of each look-up */
    atomic_int running;
    int max;
};

static struct name_lookups *lookups_ref(struct name_lookups *all)
{
    if (all)
        atomic_fetch_add(&all->refs, 1);
    return all;
}

static void lookups_add(struct name_lookups *all, int running)
{
    if (all)
        atomic_fetch_add(&all->running, running);
}

static void lookups_unref(struct name_lookups *all)
{
    if (all && atomic_fetch_sub(&all->refs, 1) == 1)
        free(all);
}

struct name_lookups *name_lookups_create(unsigned max)
{
    struct name_lookups *all = xcalloc(1, sizeof(*all));

    atomic_init(&all->refs, 1);
    atomic_init(&all->running, 0);
    all->max = (int)max;
    return all;
}

void name_lookups_destroy(struct name_lookups *all)
{
    lookups_unref(all);
}

void name_lookup_unref(struct name_lookup *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) > 1)
        return;
    lookups_unref(l->all);
    free(l->host);
    free(l);
}

static void *look_up(void *shared)
{
    struct name_lookup *l = shared;
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    struct addrinfo *list = NULL;

    l->error = getaddrinfo(l->host, l->port, &hints, &list);
    for (struct addrinfo *a = list; a && l->count < NAME_LOOKUP_MAX; a = a->ai_next)
        memcpy(&l->found[l->count++], a->ai_addr, a->ai_addrlen);
    if (list)
        freeaddrinfo(list);
    lookups_add(l->all, -1);
    atomic_store(&l->done, true);
    name_lookup_unref(l);
    return NULL;
}

/* Signals are for the thread of the loop. */
static int create_thread(struct name_lookup *l)
{
    pthread_attr_t detached;
    pthread_t thread;
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &detached, look_up, l);
    pthread_attr_destroy(&detached);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed;
}

struct name_lookup *name_lookup_start(struct name_lookups *all, const char *host,
                                      uint16_t port)
{
    if (all && atomic_load(&all->running) >= all->max)
        return NULL;
    struct name_lookup *l = xcalloc(1, sizeof(*l));
    atomic_init(&l->refs, 2);
    l->all = lookups_ref(all);
    lookups_add(all, 1);
    l->host = xstrdup(host);
    snprintf(l->port, sizeof(l->port), "%u", port);
    if (!create_thread(l))
        return l;
    lookups_add(all, -1);
    name_lookup_unref(l);
    name_lookup_unref(l);
    return NULL;
}
