/* net/proxy.c - which proxy a connection goes through
 *
 * The rules are those of Go's httpproxy, which kubectl follows, and ALL_PROXY besides.
 */
#include "net/proxy.h"

#include <stdlib.h>

#include "base/address.h"
#include "base/own.h"
#include "base/str.h"
#include "net/url.h"

static bool same_network(struct str a, struct str b, uint64_t bits)
{
    size_t whole = (size_t)(bits / 8);
    unsigned rest = (unsigned)(bits % 8);

    if (a.len != b.len || bits > a.len * 8 || memcmp(a.at, b.at, whole) != 0)
        return false;
    return rest == 0 || ((uint8_t)a.at[whole] ^ (uint8_t)b.at[whole]) >> (8 - rest) == 0;
}

static bool network_has(struct str entry, struct str address)
{
    struct str head, bits_text = str_cut(entry, '/', &head);
    struct sockaddr_storage network;
    uint64_t bits = address.len * 8;

    if (!address_parse(head, &network) ||
        (bits_text.at && str_to_uint(bits_text, 128, &bits)))
        return false;
    return same_network(address, address_bytes((struct sockaddr *)&network), bits);
}

/* Removes ":443" from the end; "::1" has no port. */
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

/* "a.b" matches itself and every name below it, ".a.b" and "*.a.b" only names below
 * it. */
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
    struct sockaddr_storage address;
    uint64_t wanted = 0;

    if (str_eq(entry, STR("*")))
        return true;
    entry = cut_port(entry, &wanted);
    if (str_empty(entry) || (wanted && wanted != port))
        return false;
    if (!address_parse(str_of(host), &address))
        return domain_has(entry, str_of(host));
    return network_has(entry, address_bytes((struct sockaddr *)&address));
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

/* curl's default port is 1080 for each kind, Go's is the scheme's.  Text that is no URL
 * is not changed: curl reports the error. */
static char *with_port(struct str text)
{
    struct url u;
    struct diag why;
    char *whole = NULL;

    if (url_parse(text, "http", &u, &why))
        return str_dup(text);
    if (strcmp(u.scheme, "https") == 0)
        whole = url_authority(text, "http", 443);
    else if (strcmp(u.scheme, "http") == 0)
        whole = url_authority(text, "http", 80);
    url_finish(&u);
    return whole ? whole : str_dup(text); /* SOCKS: 1080 */
}

char *proxy_choose(const char *configured, bool tls, const char *host, uint16_t port)
{
    const char *proxy = configured ? configured : from_environment(tls, host, port);

    if (str_starts(str_of(proxy), STR("socks5://")))
        return xasprintf("socks5h://%s", proxy + strlen("socks5://"));
    return *proxy ? with_port(str_of(proxy)) : xstrdup("");
}
