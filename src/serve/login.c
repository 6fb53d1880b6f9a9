/* serve/login.c - requests of browsers for a context that a person has to log in to */
#include "serve/login.h"

#include <stdio.h>

#include "cluster/clusters.h"
#include "serve/policy.h"

#define HTTP_PORT 80

/* Of the listener the client came through, if our own pages are there, or of the first one. */
static uint16_t own_port(const struct config *c, const struct visitor *from)
{
    if (!from->exposed)
        return from->listener_port;
    return config_listen_port(c);
}

/* An origin of our own: a page of the service could press a button of its own origin. */
static void print_url(uint16_t port, struct str label, char *out, size_t room)
{
    char number[8] = "";

    if (port && port != HTTP_PORT)
        snprintf(number, sizeof(number), ":%u", port);
    snprintf(out, room, "http://localhost%s/login/%.*s", number, STR_ARG(label));
}

bool login_is_needed(const struct serve *s, const struct visitor *from,
                     const struct http1_head *request, const struct target *target,
                     struct refusal *why)
{
    struct str label = target->route.name.cluster;
    struct diag reason = { "" };

    if (!clusters_need_login(s->clusters, label, &reason) || !policy_is_browser(request))
        return false;
    *why = (struct refusal){ .cause = CAUSE_LOGIN, .why = reason };
    print_url(own_port(s->config, from), label, why->link, sizeof(why->link));
    return true;
}
