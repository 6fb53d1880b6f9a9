#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/own.h"

static struct sockaddr_storage v4_from_mapped(const struct sockaddr_in6 *v6)
{
    struct sockaddr_storage plain = { .ss_family = AF_INET };
    struct sockaddr_in *v4 = (void *)&plain;

    v4->sin_port = v6->sin6_port;
    v4->sin_addr.s_addr = v6->sin6_addr.s6_addr32[3];
    return plain;
}

struct sockaddr_storage address_plain(const struct sockaddr *sa)
{
    const struct sockaddr_in6 *v6 = (const void *)sa;
    struct sockaddr_storage plain = { .ss_family = sa->sa_family };

    if (sa->sa_family == AF_INET)
        memcpy(&plain, sa, sizeof(struct sockaddr_in));
    else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        plain = v4_from_mapped(v6);
    else if (sa->sa_family == AF_INET6)
        memcpy(&plain, sa, sizeof(*v6));
    return plain;
}

bool address_is_loopback(const struct sockaddr *sa)
{
    struct sockaddr_storage plain = address_plain(sa);
    const struct sockaddr_in *v4 = (const void *)&plain;
    const struct sockaddr_in6 *v6 = (const void *)&plain;

    if (plain.ss_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
    return plain.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static struct str without_brackets(struct str host)
{
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    return bracketed ? (struct str){ host.at + 1, host.len - 2 } : host;
}

bool host_is_loopback(struct str host)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    struct str number = without_brackets(host);
    char text[INET6_ADDRSTRLEN] = "";

    if (str_ieq(host, STR("localhost")))
        return true;
    if (number.len >= sizeof(text))
        return false;
    memcpy(text, number.at, number.len);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_loopback((struct sockaddr *)&v4);
    return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
           address_is_loopback((struct sockaddr *)&v6);
}

void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT])
{
    struct sockaddr_storage plain = address_plain(sa);
    const struct sockaddr_in *v4 = (const void *)&plain;
    const struct sockaddr_in6 *v6 = (const void *)&plain;
    char host[INET6_ADDRSTRLEN] = "";

    if (plain.ss_family == AF_INET) {
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
    } else if (plain.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
        snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        snprintf(out, ADDRESS_TEXT, "unix");
    }
}
