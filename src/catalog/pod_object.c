/* catalog/pod_object.c - what is read of a pod */
#include "base/own.h"
#include "catalog/objects.h"
#include "catalog/reader.h"

static char *dup_at(struct reader *r, const json_t *o, const char *key)
{
    return xstrdup_or_null(text_at(r, o, key));
}

static char *dup_or_empty(struct reader *r, const json_t *o, const char *key)
{
    return xstrdup(text_or_empty(r, o, key));
}

static void add_container_port(struct reader *r, const json_t *o, struct pod *p)
{
    if (p->port_count == PORTS_MAX)
        return;
    if ((p->port_count & (p->port_count - 1)) == 0)
        p->ports = xrealloc(p->ports,
                            (p->port_count ? p->port_count * 2 : 1) * sizeof(*p->ports));
    p->ports[p->port_count++] = (struct container_port){
        .name = dup_or_empty(r, o, "name"),
        .number = port_at(r, o, "containerPort"),
        .tcp = is_tcp(r, o),
    };
}

static void read_containers(struct reader *r, const json_t *containers, struct pod *p)
{
    size_t i, j;
    json_t *container, *port;

    json_array_foreach((json_t *)containers, i, container)
        json_array_foreach((json_t *)array_at(r, container, "ports"), j, port)
            add_container_port(r, port, p);
}

static void add_address(struct pod *p, const char *ip)
{
    size_t i = 0;

    if (!ip || strlen(ip) > TEXT_MAX)
        return;
    while (i < POD_IPS_MAX && p->ips[i] && strcmp(p->ips[i], ip) != 0)
        i++;
    if (i < POD_IPS_MAX && !p->ips[i])
        p->ips[i] = xstrdup(ip);
}

static void pod_read_addresses(struct reader *r, const json_t *status, struct pod *p)
{
    size_t i;
    json_t *o;

    add_address(p, text_at(r, status, "podIP"));
    json_array_foreach((json_t *)array_at(r, status, "podIPs"), i, o)
        add_address(p, text_at(r, o, "ip"));
}

static const json_t *condition(struct reader *r, const json_t *status, const char *type)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)array_at(r, status, "conditions"), i,
                       o) if (text_is(r, o, "type", type)) return o;
    return NULL;
}

/* "ImagePullBackOff", "CrashLoopBackOff", "Error", ...: of the first container that has
 * not come up. */
static const char *container_reason(struct reader *r, const json_t *statuses)
{
    size_t i;
    json_t *o;

    json_array_foreach((json_t *)statuses, i, o)
    {
        const json_t *state = object_at(r, o, "state");
        const json_t *waiting = object_at(r, state, "waiting");
        const json_t *ended = object_at(r, state, "terminated");
        const char *reason = text_at(r, waiting ? waiting : ended, "reason");
        if (reason && strcmp(reason, "Completed") != 0)
            return reason;
    }
    return NULL;
}

static const char *reason_of(struct reader *r, const json_t *status)
{
    const char *reason = text_at(r, status, "reason");

    if (!reason)
        reason = container_reason(r, array_at(r, status, "initContainerStatuses"));
    if (!reason || strcmp(reason, "PodInitializing") == 0) {
        const char *later = container_reason(r, array_at(r, status, "containerStatuses"));
        reason = later ? later : reason;
    }
    return reason ? reason : text_at(r, condition(r, status, "PodScheduled"), "reason");
}

static void read_status(struct reader *r, const json_t *status, struct pod *p)
{
    p->phase = dup_or_empty(r, status, "phase");
    p->ready = text_is(r, condition(r, status, "Ready"), "status", "True");
    p->reason = xstrdup_or_null(reason_of(r, status));
    pod_read_addresses(r, status, p);
}

static void pod_destroyp(struct pod **p)
{
    pod_destroy(*p);
}

enum err pod_parse(const json_t *object, struct pod **ret, struct diag *why)
{
    struct reader r = { NULL };
    AUTO(pod_destroyp) struct pod *p = xcalloc(1, sizeof(*p));
    const json_t *metadata = object_at(&r, object, "metadata");
    const json_t *spec = object_at(&r, object, "spec");

    p->ns = dup_or_empty(&r, metadata, "namespace");
    p->name = dup_or_empty(&r, metadata, "name");
    p->uid = dup_or_empty(&r, metadata, "uid");
    p->key = xasprintf("%s/%s/%s", p->ns, p->name, p->uid);
    p->terminating = field(metadata, "deletionTimestamp") != NULL;
    p->node = dup_at(&r, spec, "nodeName");
    p->hostname = dup_at(&r, spec, "hostname");
    p->subdomain = dup_at(&r, spec, "subdomain");
    p->host_network = flag_at(&r, spec, "hostNetwork", false);
    read_containers(&r, array_at(&r, spec, "containers"), p);
    read_containers(&r, array_at(&r, spec, "initContainers"), p);
    read_status(&r, object_at(&r, object, "status"), p);

    enum err e = verdict(&r, "pods", p->name, why);
    if (!e)
        *ret = TAKE(p);
    return e;
}

void pod_destroy(struct pod *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->port_count; i++)
        free(p->ports[i].name);
    for (size_t i = 0; i < POD_IPS_MAX; i++)
        free(p->ips[i]);
    free(p->ports);
    free(p->ns);
    free(p->name);
    free(p->uid);
    free(p->key);
    free(p->node);
    free(p->hostname);
    free(p->subdomain);
    free(p->phase);
    free(p->reason);
    free(p);
}

bool pod_has_address(const struct pod *p, const char *address)
{
    for (size_t i = 0; i < POD_IPS_MAX && p->ips[i]; i++)
        if (strcmp(p->ips[i], address) == 0)
            return true;
    return false;
}

bool is_pod_address(const char *pod)
{
    size_t digits = strspn(pod, "0123456789.");
    return strchr(pod, ':') || (pod[digits] == '\0' && strchr(pod, '.'));
}
