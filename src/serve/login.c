/* serve/login.c - requests of browsers for a context that a person has to log in to */
#include "serve/login.h"

#include <stdio.h>

#include "cluster/clusters.h"
#include "serve/policy.h"
#include "serve/session.h"

#define HTTP_PORT 80

/* Of the listener the client came through, if our own pages are there, or of the first one. */
static uint16_t own_port(const struct exchange *x)
{
    const struct config *c = x->serve->config;

    if (!x->from->exposed)
        return x->from->listener_port;
    return c->listen.count ? c->listen.at[0].port : c->port;
}

/* An origin of our own: a page of the service could press a button of its own origin. */
static void print_url(const struct exchange *x, char *out, size_t room)
{
    struct str label = x->target.route.name.cluster;
    uint16_t port = own_port(x);
    char number[8] = "";

    if (port && port != HTTP_PORT)
        snprintf(number, sizeof(number), ":%u", port);
    snprintf(out, room, "http://localhost%s/login/%.*s", number, STR_ARG(label));
}

bool login_is_needed(const struct exchange *x, struct refusal *why)
{
    struct diag reason = { "" };

    if (!clusters_need_login(x->serve->clusters, x->target.route.name.cluster, &reason) ||
        !policy_is_browser(&x->request))
        return false;
    *why = (struct refusal){ .cause = CAUSE_LOGIN, .why = reason };
    print_url(x, why->link, sizeof(why->link));
    return true;
}
