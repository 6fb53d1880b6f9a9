#include "catalog/container_ports.h"

#include "base/own.h"

/* 50 slices of a service with 20,000 ports are 1 million. */
#define CELLS_MAX ((size_t)4 << 20)

struct numbers {
    unsigned refs;
    uint16_t at[];
};

static struct numbers *numbers_of(const uint16_t *at)
{
    return (struct numbers *)((char *)(uintptr_t)at - offsetof(struct numbers, at));
}

const uint16_t *container_ports_ref(const uint16_t *numbers)
{
    numbers_of(numbers)->refs++;
    return numbers;
}

void container_ports_unref(const uint16_t *numbers)
{
    if (!numbers)
        return;
    struct numbers *n = numbers_of(numbers);
    if (--n->refs == 0)
        free(n);
}

void container_ports_init(struct container_ports *c, const struct service_port *ports,
                          size_t count)
{
    *c = (struct container_ports){
        .ports = ports,
        .count = count,
        .cells_left = CELLS_MAX,
        .scratch = xcalloc(count + 1, sizeof(uint16_t)),
    };
    map_init(&c->known);
}

void container_ports_finish(struct container_ports *c)
{
    size_t at = 0;

    for (struct map_entry *e; (e = map_next(&c->known, &at));)
        container_ports_unref(e->value);
    map_finish(&c->known);
    free(c->scratch);
}

static bool take_cells(struct container_ports *c)
{
    if (c->cells_left < c->count)
        return false;
    c->cells_left -= c->count;
    return true;
}

/* A reference to the array that equals scratch: equal arrays are one. */
static const uint16_t *intern_scratch(struct container_ports *c)
{
    size_t size = c->count * sizeof(uint16_t);
    struct str content = { (const char *)c->scratch, size };
    const uint16_t *known = map_get(&c->known, content);

    if (!known) {
        struct numbers *n = xmalloc(sizeof(*n) + size + sizeof(uint16_t));
        n->refs = 1;
        memcpy(n->at, c->scratch, size);
        known = n->at;
        map_set(&c->known, content, n->at);
    }
    return container_ports_ref(known);
}

/* Port names of an object.  TCP and other ports have names of their own, and the first of
 * two equal ones counts. */
struct names {
    struct map tcp, other;
};

static struct map *names_for(struct names *n, bool tcp)
{
    return tcp ? &n->tcp : &n->other;
}

static void names_init(struct names *n)
{
    map_init(&n->tcp);
    map_init(&n->other);
}

static void names_finish(struct names *n)
{
    map_finish(&n->tcp);
    map_finish(&n->other);
}

static void names_add(struct names *n, const char *name, bool tcp, const void *port)
{
    struct map *map = names_for(n, tcp);

    if (!map_get(map, str_of(name)))
        map_set(map, str_of(name), (void *)(uintptr_t)port);
}

static const void *names_find(struct names *n, const char *name, bool tcp)
{
    return map_get(names_for(n, tcp), str_of(name));
}

static uint16_t number_in_slice(struct names *names, const struct service_port *p)
{
    const struct slice_port *q = names_find(names, p->name, p->tcp);

    if (!q)
        return 0;
    return q->number ? q->number : p->target;
}

const uint16_t *container_ports_of_slice(struct container_ports *c,
                                         const struct slice *slice)
{
    struct names names;

    if (!take_cells(c))
        return NULL;
    names_init(&names);
    for (size_t i = 0; i < slice->port_count; i++)
        names_add(&names, slice->ports[i].name, slice->ports[i].tcp, &slice->ports[i]);
    for (size_t i = 0; i < c->count; i++)
        c->scratch[i] = number_in_slice(&names, &c->ports[i]);
    names_finish(&names);
    return intern_scratch(c);
}

static uint16_t number_in_pod(struct names *names, const struct service_port *p)
{
    if (!p->target_name)
        return p->target;
    const struct container_port *q = names_find(names, p->target_name, p->tcp);
    return q ? q->number : 0;
}

const uint16_t *container_ports_of_pod(struct container_ports *c, const struct pod *pod)
{
    struct names names;

    if (!take_cells(c))
        return NULL;
    names_init(&names);
    for (size_t i = 0; i < pod->port_count; i++)
        names_add(&names, pod->ports[i].name, pod->ports[i].tcp, &pod->ports[i]);
    for (size_t i = 0; i < c->count; i++)
        c->scratch[i] = number_in_pod(&names, &c->ports[i]);
    names_finish(&names);
    return intern_scratch(c);
}

const uint16_t *container_ports_merge(struct container_ports *c, const uint16_t *first,
                                      const uint16_t *second)
{
    if (first == second)
        return container_ports_ref(first);
    if (c->last_merge.both && c->last_merge.first == first &&
        c->last_merge.second == second)
        return container_ports_ref(c->last_merge.both);
    if (!take_cells(c))
        return NULL;
    for (size_t i = 0; i < c->count; i++)
        c->scratch[i] = first[i] ? first[i] : second[i];
    const uint16_t *both = intern_scratch(c);
    c->last_merge.first = first;
    c->last_merge.second = second;
    c->last_merge.both = both; /* `known` keeps all three */
    return both;
}
