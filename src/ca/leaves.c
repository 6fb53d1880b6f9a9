/* ca/leaves.c - certificates for the hosts that clients connect to by TLS */
#include "ca/leaves.h"

#include <stdio.h>
#include <time.h>

#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/own.h"
#include "base/sched.h"
#include "ca/authority.h"
#include "ca/folder.h"
#include "net/tls.h"

LOG_MODULE(ca);

#define HOST_MAX 253
#define FAILED_MS                                                                        \
    1000 /* a failure to get the authority is repeated from memory so long */
#define TOKEN_MS (1000 / LEAVES_A_SECOND)

struct leaf {
    struct list_node member; /* of the list, the most recently used first */
    struct tls_context *context;
    long long made; /* seconds since 1970: certificates end by that clock */
    char host[HOST_MAX + 1];
};

/* A domain, and its authority or the reason why there is none. */
struct domain {
    struct list_node member;
    struct authority *authority; /* NULL: `failed` at that time */
    enum err failed;
    struct diag failure;
    uint64_t failed_at;
    char name[HOST_MAX + 1];
};

struct leaves {
    const struct sched *sched;
    char *folder;
    struct list_node domains;

    struct map by_host;
    struct list_node list;
    uint64_t filled_at; /* sched ms: when the bucket was, or will be, full */
};

struct leaves *leaves_create(const struct sched *sched, const char *folder)
{
    struct leaves *l = xcalloc(1, sizeof(*l));

    l->sched = sched;
    l->folder = xstrdup_or_null(folder);
    map_init(&l->by_host);
    list_init(&l->list);
    list_init(&l->domains);
    return l;
}

static void drop_leaf(struct leaves *l, struct leaf *leaf)
{
    map_remove(&l->by_host, str_of(leaf->host));
    list_remove(&leaf->member);
    tls_context_unref(leaf->context);
    free(leaf);
}

void leaves_destroy(struct leaves *l)
{
    if (!l)
        return;
    list_for_each (leaf, &l->list, struct leaf, member)
        drop_leaf(l, leaf);
    list_for_each (d, &l->domains, struct domain, member) {
        authority_destroy(d->authority);
        free(d);
    }
    map_finish(&l->by_host);
    free(l->folder);
    free(l);
}

/* ---- the authority ---- */

static struct domain *find_domain(struct leaves *l, const char *name)
{
    list_for_each (d, &l->domains, struct domain, member)
        if (strcmp(d->name, name) == 0)
            return d;
    struct domain *d = xcalloc(1, sizeof(*d));
    snprintf(d->name, sizeof(d->name), "%s", name);
    list_append(&l->domains, &d->member);
    return d;
}

static enum err open_authority(struct leaves *l, struct domain *d)
{
    bool made;

    d->failure = (struct diag){ "" };
    if (!l->folder)
        return diag_set(&d->failure, ERR_NOT_CONFIGURED,
                        "a local CA needs a folder, and neither XDG_DATA_HOME nor HOME "
                        "is set");
    enum err e = ca_folder_open(l->folder, d->name, &d->authority, &made, &d->failure);
    if (!e && made)
        log_warn(NO_ID, "a local CA was made; browsers and programs trust it after",
                 LOG_S("command", "kube-tunnel ca install"), LOG_S("domain", d->name),
                 LOG_S("fingerprint", authority_fingerprint(d->authority)));
    return e;
}

/* Certificates must not outlive it. */
static bool has_ended(const struct authority *a)
{
    return authority_expiry(a) <= time(NULL) + (LEAF_DAYS + 1) * (long long)LEAVES_DAY_S;
}

static enum err need_authority(struct leaves *l, struct domain *d, struct diag *why)
{
    uint64_t now = l->sched->now;

    if (d->authority && !has_ended(d->authority))
        return OK;
    if (!d->failed || now - d->failed_at >= FAILED_MS) {
        authority_destroy(TAKE(d->authority));
        d->failed = open_authority(l, d);
        d->failed_at = now;
    }
    if (d->failed)
        *why = d->failure;
    return d->failed;
}

/* ---- certificates ---- */

/* A bucket of LEAVES_BURST tokens, of which one comes every TOKEN_MS. */
static bool take_token(struct leaves *l)
{
    uint64_t now = l->sched->now;

    if (l->filled_at < now)
        l->filled_at = now;
    if (l->filled_at + TOKEN_MS > now + LEAVES_BURST * TOKEN_MS)
        return false;
    l->filled_at += TOKEN_MS;
    return true;
}

/* In lower case, without a final dot: as it is in certificates. */
static bool plain_host(struct str host, char ret[static HOST_MAX + 1])
{
    if (str_ends(host, STR(".")))
        host.len--;
    if (host.len > HOST_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        ret[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    ret[host.len] = '\0';
    return true;
}

static enum err make_leaf(struct leaves *l, const struct authority *a, const char *host,
                          struct leaf **ret, struct diag *why)
{
    if (!take_token(l))
        return diag_set(why, ERR_LIMIT,
                        "too many certificates were made lately: %d at once, and %d a "
                        "second, are allowed",
                        LEAVES_BURST, LEAVES_A_SECOND);
    struct tls_context *context = authority_issue(a, str_of(host));
    if (!context)
        return diag_set(why, ERR_TLS, "OpenSSL cannot make a certificate for %s", host);
    if (l->by_host.count >= LEAVES_MAX)
        drop_leaf(l, container_of(l->list.prev, struct leaf, member));
    struct leaf *leaf = xcalloc(1, sizeof(*leaf));
    leaf->context = context;
    leaf->made = time(NULL);
    memcpy(leaf->host, host, strlen(host) + 1);
    map_set(&l->by_host, str_of(leaf->host), leaf);
    list_prepend(&l->list, &leaf->member);
    *ret = leaf;
    return OK;
}

/* NULL: there is none, or it is too old (or the clock was set back). */
static struct leaf *find_leaf(struct leaves *l, const char *host)
{
    struct leaf *leaf = map_get(&l->by_host, str_of(host));
    long long age = leaf ? time(NULL) - leaf->made : 0;

    if (leaf && age >= 0 && age < LEAVES_DAY_S) {
        list_remove(&leaf->member);
        list_prepend(&l->list, &leaf->member);
        return leaf;
    }
    if (leaf)
        drop_leaf(l, leaf);
    return NULL;
}

enum err leaves_get(struct leaves *l, const char *domain, struct str host,
                    struct tls_context **ret, struct diag *why)
{
    char plain[HOST_MAX + 1];
    struct domain *d = find_domain(l, domain);
    enum err e = need_authority(l, d, why);

    if (e)
        return e;
    if (!plain_host(host, plain) || !authority_covers(d->authority, str_of(plain)))
        return diag_set(why, ERR_UNSUPPORTED,
                        "the local CA signs names of three labels and more below %s, "
                        "localhost, svc and k8s only",
                        domain);
    struct leaf *leaf = find_leaf(l, plain);
    if (!leaf)
        e = make_leaf(l, d->authority, plain, &leaf, why);
    if (!e)
        *ret = leaf->context;
    return e;
}
