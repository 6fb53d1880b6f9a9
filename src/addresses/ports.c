/* addresses/ports.c - the listeners of one address */
#include "addresses/ports.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "base/own.h"
#include "config/config.h"
#include "serve/exposed.h"

#define RELEASED_MAX 64 /* ports that are released at the same time */

struct shared_port {
    struct list_node node;
    uint16_t port;
    size_t users;
    struct listen_socket *socket;
};

/* ---- sockets ---- */

static struct shared_port *find_shared(const struct addresses *a, uint16_t port)
{
    list_for_each (s, &a->shared, struct shared_port, node)
        if (s->port == port)
            return s;
    return NULL;
}

static enum err share_port(struct addresses *a, struct open_port *p, struct diag *why)
{
    struct shared_port *s = find_shared(a, p->declared.local);
    struct listen_socket *socket;

    if (!s) {
        enum err e = service_socket_open_port(a->listeners, &a->services,
                                              p->declared.local, &socket, why);
        if (e)
            return e;
        s = xcalloc(1, sizeof(*s));
        s->port = p->declared.local;
        s->socket = socket;
        list_append(&a->shared, &s->node);
        a->sockets++;
    }
    s->users++;
    p->shared = s;
    return OK;
}

static enum err open_own(struct addresses *a, struct open_port *p, uint32_t address,
                         struct diag *why)
{
    const struct in_addr at = { htonl(address) };
    enum err e = service_socket_open(a->listeners, &a->services, at, p->declared.local,
                                     &p->socket, why);

    a->sockets += e == OK;
    return e;
}

static enum err open_either(struct addresses *a, struct open_port *p, uint32_t address,
                            struct diag *why)
{
    enum err e = ERR_IN_USE;

    if (a->config->address_per_port)
        e = share_port(a, p, why);
    return e && e != ERR_NO_FILES ? open_own(a, p, address, why) : e;
}

static enum err open_port(struct addresses *a, const struct open_ports *mine,
                          struct open_port *p, uint32_t address, struct diag *why)
{
    enum err e = open_either(a, p, address, why);

    if (e != ERR_NO_FILES)
        return e;
    a->make_room(a, mine, a->sockets ? a->sockets - 1 : 0);
    return open_either(a, p, address, why);
}

static void close_port(struct addresses *a, struct open_port *p)
{
    if (p->socket) {
        service_socket_accept_waiting(p->socket);
        service_socket_close(TAKE(p->socket));
        a->sockets--;
    }
    if (!p->shared)
        return;
    service_socket_accept_waiting(p->shared->socket);
    struct shared_port *s = TAKE(p->shared);
    if (--s->users)
        return;
    service_socket_close(s->socket);
    a->sockets--;
    list_remove(&s->node);
    free(s);
}

/* ---- the list ---- */

/* What its connections lead to.  HTTP needs a Host that names the service. */
static enum err exposed_of(const struct addresses *a, uint32_t address, const char *name,
                           const struct declared_port *d, struct exposed **ret,
                           struct diag *why)
{
    struct expose x = { 0 };
    char port[8];

    snprintf(port, sizeof(port), "%u", d->target);
    x.name = xstrdup(name);
    x.port = xstrdup(port);
    enum err e = exposed_create(&x, str_of(a->config->cluster_domain), ret, why);
    expose_finish(&x);
    if (e)
        return e;
    snprintf((*ret)->address, sizeof((*ret)->address), "127.%u.%u.%u",
             address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
    return OK;
}

/* Why clients of the port would lead nowhere. */
static enum err check_port(const struct addresses *a, uint32_t address, const char *name,
                           const struct declared_port *d, struct diag *why)
{
    struct exposed *x = NULL;
    enum err e = exposed_of(a, address, name, d, &x, why);

    exposed_unref(x);
    return e;
}

static bool is_declared(const struct declared *d, const struct declared_port *p)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->at[i].local == p->local && d->at[i].target == p->target)
            return true;
    return false;
}

static bool is_listed(const struct open_ports *p, const struct declared_port *d)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].declared.local == d->local)
            return true;
    return false;
}

static void finish_port(struct addresses *a, struct open_port *p)
{
    close_port(a, p);
    exposed_unref(p->exposed);
}

