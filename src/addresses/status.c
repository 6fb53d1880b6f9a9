/* addresses/status.c - what is open, for status pages, and releasing a port */
#include <stdio.h>

#include "addresses/addresses.h"
#include "addresses/opened.h"
#include "base/log.h"
#include "base/own.h"
#include "config/config.h"

LOG_MODULE(addresses);

static void each_opened(const struct address_entry *e,
                        void (*each)(void *owner, const struct address_status *),
                        void *owner)
{
    struct address_port ports[DECLARED_MAX];
    struct opened_status s;
    size_t count = 0;

    if (!opened_status(e, &s))
        return;
    for (size_t i = 0; i < s.ports->count && count < DECLARED_MAX; i++)
        ports[count++] = (struct address_port){ s.ports->at[i].declared.local,
                                                port_is_open(&s.ports->at[i]) };
    const struct address_status status = {
        .name = s.name,
        .address.s_addr = htonl(s.address),
        .ports = ports,
        .port_count = count,
        .idle_ms = s.idle_ms,
        .pinned = s.pinned,
    };
    each(owner, &status);
}

void addresses_each(const struct addresses *a,
                    void (*each)(void *owner, const struct address_status *), void *owner)
{
    list_for_each (e, &a->table.recent, struct address_entry, recent)
        each_opened(e, each, owner);
}

/* The lowest port that needs a privilege: the command allows all above it, too. */
static uint16_t lowest_refused(const struct problems *p)
{
    uint16_t lowest = UINT16_MAX;

    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].error == ERR_ACCESS && p->at[i].port < lowest)
            lowest = p->at[i].port;
    return lowest;
}

static const char *fix_of(const struct problem *p, const char *sysctl)
{
    return p->error == ERR_ACCESS ? sysctl : NULL;
}

void addresses_each_problem(const struct addresses *a,
                            void (*each)(void *owner, const struct address_problem *),
                            void *owner)
{
    char sysctl[80];

    snprintf(sysctl, sizeof(sysctl), "sudo sysctl net.ipv4.ip_unprivileged_port_start=%u",
             lowest_refused(&a->problems));
    for (size_t i = 0; i < a->problems.count; i++) {
        const struct problem *p = &a->problems.at[i];
        const struct address_problem shown = { p->port, p->error,
                                               diag_text(&p->why, p->error),
                                               fix_of(p, sysctl) };
        each(owner, &shown);
    }
}

struct addresses_summary addresses_summary(const struct addresses *a)
{
    return (struct addresses_summary){
        .known = a->table.count,
        .listeners = a->sockets,
        .refused = a->refused,
        .idle_ms = a->config->address_idle_ms,
        .state = a->state.text[0] ? a->state.text : NULL,
    };
}

size_t addresses_release(struct addresses *a, uint16_t port)
{
    size_t closed = 0;

    port_release(a, port);
    list_for_each (e, &a->table.recent, struct address_entry, recent)
        closed += opened_release(e, port);
    log_info(NO_ID, "a port was released", LOG_U("port", port),
             LOG_U("listeners", closed));
    return closed;
}
