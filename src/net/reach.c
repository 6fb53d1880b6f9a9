/* net/reach.c - which of a server's addresses answer
 *
 * Nothing here waits: the race looks at its sockets, and at the thread that resolves the
 * name (net/name_lookup.h), every RACE_TICK_MS for at most RACE_MS.  Each slow connection has
 * at most one thread.
 */
#include "net/reach.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/own.h"
#include "base/str.h"
#include "net/name_lookup.h"

#define RACE_TICK_MS 25
#define RACE_MS 10000

struct race {
    struct reach *owner;
    struct name_lookup
        *lookup; /* NULL: the name is resolved, and its addresses are tried */
    uint64_t until;
    int fds[NAME_LOOKUP_MAX];
    size_t count;
};

static bool same_ip(const struct sockaddr_storage *a, const struct sockaddr *b)
{
    struct str ip = address_bytes((const struct sockaddr *)a);
    return ip.len && str_eq(ip, address_bytes(b));
}

static bool is_ip(const struct sockaddr_storage *a, const char *text)
{
    char own[INET6_ADDRSTRLEN];
    return address_ip_text((const struct sockaddr *)a, own) && strcmp(own, text) == 0;
}

/* Is curl still waiting for an answer on the socket of this attempt? */
static bool is_connecting(const struct reach *r)
{
    struct tcp_info info = { 0 };
    struct stat facts;
    socklen_t len = sizeof(info);

    return r->fd >= 0 && fstat(r->fd, &facts) == 0 && facts.st_ino == r->inode &&
           getsockopt(r->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
           info.tcpi_state == TCP_SYN_SENT;
}

static void race_end(struct reach *r)
{
    struct race *race = TAKE(r->race);

    if (!race)
        return;
    for (size_t i = 0; i < race->count; i++)
        close(race->fds[i]);
    name_lookup_unref(race->lookup);
    free(race);
}

static void run_to(struct race *race, const struct sockaddr_storage *to)
{
    socklen_t len = to->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    int fd = socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)to, len) && errno != EINPROGRESS) {
        close(fd);
        return;
    }
    race->fds[race->count++] = fd;
}

static void start_runners(struct race *race)
{
    struct name_lookup *l = TAKE(race->lookup);

    for (size_t i = 0; i < l->count; i++)
        if (!same_ip(&race->owner->address, (struct sockaddr *)&l->found[i]))
            run_to(race, &l->found[i]);
    name_lookup_unref(l);
}

static bool one_has_arrived(const struct race *race)
{
    for (size_t i = 0; i < race->count; i++) {
        struct pollfd p = { .fd = race->fds[i], .events = POLLOUT };
        int error = 0;
        socklen_t len = sizeof(error);
        if (poll(&p, 1, 0) == 1 && !(p.revents & POLLERR) &&
            getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0)
            return true;
    }
    return false;
}

/* The kernel reports the end of the attempt to curl as an error. */
static void race_step(struct reach *r)
{
    struct race *race = r->race;

    if (race->lookup && atomic_load(&race->lookup->done))
        start_runners(race);
    bool over = !race->lookup && race->count == 0;
    if (!over && one_has_arrived(race)) {
        r->ended = is_connecting(r) && shutdown(r->fd, SHUT_RDWR) == 0;
        over = true;
    }
    if (r->ended)
        timer_set(&r->stall, RACE_TICK_MS);
    if (over || r->stall.sched->now >= race->until || !is_connecting(r))
        race_end(r);
    else
        timer_set(&r->stall, RACE_TICK_MS);
}

static void on_reach_stall(struct timer *stall)
{
    struct reach *r = container_of(stall, struct reach, stall);

    if (r->race) {
        race_step(r);
        return;
    }
    if (r->ended) {
        r->ended = false;
        r->on_ended(r);
        return;
    }
    if (!is_connecting(r))
        return;
    r->slow = r->address;
    struct name_lookup *l = name_lookup_start(NULL, r->host, r->port);
    if (!l)
        return;
    r->race = xcalloc(1, sizeof(*r->race));
    *r->race =
        (struct race){ .owner = r, .lookup = l, .until = stall->sched->now + RACE_MS };
    timer_set(&r->stall, RACE_TICK_MS);
}

void reach_init(struct reach *r, struct reach_memory *memory, struct sched *sched,
                void (*on_ended)(struct reach *r))
{
    *r = (struct reach){ .memory = memory, .fd = -1, .on_ended = on_ended };
    timer_init(&r->stall, sched, on_reach_stall);
}

void reach_set_host(struct reach *r, const char *host, uint16_t port)
{
    free(TAKE(r->host));
    if (!host_is_address(str_of(host)))
        r->host = xstrdup(host);
    r->port = port;
}

void reach_finish(struct reach *r)
{
    if (!r->memory)
        return;
    timer_stop(&r->stall);
    race_end(r);
    free(TAKE(r->host));
}

bool reach_is_dead(struct reach *r, const struct sockaddr *address)
{
    for (size_t i = 0; r->host && i < REACH_DEAD_MAX; i++) {
        const struct reach_dead *d = &r->memory->dead[i];
        if (d->until > r->stall.sched->now && same_ip(&d->address, address)) {
            r->passed_over = true;
            return true;
        }
    }
    return false;
}

void reach_on_attempt(struct reach *r, int fd, const struct sockaddr *address,
                      socklen_t len)
{
    struct stat facts;

    if (!r->host || len > sizeof(r->address) || fstat(fd, &facts))
        return;
    race_end(r);
    r->ended = false;
    r->fd = fd;
    r->inode = facts.st_ino;
    memcpy(&r->address, address, len);
    timer_set(&r->stall, REACH_SLOW_MS);
}

void reach_on_success(struct reach *r, const char *address)
{
    struct reach_memory *m = r->memory;

    timer_stop(&r->stall);
    race_end(r);
    if (!r->slow.ss_family || !address || is_ip(&r->slow, address))
        return;
    m->dead[m->next++ % REACH_DEAD_MAX] =
        (struct reach_dead){ r->slow, r->stall.sched->now + REACH_DEAD_MS };
    r->slow.ss_family = 0;
}

/* The skipped addresses may be the only ones that work now, so they are forgotten. */
void reach_on_failure(struct reach *r)
{
    if (r->passed_over)
        memset(r->memory->dead, 0, sizeof(r->memory->dead));
}