static void remove_undeclared(struct addresses *a, struct open_ports *p,
                              const struct declared *d)
{
    size_t kept = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (is_declared(d, &p->at[i].declared))
            p->at[kept++] = p->at[i];
        else
            finish_port(a, &p->at[i]);
    }
    p->count = kept;
}

static void refuse(struct open_ports *p, enum err e, const struct diag *why)
{
    if (!p->why)
        p->why = xmalloc(sizeof(*p->why));
    p->refusal = e;
    *p->why = *why;
}

static void add_port(struct addresses *a, struct open_ports *p, uint32_t address,
                     const char *name, const struct declared_port *d)
{
    struct problem found = { .port = d->local, .seen_at = a->sched->now };

    found.error = check_port(a, address, name, d, &found.why);
    if (!found.error) {
        p->at[p->count++] = (struct open_port){ .declared = *d };
        return;
    }
    problems_note(&a->problems, &found, (struct in_addr){ 0 });
    refuse(p, found.error, &found.why);
}

static void add_declared(struct addresses *a, struct open_ports *p, uint32_t address,
                         const char *name, const struct declared *d)
{
    p->at = xrealloc(p->at, (d->count ? d->count : 1) * sizeof(*p->at));
    for (size_t i = 0; i < d->count; i++)
        if (!is_listed(p, &d->at[i]))
            add_port(a, p, address, name, &d->at[i]);
}

/* Does it need a socket that is not there yet? */
static bool needs_socket(struct addresses *a, const struct open_port *p)
{
    uint16_t port = p->declared.local;

    return !port_is_open(p) && !port_is_released(a, port) &&
           (!a->config->address_per_port || !find_shared(a, port));
}

/* For all ports or for none: an address of which a part is open is not answered. */
static enum err make_room(struct addresses *a, const struct open_ports *p,
                          struct diag *why)
{
    size_t max = addresses_sockets_max(a), wanted = 0;

    for (size_t i = 0; i < p->count; i++)
        wanted += needs_socket(a, &p->at[i]);
    if (wanted <= max && a->sockets + wanted > max)
        a->make_room(a, p, max - wanted);
    if (!wanted || a->sockets + wanted <= max)
        return OK;
    a->refused++;
    return diag_set(why, ERR_LIMIT,
                    "%zu listeners of addresses are open, and %zu more are needed; "
                    "see max-address-listeners",
                    a->sockets, wanted);
}

/* The problem is noted for one of the ports. */
static bool find_room(struct addresses *a, struct open_ports *p)
{
    struct problem found = { .seen_at = a->sched->now };
    size_t first = 0;

    found.error = make_room(a, p, &found.why);
    if (!found.error)
        return true;
    while (!needs_socket(a, &p->at[first]))
        first++;
    found.port = p->at[first].declared.local;
    problems_note(&a->problems, &found, (struct in_addr){ 0 });
    refuse(p, found.error, &found.why);
    return false;
}

/* A port is released for a server of this user.  If it cannot be bound although no program
 * listens on it, another socket is bound to it, and may begin to listen. */
static enum err find_user(struct addresses *a, uint16_t port, struct in_addr at,
                          struct problem *ret)
{
    bool everywhere, released = port_is_released(a, port);
    enum err e = service_port_user(at, port, &everywhere, &ret->why);

    ret->address = everywhere ? 0 : at.s_addr;
    if (!e && !released)
        return diag_set(&ret->why, ERR_FORBIDDEN,
                        "port %u is in use, by a socket whose user is not visible", port);
    return e == ERR_IN_USE && released ? OK : e;
}

static enum err try_to_open(struct addresses *a, const struct open_ports *all,
                            struct open_port *p, struct in_addr at, struct problem *ret)
{
    enum err e = ERR_IN_USE;

    if (!port_is_released(a, ret->port))
        e = open_port(a, all, p, ntohl(at.s_addr), &ret->why);
    return e == ERR_IN_USE ? find_user(a, ret->port, at, ret) : e;
}

/* Clients may be sent to the address only if a server of this user or of root listens there,
 * or if no program of another user can. */
static bool is_safe(enum err e)
{
    return e == OK || e == ERR_IN_USE || e == ERR_ACCESS;
}

