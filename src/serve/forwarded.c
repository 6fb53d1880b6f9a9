#include "serve/forwarded.h"

#include <stdio.h>

#define HOST_MAX 400

/* The host is the one that was routed by, and so has only a name's bytes. */
static struct str host_of(const struct http1_head *head, const struct target *target)
{
    struct str host = target->authority;

    if (!host.at && head->host)
        host = head->host->value;
    bool usable = host.at && host.len <= HOST_MAX && !memchr(host.at, '"', host.len);
    return usable ? host : (struct str){ 0 };
}

/* Quoted, because an IPv6 address has colons. */
struct str forwarded_value(const struct http1_head *head, const struct target *target,
                           const struct forwarding *f, char room[FORWARDED_ROOM])
{
    const char *client = f->address;
    bool v6 = strchr(client, ':') && client[0] != '[';
    struct str host = host_of(head, target);

    int len = snprintf(room, FORWARDED_ROOM, "for=\"%s%s%s\"%s%.*s%s;proto=%s",
                       v6 ? "[" : "", client, v6 ? "]" : "", host.at ? ";host=\"" : "",
                       STR_ARG(host), host.at ? "\"" : "", f->tls ? "https" : "http");
    return (struct str){ room, (size_t)len };
}
