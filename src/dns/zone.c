#include "dns/zone.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "config/address.h"
#include "route/naming.h"
#include "wire/dns.h"

#define REVERSE_LABELS 6 /* 3.2.1.127.in-addr.arpa */
#define LOOPBACK_NET 127

/* Does the name end in these labels?  *ret is where they begin. */
static bool ends_in(const struct dns_name *n, struct str zone, size_t *ret)
{
    size_t at = n->labels;

    while (zone.len) {
        struct str rest, label = str_cut_last(zone, '.', &rest);
        if (!label.at) { /* no dot is left */
            label = zone;
            rest = (struct str){ NULL, 0 };
        }
        if (at == 0 || !str_ieq(dns_label(n, at - 1), label))
            return false;
        at--;
        zone = rest;
    }
    *ret = at;
    return at < n->labels;
}

static bool is_in_k8s(const struct zones *z, const struct dns_name *n, struct zone *ret)
{
    size_t count = n->labels;

    if (!count || !str_eq(dns_label(n, count - 1), STR("k8s")))
        return false;
    *ret = (struct zone){ .kind = ZONE_K8S, .label = count - 1 };
    if (count > 1 && z->has_label(z->owner, dns_label(n, count - 2)))
        *ret = (struct zone){ .kind = ZONE_CLUSTER,
                              .label = count - 2,
                              .cluster = dns_label(n, count - 2) };
    return true;
}

/* 3.2.1.127.in-addr.arpa is 127.1.2.3. */
static bool is_reverse(const struct dns_name *n, struct zone *ret)
{
    uint32_t address = 0;

    if (n->labels != REVERSE_LABELS || !str_eq(dns_label(n, 5), STR("arpa")) ||
        !str_eq(dns_label(n, 4), STR("in-addr")))
        return false;
    for (size_t i = 4; i-- > 0;) {
        uint64_t byte;
        struct str label = dns_label(n, i);
        if (str_to_uint(label, 255, &byte) || (label.len > 1 && label.at[0] == '0'))
            return false;
        address = address << 8 | (uint32_t)byte;
    }
    *ret =
        (struct zone){ .kind = ZONE_REVERSE, .label = 3, .address = { htonl(address) } };
    return address >> 24 == LOOPBACK_NET;
}

void zone_find(const struct zones *z, const struct dns_name *name, struct zone *ret)
{
    const struct naming *naming = z->naming;
    size_t at;

    if (ends_in(name, str_of(naming->zone), &at) ||
        (naming->found_zone && ends_in(name, str_of(naming->found_zone), &at)))
        *ret = (struct zone){ .kind = ZONE_CLUSTER, .label = at };
    else if (!is_in_k8s(z, name, ret) && !is_reverse(name, ret))
        *ret = (struct zone){ .kind = ZONE_NONE };
}

static struct str without_underscore(struct str s)
{
    return s.len && s.at[0] == '_' ? str_skip(s, 1) : s;
}

static void read_pod(const struct dns_name *name, size_t left, struct subject *ret)
{
    ret->pod = dns_label(name, left - 1);
    ret->kind = left == 1 && is_dns_label(ret->pod) ? SUBJECT_POD : SUBJECT_NONE;
}

/* `left` labels, the rightmost of which is the service. */
static void read_service(const struct dns_name *name, size_t left, struct subject *ret)
{
    ret->service = dns_label(name, left - 1);
    ret->kind = left <= 3 && is_dns_label(ret->service) ? SUBJECT_SERVICE : SUBJECT_NONE;
    if (left == 2) {
        ret->endpoint = dns_label(name, 0);
    } else if (left == 3) {
        ret->protocol = without_underscore(dns_label(name, 1));
        ret->port = without_underscore(dns_label(name, 0));
    }
}

static enum subject_kind special_of(const struct dns_name *name, size_t labels)
{
    if (labels == 1 && str_eq(dns_label(name, 0), STR("dns-version")))
        return SUBJECT_VERSION;
    if (labels == 2 && str_eq(dns_label(name, 0), STR("ns")) &&
        str_eq(dns_label(name, 1), STR("dns")))
        return SUBJECT_NAME_SERVER;
    return SUBJECT_NONE;
}

void subject_read(const struct dns_name *name, const struct zone *zone,
                  struct subject *ret)
{
    size_t left = zone->label;

    *ret = (struct subject){ .kind = SUBJECT_NONE };
    if (left == 0) {
        ret->kind = SUBJECT_APEX;
        return;
    }
    if (zone->kind == ZONE_K8S)
        return;
    struct str word = dns_label(name, left - 1);
    bool svc = str_eq(word, STR("svc"));
    if (!svc && !str_eq(word, STR("pod"))) {
        ret->kind = special_of(name, left);
        return;
    }
    if (--left == 0) {
        ret->kind = SUBJECT_EMPTY;
        return;
    }
    ret->ns = dns_label(name, left - 1);
    if (!is_dns_label(ret->ns))
        return;
    if (--left == 0)
        ret->kind = SUBJECT_NAMESPACE;
    else if (svc)
        read_service(name, left, ret);
    else
        read_pod(name, left, ret);
}

/* As CoreDNS has it: three dashes, of which no two are adjacent, are an IPv4 address. */
static bool is_dashed_v4(struct str label)
{
    size_t dashes = 0;

    for (size_t i = 0; i < label.len; i++) {
        dashes += label.at[i] == '-';
        if (i && label.at[i] == '-' && label.at[i - 1] == '-')
            return false;
    }
    return dashes == 3;
}

bool dashed_to_address(struct str label, char out[static DASHED_ROOM])
{
    bool v4 = is_dashed_v4(label);
    struct in6_addr parsed;

    if (label.len >= DASHED_ROOM)
        return false;
    for (size_t i = 0; i < label.len; i++)
        out[i] = label.at[i] != '-' ? label.at[i] : v4 ? '.' : ':';
    out[label.len] = '\0';
    return inet_pton(v4 ? AF_INET : AF_INET6, out, &parsed) == 1;
}

/* A label cannot end in a dash, so "fd00::" gets a zero. */
bool address_to_dashed(const char *ip, char out[static DASHED_ROOM])
{
    size_t len = strlen(ip);

    if (!len || len + 2 > DASHED_ROOM)
        return false;
    for (size_t i = 0; i < len; i++)
        out[i] = ip[i] == '.' || ip[i] == ':' ? '-' : ip[i];
    if (out[len - 1] == '-')
        out[len++] = '0';
    out[len] = '\0';
    return true;
}
