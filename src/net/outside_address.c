#include "net/outside_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/own.h"

struct block {
    const char *prefix;
    unsigned bits;
    const char *kind;
};

/* RFC 6890 and its registry; metadata services by their providers' documentation. */
static const struct block blocks_v4[] = {
    { "0.0.0.0", 8, "an address of this machine" },
    { "127.0.0.0", 8, "a loopback address" },
    { "169.254.0.0", 16, "a link-local address" }, /* metadata of most providers */
    { "100.100.100.200", 32, "a cloud metadata address" }, /* Alibaba Cloud */
    { "168.63.129.16", 32, "a cloud metadata address" },   /* Azure */
    { "192.0.0.0", 24, "a protocol assignment" },          /* also Oracle's metadata */
    { "224.0.0.0", 4, "a multicast address" },
    { "240.0.0.0", 4, "a reserved or broadcast address" },
};

static const struct block blocks_v6[] = {
    { "::", 128, "an address of this machine" },
    { "::1", 128, "a loopback address" },
    { "fe80::", 10, "a link-local address" },
    { "fec0::", 10, "a site-local address" },
    { "fd00:ec2::254", 128, "a cloud metadata address" },      /* Amazon */
    { "fd20:ce::254", 128, "a cloud metadata address" },       /* Google */
    { "64:ff9b:1::", 48, "an address of a local translator" }, /* RFC 8215 */
    { "ff00::", 8, "a multicast address" },
};

/* IPv6 addresses that hold an IPv4 address, and the byte where it begins. */
static const struct {
    const char *prefix;
    unsigned bits, at;
} wrappings[] = {
    { "::ffff:0:0", 96, 12 },   /* v4-mapped (RFC 4291) */
    { "::", 96, 12 },           /* v4-compatible (RFC 4291) */
    { "::ffff:0:0:0", 96, 12 }, /* v4-translated (RFC 2765) */
    { "64:ff9b::", 96, 12 },    /* NAT64 (RFC 6052) */
    { "2002::", 16, 2 },        /* 6to4 (RFC 3056) */
};

static bool has_prefix(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;

    if (memcmp(address, prefix, bytes))
        return false;
    return !rest || ((address[bytes] ^ prefix[bytes]) >> (8 - rest)) == 0;
}

static bool is_in(int family, const uint8_t *address, const char *prefix, unsigned bits)
{
    uint8_t binary[sizeof(struct in6_addr)] = { 0 };

    inet_pton(family, prefix, binary);
    return has_prefix(address, binary, bits);
}

static enum err refuse_block(int family, const uint8_t *address, const char *kind,
                             struct diag *why)
{
    char text[INET6_ADDRSTRLEN] = "";

    inet_ntop(family, address, text, sizeof(text));
    return diag_set(why, ERR_CLOSED, "%s is %s", text, kind);
}

static enum err check_bytes(int family, const uint8_t *address,
                            const struct block *blocks, size_t count,
                            struct own_addresses *own, struct diag *why)
{
    char text[INET6_ADDRSTRLEN] = "";

    for (size_t i = 0; i < count; i++)
        if (is_in(family, address, blocks[i].prefix, blocks[i].bits))
            return refuse_block(family, address, blocks[i].kind, why);
    inet_ntop(family, address, text, sizeof(text));
    if (own_addresses_include(own, text))
        return refuse_block(family, address, "an address of this machine", why);
    return OK;
}

static enum err check_v4(const uint8_t *address, struct own_addresses *own,
                         struct diag *why)
{
    return check_bytes(AF_INET, address, blocks_v4, ARRAY_LEN(blocks_v4), own, why);
}

static enum err check_v6(const uint8_t *address, struct own_addresses *own,
                         struct diag *why)
{
    enum err e =
        check_bytes(AF_INET6, address, blocks_v6, ARRAY_LEN(blocks_v6), own, why);

    for (size_t i = 0; !e && i < ARRAY_LEN(wrappings); i++)
        if (is_in(AF_INET6, address, wrappings[i].prefix, wrappings[i].bits))
            e = check_v4(address + wrappings[i].at, own, why);
    return e;
}

enum err outside_address_check(const struct sockaddr *sa, struct own_addresses *own,
                               struct diag *why)
{
    const struct sockaddr_in *v4 = (const void *)sa;
    const struct sockaddr_in6 *v6 = (const void *)sa;

    if (sa->sa_family == AF_INET)
        return check_v4((const uint8_t *)&v4->sin_addr, own, why);
    if (sa->sa_family == AF_INET6)
        return check_v6(v6->sin6_addr.s6_addr, own, why);
    return diag_set(why, ERR_CLOSED, "not an IP address");
}
