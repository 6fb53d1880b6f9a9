#include "base/address.h"

#include <arpa/inet.h>
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

uint16_t address_port(const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;

    if (sa->sa_family == AF_INET)
        return ntohs(v4->sin_port);
    return sa->sa_family == AF_INET6 ? ntohs(v6->sin6_port) : 0;
}

struct str address_bytes(const struct sockaddr *sa)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;

    if (sa->sa_family == AF_INET)
        return (struct str){ (const void *)&v4->sin_addr, sizeof(v4->sin_addr) };
    if (sa->sa_family == AF_INET6)
        return (struct str){ (const void *)&v6->sin6_addr, sizeof(v6->sin6_addr) };
    return (struct str){ 0 };
}

bool address_ip_text(const struct sockaddr *sa, char out[static INET6_ADDRSTRLEN])
{
    struct str bytes = address_bytes(sa);

    out[0] = '\0';
    return bytes.len && inet_ntop(sa->sa_family, bytes.at, out, INET6_ADDRSTRLEN);
}

void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT])
{
    struct sockaddr_storage plain = address_plain(sa);
    char host[INET6_ADDRSTRLEN];

    if (!address_ip_text((struct sockaddr *)&plain, host))
        snprintf(out, ADDRESS_TEXT, "unix");
    else
        snprintf(out, ADDRESS_TEXT, plain.ss_family == AF_INET ? "%s:%u" : "[%s]:%u",
                 host, address_port(sa));
}

bool address_parse(struct str text, struct sockaddr_storage *ret)
{
    struct sockaddr_storage at = { 0 };
    struct sockaddr_in *v4 = (void *)&at;
    struct sockaddr_in6 *v6 = (void *)&at;
    char copy[INET6_ADDRSTRLEN] = "";

    if (text.len >= sizeof(copy) || str_empty(text) || memchr(text.at, '\0', text.len))
        return false;
    memcpy(copy, text.at, text.len);
    if (inet_pton(AF_INET, copy, &v4->sin_addr) == 1)
        at.ss_family = AF_INET;
    else if (inet_pton(AF_INET6, copy, &v6->sin6_addr) == 1)
        at.ss_family = AF_INET6;
    else
        return false;
    *ret = at;
    return true;
}

/* Accepts the forms of inet_aton, but no text after a blank, which inet_aton would
 * ignore. */
static bool number_parse(struct str text, struct sockaddr_storage *ret)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    char copy[INET6_ADDRSTRLEN] = "";

    if (address_parse(text, ret))
        return true;
    if (text.len >= sizeof(copy) || str_empty(text) || text.at[0] < '0' ||
        text.at[0] > '9')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!text.at[i] || !strchr("0123456789abcdefABCDEFxX.", text.at[i]))
            return false;
    memcpy(copy, text.at, text.len);
    if (!inet_aton(copy, &v4.sin_addr))
        return false;
    *ret = (struct sockaddr_storage){ 0 };
    memcpy(ret, &v4, sizeof(v4));
    return true;
}

bool host_is_address(struct str host)
{
    struct sockaddr_storage any;
    return address_parse(host, &any);
}

bool host_is_number(struct str host)
{
    struct sockaddr_storage any;
    return number_parse(host, &any);
}

static struct str without_brackets(struct str host)
{
    bool bracketed = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    return bracketed ? (struct str){ host.at + 1, host.len - 2 } : host;
}

bool host_is_loopback(struct str host)
{
    struct sockaddr_storage at;

    if (str_ieq(host, STR("localhost")))
        return true;
    return number_parse(without_brackets(host), &at) &&
           address_is_loopback((struct sockaddr *)&at);
}
