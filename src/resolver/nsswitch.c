/* resolver/nsswitch.c - the line `hosts:` of nsswitch.conf */
#include "resolver/nsswitch.h"

#include "base/own.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word, or all of an action in brackets; empty at the end. */
static struct str next_word(struct str *rest)
{
    while (rest->len && is_blank(rest->at[0]))
        *rest = str_skip(*rest, 1);
    size_t n = 0;
    if (rest->len && rest->at[0] == '[') {
        const char *close = memchr(rest->at, ']', rest->len);
        n = close ? (size_t)(close - rest->at) + 1 : rest->len;
    } else {
        while (n < rest->len && !is_blank(rest->at[n]) && rest->at[n] != '[')
            n++;
    }
    struct str word = str_first(*rest, n);
    *rest = str_skip(*rest, n);
    return word;
}

/* What follows `hosts:`, without a comment; empty: there is no such line.  A line ends at a zero
 * byte, as in glibc. */
static struct str hosts_line(struct str text)
{
    struct str line, kept;

    while (!str_empty(text)) {
        text = str_cut(text, '\n', &line);
        str_cut(line, '\0', &kept);
        str_cut(kept, '#', &kept);
        kept = str_trim_space(kept);
        if (str_starts(kept, STR("hosts:")))
            return str_skip(kept, 6);
    }
    return (struct str){ 0 };
}

static bool holds(struct str s, struct str what)
{
    for (size_t i = 0; i + what.len <= s.len; i++)
        if (str_ieq((struct str){ s.at + i, what.len }, what))
            return true;
    return false;
}

static bool ends_lookup(struct str action)
{
    return holds(action, STR("NOTFOUND=return")) || holds(action, STR("!SUCCESS=return"));
}

static bool leads_to_dns(struct str service)
{
    return str_eq(service, STR("dns")) || str_eq(service, STR("resolve"));
}

bool nsswitch_has(struct str text, struct str service)
{
    struct str rest = hosts_line(text);

    for (struct str w = next_word(&rest); !str_empty(w); w = next_word(&rest))
        if (str_eq(w, service))
            return true;
    return false;
}

/* The services before the mDNS ones, then those that lead to the DNS, then the others. */
static char *fixed_line(struct str line)
{
    char *head = xstrdup("hosts:"), *tail = xstrdup("");
    bool dns = false, mdns = false, any_dns = false;
    struct str rest = line;

    for (struct str w = next_word(&rest); !str_empty(w); w = next_word(&rest)) {
        if (w.at[0] != '[')
            dns = leads_to_dns(w);
        any_dns = any_dns || dns;
        mdns = mdns || str_starts(w, STR("mdns"));
        char **to = dns || !mdns ? &head : &tail;
        char *longer = xasprintf("%s %.*s", *to, STR_ARG(w));
        free(*to);
        *to = longer;
    }
    char *all = xasprintf("%s%s%s", head, any_dns ? "" : " dns", tail);
    free(head);
    free(tail);
    return all;
}

bool nsswitch_swallows_local(struct str text, char **ret_fixed)
{
    struct str line = hosts_line(text), rest = line;
    bool mdns = false;

    for (struct str w = next_word(&rest); !str_empty(w); w = next_word(&rest)) {
        if (w.at[0] == '[' && mdns && ends_lookup(w)) {
            *ret_fixed = fixed_line(line);
            return true;
        }
        if (w.at[0] == '[')
            continue;
        if (leads_to_dns(w))
            return false;
        mdns = str_starts(w, STR("mdns"));
    }
    return false;
}
