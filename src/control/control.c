/* control/control.c - the control socket of a running kube-tunnel */
#include "control/control.h"

#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "control/connection.h"
#include "control/control_state.h"
#include "control/reader.h"
#include "net/loop.h"
#include "net/peer.h"
#include "net/tcp.h"

LOG_MODULE(control);

#define CONNECTIONS_MAX 32

struct control *control_create(const struct control_parts *parts)
{
    struct control *c = xcalloc(1, sizeof(*c));

    c->parts = *parts;
    c->sched = loop_sched(parts->loop);
    c->started = time(NULL);
    c->claim = (struct claim){ .lock = -1, .socket = -1 };
    list_init(&c->connections);
    readers_init(c);
    return c;
}

/* The mode of the socket excludes other users already; a descriptor can be passed on. */
static bool is_ours(const struct peer *peer)
{
    return peer->kind == PEER_LOCAL && (peer->uid == geteuid() || peer->uid == 0);
}

static void on_accept(void *owner, int fd, const struct sockaddr *far)
{
    struct control *c = owner;
    const struct peer peer = peer_identify(c->parts.loop, fd, far);

    if (!is_ours(&peer)) {
        log_warn(NO_ID, "another user may not use the control socket",
                 LOG_U("uid", peer.uid));
        close(fd);
        return;
    }
    control_accept(c, tcp_open_accepted(c->parts.loop, fd));
}

void control_accept(struct control *c, struct stream *client)
{
    if (c->count >= CONNECTIONS_MAX)
        stream_abort(client);
    else
        connection_open(c, client);
}

enum err control_listen(struct control *c, const char *name, struct diag *why)
{
    int pid = 0;
    enum err e = claim_take(name, &c->claim, &pid, why);

    if (e == ERR_IN_USE)
        return diag_set(why, e,
                        "another kube-tunnel is called \"%s\" (pid %d); this one has no "
                        "control socket, unless it is started with --name",
                        name, pid);
    if (e)
        return e;
    c->name = xstrdup(name);
    c->listener = listener_open(c->parts.loop, c->claim.socket, on_accept, c);
    c->claim.socket = -1; /* it is the listener's */
    log_info(NO_ID, "control socket", LOG_S("path", c->claim.path));
    return OK;
}

void control_destroy(struct control *c)
{
    if (!c)
        return;
    claim_release(&c->claim);
    listener_close(c->listener);
    connections_destroy(c);
    readers_finish(c);
    free(c->name);
    free(c);
}