static void try_port(struct addresses *a, struct open_ports *all, struct open_port *p,
                     uint32_t address)
{
    const struct in_addr at = { htonl(address) };
    struct problem found = { .port = p->declared.local, .seen_at = a->sched->now };

    if (port_is_open(p))
        return;
    found.error = try_to_open(a, all, p, at, &found);
    if (found.error)
        problems_note(&a->problems, &found, at);
    else
        problems_end(&a->problems, found.port, at);
    if (!is_safe(found.error))
        refuse(all, found.error == ERR_FORBIDDEN ? ERR_IN_USE : found.error, &found.why);
}

void open_ports_follow(struct addresses *a, struct open_ports *p, uint32_t address,
                       const char *name, const struct declared *d)
{
    remove_undeclared(a, p, d);
    p->refusal = OK;
    free(TAKE(p->why));
    add_declared(a, p, address, name, d);
    bool has_room = find_room(a, p);
    for (size_t i = 0; has_room && i < p->count; i++)
        try_port(a, p, &p->at[i], address);
}

void open_ports_close(struct addresses *a, struct open_ports *p)
{
    for (size_t i = 0; i < p->count; i++)
        finish_port(a, &p->at[i]);
    free(p->at);
    free(p->why);
    *p = (struct open_ports){ 0 };
}

size_t open_ports_close_one(struct addresses *a, struct open_ports *p, uint16_t port)
{
    size_t closed = 0;

    for (size_t i = 0; i < p->count; i++) {
        if (p->at[i].declared.local != port || !port_is_open(&p->at[i]))
            continue;
        close_port(a, &p->at[i]);
        closed++;
    }
    return closed;
}

bool open_ports_match(const struct open_ports *p, const struct declared *d)
{
    for (size_t i = 0; i < p->count; i++)
        if (!is_declared(d, &p->at[i].declared))
            return false;
    return p->count == d->count;
}

bool open_ports_all_open(const struct open_ports *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (!port_is_open(&p->at[i]))
            return false;
    return true;
}

size_t open_ports_own_sockets(const struct open_ports *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++)
        count += p->at[i].socket != NULL;
    return count;
}

size_t open_ports_sockets(const struct open_ports *p)
{
    size_t count = 0;

    for (size_t i = 0; i < p->count; i++)
        count += port_is_open(&p->at[i]);
    return count;
}

void open_ports_accept_waiting(const struct open_ports *p)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->at[i].socket)
            service_socket_accept_waiting(p->at[i].socket);
        if (p->at[i].shared)
            service_socket_accept_waiting(p->at[i].shared->socket);
    }
}

/* All references but ours are held by connections. */
bool open_ports_connected(const struct open_ports *p)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].exposed && exposed_refs(p->at[i].exposed) > 1)
            return true;
    return false;
}

/* Made for the first client: most addresses that are looked up get none. */
struct exposed *open_ports_find(const struct addresses *a, struct open_ports *p,
                                uint32_t address, const char *name, uint16_t port)
{
    for (size_t i = 0; i < p->count; i++) {
        struct open_port *one = &p->at[i];
        if (one->declared.local != port || !port_is_open(one))
            continue;
        if (!one->exposed)
            (void)exposed_of(a, address, name, &one->declared, &one->exposed, NULL);
        return one->exposed;
    }
    return NULL;
}

/* ---- released ports ---- */

/* Those whose time is over are removed. */
bool port_is_released(struct addresses *a, uint16_t port)
{
    for (size_t i = a->released_count; i-- > 0;) {
        struct released *r = &a->released[i];
        if (r->until <= a->sched->now)
            *r = a->released[--a->released_count];
        else if (r->port == port)
            return true;
    }
    return false;
}

static struct released *released_slot(struct addresses *a, uint16_t port)
{
    size_t oldest = 0;

    for (size_t i = 0; i < a->released_count; i++) {
        if (a->released[i].port == port)
            return &a->released[i];
        if (a->released[i].until < a->released[oldest].until)
            oldest = i;
    }
    if (!a->released)
        a->released = xcalloc(RELEASED_MAX, sizeof(*a->released));
    return &a->released[a->released_count < RELEASED_MAX ? a->released_count++ : oldest];
}

void port_release(struct addresses *a, uint16_t port)
{
    *released_slot(a, port) =
        (struct released){ port, a->sched->now + ADDRESS_RELEASED_MS };
}
