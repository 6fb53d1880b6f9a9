#include "catalog/address_owner.h"

#include <jansson.h>
#include <stdio.h>

#include "base/own.h"
#include "catalog/note.h"
#include "catalog/objects.h"
#include "catalog/record.h"

#define PATH_ROOM 256
#define KNOWN_MAX 1024               /* cached results; a full cache is cleared */
#define NO_SECOND_MS (5 * 60 * 1000) /* until a cluster may have become dual-stack */

/* One cached result. */
struct known_owner {
    uint64_t found_at; /* sched ms */
    bool none;         /* the cluster does not have the address */
    bool is_pod;
    char ns[64], name[256];
};

static unsigned family_of(const char *address)
{
    return strchr(address, ':') != NULL;
}

static bool is_listed(const json_t *addresses, const char *member, const char *address)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)addresses, i, o)
    {
        const char *text = json_string_value(member ? json_object_get(o, member) : o);
        if (text && strcmp(text, address) == 0)
            return true;
    }
    return false;
}

static void take_owner(struct address_owner *a, const json_t *object, bool is_pod)
{
    const json_t *metadata = json_object_get(object, "metadata");
    const char *ns = json_string_value(json_object_get(metadata, "namespace"));
    const char *name = json_string_value(json_object_get(metadata, "name"));

    if (!ns || !name || !is_plain_name(str_of(ns)) || !is_plain_name(str_of(name)) ||
        strlen(ns) >= sizeof(a->ns) || strlen(name) >= sizeof(a->name))
        return;
    memcpy(a->ns, ns, strlen(ns) + 1);
    memcpy(a->name, name, strlen(name) + 1);
    a->is_pod = is_pod;
    a->result = OK;
}

/* A second address in `member` of the family that is looked for. */
static void note_second(struct address_owner *a, const json_t *addresses,
                        const char *member)
{
    const json_t *second = json_array_get(addresses, 1);
    const char *text =
        json_string_value(member ? json_object_get(second, member) : second);

    a->second_seen |= text && family_of(text) == family_of(a->address);
}

static void on_owner_service(void *owner, json_t *object)
{
    struct address_owner *a = owner;
    const json_t *spec = json_object_get(object, "spec");
    const char *ip = json_string_value(json_object_get(spec, "clusterIP"));

    note_second(a, json_object_get(spec, "clusterIPs"), NULL);
    if ((ip && strcmp(ip, a->address) == 0) ||
        is_listed(json_object_get(spec, "clusterIPs"), NULL, a->address))
        take_owner(a, object, false);
}

/* Skips pods that have ended: they keep their address, which another pod may have by now. */
static void on_owner_pod(void *owner, json_t *object)
{
    struct address_owner *a = owner;
    const json_t *status = json_object_get(object, "status");
    struct pod *pod;

    note_second(a, json_object_get(status, "podIPs"), "ip");
    if (pod_parse(object, &pod, NULL) != OK)
        return;
    if (!pod_is_over(pod) && !pod->host_network && pod_has_address(pod, a->address))
        take_owner(a, object, true);
    pod_destroy(pod);
}

static void note_owner(const struct address_owner *a)
{
    struct catalog *c = a->catalog;
    struct known_owner *k = map_get(&c->owners, str_of(a->address));

    if (!k && c->owners.count >= KNOWN_MAX)
        address_owners_forget(c);
    if (!k) {
        k = xcalloc(1, sizeof(*k));
        map_set(&c->owners, str_of(a->address), k);
    }
    k->found_at = c->sched->now;
    k->none = a->result != OK;
    k->is_pod = a->is_pod;
    memcpy(k->ns, a->ns, sizeof(k->ns));
    memcpy(k->name, a->name, sizeof(k->name));
}

static enum err report_none(struct address_owner *a)
{
    a->error = (struct api_error){ .code = ERR_NOT_FOUND };
    return diag_set(&a->error.why, ERR_NOT_FOUND,
                    "no service or pod of the cluster has the address %s", a->address);
}

static bool is_known(struct address_owner *a)
{
    struct catalog *c = a->catalog;
    const struct known_owner *k = map_get(&c->owners, str_of(a->address));

    if (!k || c->sched->now - k->found_at > c->settings.keep_ms)
        return false;
    memcpy(a->ns, k->ns, sizeof(a->ns));
    memcpy(a->name, k->name, sizeof(a->name));
    a->is_pod = k->is_pod;
    a->result = k->none ? report_none(a) : OK;
    return true;
}

void address_owners_forget(struct catalog *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->owners, &at));)
        free(e->value);
    map_finish(&c->owners);
}

/* --- where to search --- */

/* The namespaces that may be read: those of the setting, or else the home namespace and those
 * that services were looked up in.  NULL: no more. */
static const char *namespace_at(const struct catalog *c, size_t i)
{
    const struct catalog_settings *settings = &c->settings;

    if (settings->namespace_count)
        return i < settings->namespace_count ? settings->namespaces[i] : NULL;
    return i == 0 ? c->home_ns : scopes_other_ns(c, i - 1);
}

static const struct {
    const char *plural, *field;
    void (*on_object)(void *owner, json_t *object);
} kinds[OWNER_KINDS] = {
    { "services", "spec.clusterIP", on_owner_service },
    { "pods", "status.podIP", on_owner_pod },
};

