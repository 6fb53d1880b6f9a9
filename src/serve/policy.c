/* serve/policy.c - who may send which request
 *
 * THE THREAT is a page from anywhere in the user's browser: it can send requests to
 * loopback, and with a rebound name also read the answers.  Browsers tell us who asks:
 * Origin with every request that may change something and every WebSocket, Sec-Fetch-Site
 * with the rest.  Programs send neither and are not concerned.
 *
 * Whether an origin may read an answer is for the service to say (CORS): nothing is added
 * to answers here.
 */
#include "serve/policy.h"

static enum err forbid(struct refusal *why, const char *hint, const char *format,
                       struct str value)
{
    refusal_set(why, 403, format, STR_ARG(str_first(value, 300)));
    refusal_hint(why, "%s", hint);
    return ERR_FORBIDDEN;
}

static bool listed(const struct string_list *list, struct str value)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_ieq(str_of(list->at[i]), value))
            return true;
    return false;
}

/* "http://host:port" into its host; empty when it is not like that ("null"). */
static struct str origin_host(struct str origin)
{
    struct str host = { 0 };
    uint16_t port;

    for (size_t i = 0; i + 2 < origin.len; i++) {
        if (memcmp(origin.at + i, "://", 3) != 0)
            continue;
        struct str authority = str_skip(origin, i + 3);
        if (authority_split(authority, &host, &port))
            host = (struct str){ 0 };
        break;
    }
    return host;
}

/* Digits and dots only: 127.0.0.1.evil.example begins like an address of loopback. */
static bool is_loopback_address(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (host.at[i] != '.' && (host.at[i] < '0' || host.at[i] > '9'))
            return false;
    return str_starts(host, STR("127."));
}

bool policy_is_loopback(struct str host)
{
    return str_ieq(host, STR("localhost")) || str_iends(host, STR(".localhost")) ||
           str_eq(host, STR("[::1]")) || is_loopback_address(host);
}

/* A name that nobody outside can own: only the full ones, because shop is also a top
 * level domain and web.shop may be a page out there. */
static bool is_cluster_name(struct str host, const char *zone)
{
    struct name name;
    name_parse(host, str_of(zone), &name);
    if (name.kind == NAME_INVALID || name.kind == NAME_OWN)
        return false;
    struct str text = str_of(name.text);
    size_t zone_len = strlen(zone);
    return str_iends(text, STR(".svc")) || str_iends(text, STR(".pod")) ||
           (text.len > zone_len && text.at[text.len - zone_len - 1] == '.' &&
            str_iends(text, str_of(zone)));
}

static bool is_foreign(const struct config *config, struct str origin)
{
    struct str host = origin_host(origin);

    if (listed(&config->allow_origin, origin) ||
        (!str_empty(host) && listed(&config->allow_origin, host)))
        return false;
    return str_empty(host) ||
           !(policy_is_loopback(host) || is_cluster_name(host, config->cluster_domain));
}

/* The first Origin that is foreign, or any that is not, or NULL: there is none. */
static const struct http1_field *
find_origin(const struct config *config, const struct http1_head *head, bool *ret_foreign)
{
    const struct http1_field *found = NULL;

    *ret_foreign = false;
    for (size_t i = 0; i < head->count && !*ret_foreign; i++) {
        if (head->fields[i].id != FIELD_ORIGIN)
            continue;
        found = &head->fields[i];
        *ret_foreign = is_foreign(config, found->value);
    }
    return found;
}

static bool says(const struct http1_head *head, enum http1_name id, struct str value)
{
    const struct http1_field *field = http1_find(head, id);
    return field && str_ieq(field->value, value);
}

static enum err check_origin(const struct config *config, const struct http1_head *head,
                             struct refusal *why)
{
    static const char hint[] =
        "A web page from elsewhere tried to use the cluster through your browser. If you "
        "trust it, start kube-tunnel with --allow-origin and its origin.";
    bool foreign;
    const struct http1_field *origin = find_origin(config, head, &foreign);

    if (foreign && (head->upgrade || !http1_safe(head->method)))
        return forbid(why, hint, "Forbidden: foreign origin %.*s", origin->value);
    bool own_page = origin && !foreign;
    if (!own_page && says(head, FIELD_SEC_FETCH_SITE, STR("cross-site")) &&
        !says(head, FIELD_SEC_FETCH_MODE, STR("navigate")))
        return forbid(why, hint, "Forbidden: cross-site request%.*s", STR(""));
    return OK;
}

bool policy_opens(const struct config *config, struct str ns)
{
    if (listed(&config->deny_namespace, ns))
        return false;
    return !config->allow_namespace.count || listed(&config->allow_namespace, ns);
}

static enum err check_namespace(const struct config *config, struct str ns,
                                struct refusal *why)
{
    if (policy_opens(config, ns))
        return OK;
    return forbid(why,
                  listed(&config->deny_namespace, ns) ? "It is in --deny-namespace."
                                                      : "It is not in --allow-namespace.",
                  "Forbidden: namespace %.*s is closed", ns);
}

enum err policy_check(const struct config *config, const struct http1_head *head,
                      const struct name *name, struct refusal *why)
{
    enum err e = check_origin(config, head, why);
    if (e || name->kind == NAME_OWN)
        return e;
    return check_namespace(config, name->ns, why);
}
