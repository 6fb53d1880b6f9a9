/* forward/ports.c - from the ports that a person names to those of the pod */
#include "forward/ports.h"

#include "base/own.h"

static const char *text_in(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const char *name_of(const json_t *object)
{
    return text_in(json_object_get(object, "metadata"), "name");
}

/* 0: it is no port. */
static uint16_t number_in(const json_t *o, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(o, key));
    return n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
}

static const json_t *spec_of(const json_t *object)
{
    return json_object_get(object, "spec");
}

/* --- of a pod --- */

static uint16_t find_named(const json_t *containers, const char *name)
{
    size_t i, j;
    json_t *container, *port;

    json_array_foreach((json_t *)containers, i, container)
        json_array_foreach(json_object_get(container, "ports"), j,
                           port) if (strcmp(text_in(port, "name"), name) ==
                                     0) return number_in(port, "containerPort");
    return 0;
}

static enum err container_port(const json_t *pod, const char *name, uint16_t *ret,
                               struct diag *why)
{
    const json_t *spec = spec_of(pod);
    uint16_t number = find_named(json_object_get(spec, "containers"), name);

    if (!number)
        number = find_named(json_object_get(spec, "initContainers"), name);
    if (!number)
        return diag_set(why, ERR_NO_PORT, "Pod '%s' does not have a named port '%.63s'",
                        name_of(pod), name);
    *ret = number;
    return OK;
}

/* --- of a service --- */

static const json_t *find_service_port(const json_t *service,
                                       const struct forward_port *wanted)
{
    size_t i;
    json_t *port;

    json_array_foreach(json_object_get(spec_of(service), "ports"), i,
                       port) if (wanted->number
                                     ? number_in(port, "port") == wanted->number
                                     : strcmp(text_in(port, "name"), wanted->remote) ==
                                           0) return port;
    return NULL;
}

static enum err refuse_service_port(const json_t *service,
                                    const struct forward_port *wanted, struct diag *why)
{
    if (wanted->number)
        return diag_set(why, ERR_NO_PORT, "Service %s does not have a service port %u",
                        name_of(service), wanted->number);
    return diag_set(why, ERR_NO_PORT, "Service '%s' does not have a named port '%s'",
                    name_of(service), wanted->remote);
}

static enum err target_port(const json_t *service, const json_t *port, const json_t *pod,
                            uint16_t *ret, struct diag *why)
{
    const char *name = json_string_value(json_object_get(port, "targetPort"));
    uint16_t number = number_in(port, "targetPort");
    bool headless = strcmp(text_in(spec_of(service), "clusterIP"), "None") == 0;

    if (!headless && name && *name)
        return container_port(pod, name, ret, why);
    *ret = headless || !number ? number_in(port, "port") : number;
    return OK;
}

/* --- what cannot be carried --- */

/* Is it a number that only UDP has?  The ports are of a service or of a container. */
static void see_protocol(const json_t *ports, const char *key, uint16_t number, bool *udp,
                         bool *tcp)
{
    size_t i;
    json_t *port;

    json_array_foreach((json_t *)ports, i, port)
    {
        if (number_in(port, key) != number)
            continue;
        const char *protocol = text_in(port, "protocol");
        *udp |= strcmp(protocol, "UDP") == 0;
        *tcp |= !*protocol || strcmp(protocol, "TCP") == 0;
    }
}

static enum err check_protocol(const json_t *service, const json_t *pod,
                               const char *remote, uint16_t number, struct diag *why)
{
    bool udp = false, tcp = false;
    size_t i;
    json_t *container;

    if (service)
        see_protocol(json_object_get(spec_of(service), "ports"), "port", number, &udp,
                     &tcp);
    else
        json_array_foreach(json_object_get(spec_of(pod), "containers"), i, container)
            see_protocol(json_object_get(container, "ports"), "containerPort", number,
                         &udp, &tcp);
    if (udp && !tcp)
        return diag_set(why, ERR_UNSUPPORTED, "UDP protocol is not supported for %s",
                        remote);
    return OK;
}

/* --- one port --- */

static enum err translate_service_port(const struct forward_port *p,
                                       const json_t *service, const json_t *pod,
                                       struct forward_pair *ret, struct diag *why)
{
    const json_t *port = find_service_port(service, p);

    if (!port)
        return refuse_service_port(service, p, why);
    uint16_t number = number_in(port, "port");
    enum err e = check_protocol(service, pod, p->remote, number, why);
    if (!e)
        e = target_port(service, port, pod, &ret->remote, why);
    ret->local = p->same ? number : p->local;
    return e;
}

static enum err translate_pod_port(const struct forward_port *p, const json_t *pod,
                                   struct forward_pair *ret, struct diag *why)
{
    enum err e = OK;

    ret->remote = p->number;
    if (!p->number)
        e = container_port(pod, p->remote, &ret->remote, why);
    ret->local = p->same ? ret->remote : p->local;
    return e ? e : check_protocol(NULL, pod, p->remote, ret->remote, why);
}

enum err ports_translate(const struct forward_spec *spec, const json_t *service,
                         const json_t *pod, struct forward_pair *ret, struct diag *why)
{
    AUTO_FREE struct forward_pair *found = xcalloc(spec->port_count, sizeof(*found));

    for (size_t i = 0; i < spec->port_count; i++) {
        const struct forward_port *p = &spec->ports[i];
        enum err e = service ? translate_service_port(p, service, pod, &found[i], why)
                             : translate_pod_port(p, pod, &found[i], why);
        if (e)
            return e;
    }
    memcpy(ret, found, spec->port_count * sizeof(*found));
    return OK;
}