static void list_owners(struct owner_search *s, const char *ns, bool all)
{
    struct address_owner *a = s->owner;
    size_t kind = (size_t)(s - a->searches);
    char path[PATH_ROOM];
    int len = snprintf(path, sizeof(path), "/api/v1/%s%s%s%s", ns ? "namespaces/" : "",
                       ns ? ns : "", ns ? "/" : "", kinds[kind].plural);

    if (!all)
        snprintf(path + len, sizeof(path) - (size_t)len, "?fieldSelector=%s%%3D%s",
                 kinds[kind].field, a->address);
    s->call = (struct api_call){
        .result = ERR_AGAIN,
        .on_object = kinds[kind].on_object,
        .owner = a,
        .wake = &a->answered,
    };
    api_list(a->catalog->api, &s->call, path, NULL, a->catalog->settings.call_ms);
}

static void search_next_namespace(struct owner_search *s)
{
    const char *ns = namespace_at(s->owner->catalog, s->next_ns++);

    s->step = ns ? OWNER_BY_NAMESPACE : OWNER_OVER;
    if (ns)
        list_owners(s, ns, true);
}

static void search_begin(struct owner_search *s)
{
    if (s->owner->catalog->settings.namespace_count) {
        search_next_namespace(s);
        return;
    }
    s->step = OWNER_BY_SELECTOR;
    list_owners(s, NULL, false);
}

/* Only a cluster that has second addresses of this family is listed for them. */
static bool may_be_second(const struct address_owner *a)
{
    const struct catalog *c = a->catalog;

    return c->sched->now >= c->no_second_until[family_of(a->address)];
}

/* The API server's selectors match first addresses only. */
static void search_second(struct owner_search *s)
{
    s->step = may_be_second(s->owner) ? OWNER_ALL : OWNER_OVER;
    if (s->step == OWNER_ALL)
        list_owners(s, NULL, true);
}

/* The last list is complete, or has failed. */
static void search_step(struct owner_search *s)
{
    enum err e = s->call.result;
    const struct api_error error = s->call.error;

    api_call_finish(&s->call);
    s->refused |= e == ERR_FORBIDDEN;
    if (e && e != ERR_FORBIDDEN) {
        s->error = error;
        s->step = OWNER_OVER;
    } else if (s->step == OWNER_BY_SELECTOR && !e) {
        search_second(s);
    } else if (s->step == OWNER_ALL) {
        s->step = OWNER_OVER;
    } else {
        search_next_namespace(s);
    }
}

static void searches_finish(struct address_owner *a)
{
    for (size_t i = 0; i < OWNER_KINDS; i++)
        api_call_finish(&a->searches[i].call);
}

/* --- the outcome --- */

static enum err report_refused(struct address_owner *a)
{
    a->error = (struct api_error){ .code = ERR_FORBIDDEN };
    return diag_set(
        &a->error.why, ERR_FORBIDDEN,
        "no service or pod in the namespaces that may be read has the address "
        "%s; the others need the verb \"list\" on \"services\" and \"pods\" in "
        "the whole cluster",
        a->address);
}

static void conclude_search(struct address_owner *a)
{
    const struct owner_search *services = &a->searches[0], *pods = &a->searches[1];
    const struct owner_search *failed = services->error.code ? services : pods;

    if (failed->error.code) {
        a->error = failed->error;
        a->result = a->error.code;
        return;
    }
    if (services->refused || pods->refused) {
        a->result = report_refused(a);
        return;
    }
    a->result = report_none(a);
    if (!a->second_seen && !a->catalog->settings.namespace_count)
        a->catalog->no_second_until[family_of(a->address)] =
            a->catalog->sched->now + NO_SECOND_MS;
}

static void on_owner_answer(struct task *task)
{
    struct address_owner *a = container_of(task, struct address_owner, answered);
    bool over = true;

    for (size_t i = 0; i < OWNER_KINDS && a->result == ERR_AGAIN; i++) {
        struct owner_search *s = &a->searches[i];
        if (s->step != OWNER_OVER && s->call.result != ERR_AGAIN)
            search_step(s);
        over &= s->step == OWNER_OVER;
    }
    if (a->result == ERR_AGAIN && !over)
        return;
    if (a->result == ERR_AGAIN)
        conclude_search(a);
    if (a->result == OK || a->result == ERR_NOT_FOUND)
        note_owner(a);
    searches_finish(a);
    task_wake(TAKE(a->wake));
}

void address_owner_find(struct address_owner *a, struct catalog *c, const char *address,
                        struct task *wake)
{
    address_owner_finish(a);
    a->catalog = c;
    snprintf(a->address, sizeof(a->address), "%s", address);
    if (is_known(a))
        return;
    a->result = ERR_AGAIN;
    a->wake = wake;
    a->second_seen = false;
    task_init(&a->answered, c->sched, RANK_READ, on_owner_answer);
    for (size_t i = 0; i < OWNER_KINDS; i++) {
        a->searches[i] = (struct owner_search){ .owner = a };
        search_begin(&a->searches[i]);
    }
}

void address_owner_finish(struct address_owner *a)
{
    if (!a->wake)
        return;
    searches_finish(a);
    task_cancel(&a->answered);
    a->wake = NULL;
}
