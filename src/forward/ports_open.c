/* forward/ports_open.c - the local ports of a target
 *
 * As kubectl opens them: of "localhost" one of 127.0.0.1 and ::1 is enough, every other address
 * is needed; a port that cannot be opened is reported, and the others stay.
 */
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/address.h"
#include "base/own.h"
#include "forward/carry.h"
#include "forward/forward_state.h"
#include "forward/target.h"
#include "net/tcp.h"

#define LINE_ROOM 1024

/* An address to listen on. */
struct place {
    const char *text;
    bool spare; /* it is half of localhost */
};

struct places {
    struct place at[FORWARD_ADDRESSES_MAX + 1];
    size_t count;
};

struct port_listener {
    struct list_node node; /* of the forward's listeners */
    struct target *target;
    size_t port;
    uint16_t local;
    struct listener *listener;
};

/* --- addresses --- */

static void add_place(struct places *p, const char *text, bool spare)
{
    size_t i = 0;

    while (i < p->count && strcmp(p->at[i].text, text) != 0)
        i++;
    if (i == ARRAY_LEN(p->at) || (i < p->count && spare))
        return;
    p->at[i] = (struct place){ text, spare };
    p->count += i == p->count;
}

static int by_text(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    return strcmp(x->text, y->text);
}

static struct places places_of(const struct forward_spec *spec)
{
    struct places p = { .count = 0 };

    for (size_t i = 0; i < spec->addresses.count; i++) {
        bool both = strcmp(spec->addresses.at[i], "localhost") == 0;
        add_place(&p, both ? "127.0.0.1" : spec->addresses.at[i], both);
        if (both)
            add_place(&p, "::1", true);
    }
    qsort(p.at, p.count, sizeof(*p.at), by_text);
    return p;
}

static socklen_t set_port(struct sockaddr_storage *sa, uint16_t port)
{
    if (sa->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)sa)->sin6_port = htons(port);
        return sizeof(struct sockaddr_in6);
    }
    ((struct sockaddr_in *)sa)->sin_port = htons(port);
    return sizeof(struct sockaddr_in);
}

static uint16_t bound_port(int fd)
{
    struct sockaddr_storage sa = { 0 };
    socklen_t len = sizeof(sa);

    getsockname(fd, (struct sockaddr *)&sa, &len);
    return address_port((const struct sockaddr *)&sa);
}

/* --- clients --- */

static void say(struct forward *f, const char *format, const char *arg, unsigned a,
                unsigned b)
{
    char line[LINE_ROOM];

    snprintf(line, sizeof(line), format, arg, a, b);
    f->parts.report.out(f->parts.report.owner, line);
}

static void on_accept(void *owner, int fd, const struct sockaddr *peer)
{
    const struct port_listener *l = owner;
    struct forward *f = l->target->forward;
    const struct peer identity = peer_identify(f->parts.loop, fd, peer);

    if (!f->parts.allows(f->parts.owner, &identity)) {
        close(fd);
        forward_notice(f,
                       "port %u: another user of this machine was refused; see "
                       "--clients",
                       l->local);
        return;
    }
    if (f->connections >= f->parts.connections_max) {
        close(fd);
        forward_notice(f, "port %u: more than %zu connections", l->local,
                       f->parts.connections_max);
        return;
    }
    say(f, "Handling connection for %s%u", "", l->local, 0);
    carry_open(l->target, l->port, tcp_open_accepted(f->parts.loop, fd));
}

/* --- opening --- */

/* Adds " REASON" to the line, separated as kubectl does. */
static void add_reason(char *line, enum err e, const struct sockaddr_storage *sa,
                       const struct diag *why)
{
    size_t len = strlen(line);

    snprintf(line + len, LINE_ROOM - len,
             "%sunable to create listener: Error listen tcp%d %s", len ? " " : "",
             sa->ss_family == AF_INET6 ? 6 : 4, diag_text(why, e));
}

/* *local is the port to open, and then the one that was opened. */
static bool open_place(struct target *t, size_t port, const struct place *place,
                       uint16_t *local, char *reasons)
{
    struct forward *f = t->forward;
    struct sockaddr_storage sa = { 0 };
    struct diag why = { "" };
    char text[ADDRESS_TEXT];
    int fd = -1;

    address_parse(str_of(place->text), &sa);
    socklen_t len = set_port(&sa, *local);
    enum err e = listen_socket((const struct sockaddr *)&sa, len, &fd, &why);
    if (e) {
        add_reason(reasons, e, &sa, &why);
        return false;
    }
    *local = bound_port(fd);
    struct port_listener *l = xcalloc(1, sizeof(*l));
    *l = (struct port_listener){ .target = t, .port = port, .local = *local };
    list_append(&f->listeners, &l->node);
    l->listener = listener_open(f->parts.loop, fd, on_accept, l);
    set_port(&sa, *local);
    address_text((const struct sockaddr *)&sa, text);
    say(f, "Forwarding from %s -> %u", text, t->pairs[port].remote, 0);
    return true;
}

static bool open_port(struct target *t, size_t port, const struct places *places)
{
    char reasons[LINE_ROOM] = "", line[2 * LINE_ROOM];
    size_t spare = 0, spare_failed = 0, failed = 0;
    uint16_t local = t->pairs[port].local;

    for (size_t i = 0; i < places->count; i++) {
        bool opened = open_place(t, port, &places->at[i], &local, reasons);
        spare += opened && places->at[i].spare;
        spare_failed += !opened && places->at[i].spare;
        failed += !opened && !places->at[i].spare;
    }
    t->pairs[port].local = local;
    if (!failed && (spare || !spare_failed))
        return true;
    snprintf(line, sizeof(line),
             "Unable to listen on port %u: Listeners failed to create with the following "
             "errors: [%s]",
             local, reasons);
    t->forward->parts.report.err(t->forward->parts.report.owner, line);
    return false;
}

static void report_none(struct forward *f, const struct target *t)
{
    char line[LINE_ROOM];
    size_t n = (size_t)snprintf(line, sizeof(line),
                                "unable to listen on any of the requested ports: [");

    for (size_t i = 0; i < t->spec->port_count && n < sizeof(line); i++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, "%s{%u %u}", i ? " " : "",
                              t->pairs[i].local, t->pairs[i].remote);
    if (n < sizeof(line))
        snprintf(line + n, sizeof(line) - n, "]");
    forward_print_error(f, t, line);
}

bool forward_listen(struct forward *f, struct target *t)
{
    const struct places places = places_of(t->spec);
    size_t opened = 0;

    for (size_t i = 0; i < t->spec->port_count; i++)
        opened += open_port(t, i, &places);
    if (!opened)
        report_none(f, t);
    return opened > 0;
}

void forward_stop_listening(struct forward *f)
{
    list_for_each (l, &f->listeners, struct port_listener, node) {
        list_remove(&l->node);
        listener_close(l->listener);
        free(l);
    }
}
