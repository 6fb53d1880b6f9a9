#include "tunnel/ports.h"

#include <stddef.h>

static const struct port_known *find_known(const struct ports *p, uint16_t port)
{
    for (size_t i = 0; i < PORTS_MAX; i++)
        if (p->known[i].port == port)
            return &p->known[i];
    return NULL;
}

static struct port_known *find_known_or_add(struct ports *p, uint16_t port)
{
    for (size_t i = 0; i < PORTS_MAX; i++)
        if (p->known[i].port == port)
            return &p->known[i];
    struct port_known *k = &p->known[p->next++ % PORTS_MAX];
    *k = (struct port_known){ .port = port };
    return k;
}

bool ports_know(const struct ports *p, uint16_t port)
{
    return find_known(p, port) != NULL;
}

void ports_on_connect(struct ports *p, uint16_t port)
{
    find_known_or_add(p, port);
}

void ports_on_answer(struct ports *p, uint16_t port)
{
    find_known_or_add(p, port)->proven = true;
}

void ports_on_refusal(struct ports *p, uint16_t port)
{
    for (size_t i = 0; i < PORTS_MAX; i++)
        if (p->known[i].port == port)
            p->known[i] = (struct port_known){ 0 };
}
