/* net/proxy.c - which proxy a connection goes through
 *
 * The rules are those of Go's httpproxy, which kubectl follows, and ALL_PROXY besides.
 */
#include "net/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/str.h"
#include "base/url.h"
#include "net/address.h"

struct address {
    size_t len; /* 4, 16, or 0: not an address */
    uint8_t bytes[16];
};

static struct address address_of(struct str text)
{
    struct address a = { 0 };
    char copy[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(copy))
        return a;
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET, copy, a.bytes) == 1)
        a.len = 4;
    else if (inet_pton(AF_INET6, copy, a.bytes) == 1)
        a.len = 16;
    return a;
}

static bool same_network(const struct address *a, const struct address *b, uint64_t bits)
{
    size_t whole = (size_t)(bits / 8);
    unsigned rest = (unsigned)(bits % 8);

    if (a->len == 0 || a->len != b->len || bits > a->len * 8)
        return false;
    if (memcmp(a->bytes, b->bytes, whole) != 0)
        return false;
    return rest == 0 || (a->bytes[whole] ^ b->bytes[whole]) >> (8 - rest) == 0;
}

static bool network_has(struct str entry, const struct address *a)
{
    struct str head, bits_text = str_cut(entry, '/', &head);
    struct address network = address_of(head);
    uint64_t bits = 0;

    if (!bits_text.at)
        return same_network(a, &network, network.len * 8);
    return str_to_uint(bits_text, 128, &bits) == OK && same_network(a, &network, bits);
}

/* Take ":443" off the end, if that is what it is: "::1" has no port. */
static struct str cut_port(struct str entry, uint64_t *ret_port)
{
    struct str head, tail = str_cut_last(entry, ':', &head);

    if (entry.len && entry.at[0] == '[') {
        if (str_ends(entry, STR("]")))
            head = entry;
        else if (!tail.at || str_to_uint(tail, UINT16_MAX, ret_port))
            return entry;
        return str_ends(head, STR("]")) ? str_skip(str_first(head, head.len - 1), 1)
                                        : entry;
    }
    if (!tail.at || memchr(head.at, ':', head.len) ||
        str_to_uint(tail, UINT16_MAX, ret_port))
        return entry;
    return head;
}

/* "a.b" stands for itself and everything below it, ".a.b" and "*.a.b" only for the
 * latter. */
static bool domain_has(struct str domain, struct str host)
{
    if (str_starts(domain, STR("*.")))
        domain = str_skip(domain, 1);
    if (str_starts(domain, STR(".")))
        return str_iends(host, domain) && host.len > domain.len;
    if (!str_iends(host, domain))
        return false;
    return host.len == domain.len || host.at[host.len - domain.len - 1] == '.';
}

static bool entry_names(struct str entry, const char *host, uint16_t port)
{
    struct address a = address_of(str_of(host));
    uint64_t wanted = 0;

    if (str_eq(entry, STR("*")))
        return true;
    entry = cut_port(entry, &wanted);
    if (str_empty(entry) || (wanted && wanted != port))
        return false;
    return a.len ? network_has(entry, &a) : domain_has(entry, str_of(host));
}

bool proxy_excludes(const char *list, const char *host, uint16_t port)
{
    struct str rest = str_of(list);

    while (!str_empty(rest)) {
        struct str entry;
        rest = str_cut(rest, ',', &entry);
        if (entry_names(str_trim_space(entry), host, port))
            return true;
    }
    return false;
}

static const char *either(const char *upper, const char *lower)
{
    const char *value = getenv(upper);
    return value && *value ? value : getenv(lower);
}

static const char *from_environment(bool tls, const char *host, uint16_t port)
{
    const char *proxy =
        tls ? either("HTTPS_PROXY", "https_proxy") : either("HTTP_PROXY", "http_proxy");

    if (!proxy || !*proxy)
        proxy = either("ALL_PROXY", "all_proxy");
    if (!proxy || !*proxy || host_is_loopback(str_of(host)))
        return "";
    return proxy_excludes(either("NO_PROXY", "no_proxy"), host, port) ? "" : proxy;
}

/* curl's default is 1080 for each kind, Go's is the scheme's. */
static char *with_port(struct str url)
{
    struct str scheme = url_scheme(url), user;
    bool tls = str_ieq(scheme, STR("https"));
    struct str rest = scheme.at ? str_skip(url, scheme.len + 3) : url;
    AUTO_FREE char *place = url_host_port(url, tls ? 443 : 80);
    struct str host = str_cut_last(rest, '@', &user);

    if (scheme.at && !tls && !str_ieq(scheme, STR("http")))
        return str_dup(url); /* SOCKS: 1080 */
    if (!host.at)
        return xasprintf("%s://%s", tls ? "https" : "http", place);
    return xasprintf("%s://%.*s@%s", tls ? "https" : "http", STR_ARG(user), place);
}

char *proxy_choose(const char *configured, bool tls, const char *host, uint16_t port)
{
    const char *proxy = configured ? configured : from_environment(tls, host, port);

    if (str_starts(str_of(proxy), STR("socks5://")))
        return xasprintf("socks5h://%s", proxy + strlen("socks5://"));
    return *proxy ? with_port(str_of(proxy)) : xstrdup("");
}
