/* serve/policy.c - which requests are allowed
 *
 * THE THREAT is a page from anywhere in the user's browser: it can send requests to
 * loopback.  Browsers name the page: Origin with every request that may change something
 * and every WebSocket, Sec-Fetch-Site with the rest where the URL is loopback's, Referer
 * if the page does not suppress it.  Programs send none of them and are not restricted.
 *
 * Referer is weaker than Origin: a redirect by a third site leaves it as it is.  So where a
 * third site may have chosen the URL (cross-site), it counts against the list only.
 *
 * Whether a page may read a response is decided by the service (CORS): nothing is added to
 * responses here.
 */
#include "serve/policy.h"

#include "base/address.h"
#include "config/web_origin.h"
#include "serve/target.h"

/* How far the page is from the service, as far as the browser reports it. */
enum distance {
    NEAR,     /* the same origin or site, or not reported */
    SAME_TLD, /* "same-site", but that site spans namespaces */
    FAR,      /* "cross-site" */
};

struct request {
    const struct config *config;
    const struct naming *naming;
    const struct rules *rules;
    const struct http1_head *head;
    const struct target *target;
};

static bool listed(const struct string_list *list, struct str value)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_ieq(str_of(list->at[i]), value))
            return true;
    return false;
}

static struct str without_dot(struct str host)
{
    return str_ends(host, STR(".")) ? str_first(host, host.len - 1) : host;
}

/* Hosts under which no foreign page can be served.  An alias may be a domain on the
 * Internet: it is accepted as the host of a request, but a page of that name may be
 * foreign. */
static bool is_full(const struct name *name, struct str host)
{
    if (name->suffix == NAME_SUFFIX_ALIAS)
        return str_iends(without_dot(host), STR(".localhost"));
    return name->suffix != NAME_SUFFIX_NONE && name->suffix != NAME_SUFFIX_SVC;
}

/* A full name of a service in the same namespace as the target, and of the same cluster. */
static bool is_neighbour(const struct request *r, struct str host)
{
    const struct name *service = &r->target->route.name;
    struct name name;

    if (service->kind == NAME_OWN)
        return false;
    naming_read(r->naming, host, &name, NULL);
    bool of_service = name.kind == NAME_SERVICE || name.kind == NAME_ENDPOINT ||
                      name.kind == NAME_DEPLOYMENT;
    return of_service && is_full(&name, host) && str_eq(name.ns, service->ns) &&
           str_eq(name.cluster, service->cluster);
}

static bool is_listed(const struct request *r, struct str page)
{
    const struct string_list *list = &r->config->allow_origin;

    for (size_t i = 0; i < list->count; i++)
        if (origin_pattern_matches(str_of(list->at[i]), page))
            return true;
    return false;
}

/* A page of this machine.  One at 127.1.0.1 or above may be a service's (addresses/), so it counts
 * as a page of its host only. */
static bool is_local_page(struct str host)
{
    struct sockaddr_storage a = { 0 };

    if (!host_is_loopback(host))
        return false;
    if (!address_parse(host, &a) || a.ss_family != AF_INET)
        return true;
    return ntohl(((const struct sockaddr_in *)&a)->sin_addr.s_addr) >> 16 == 0x7f00;
}

/* `page`: an origin as browsers write it. */
static bool is_own(const struct request *r, struct str page)
{
    struct web_origin o;

    if (is_listed(r, page))
        return true;
    if (!web_origin_parse(page, &o) || !web_origin_is_http(&o))
        return false;
    return is_local_page(o.host) ||
           str_ieq(without_dot(o.host), without_dot(r->target->host)) ||
           is_neighbour(r, o.host);
}

/* The first Origin that is foreign, or any that is not, or NULL: there is none. */
static const struct http1_field *find_origin(const struct request *r, bool *ret_foreign)
{
    const struct http1_field *found = NULL;

    *ret_foreign = false;
    for (size_t i = 0; i < r->head->count && !*ret_foreign; i++) {
        if (r->head->fields[i].id != FIELD_ORIGIN)
            continue;
        found = &r->head->fields[i];
        *ret_foreign = !is_own(r, found->value);
    }
    return found;
}

static bool has(const struct http1_head *head, enum http1_name id, struct str value)
{
    for (size_t i = 0; i < head->count; i++)
        if (head->fields[i].id == id && str_ieq(head->fields[i].value, value))
            return true;
    return false;
}

/* The registrable domain of web.shop.localhost is shop.localhost, its namespace, unless a
 * cluster has that label; that of web.shop.svc.localhost is svc.localhost, that of
 * web.shop.prod.localhost is prod.localhost, a cluster, and that of full names the zone's. */
static bool site_spans_namespaces(const struct rules *rules, const struct name *name)
{
    if (name->kind == NAME_OWN || name->suffix == NAME_SUFFIX_NONE)
        return false;
    return name->suffix != NAME_SUFFIX_LOCALHOST || !str_empty(name->cluster) ||
           (rules->is_label && rules->is_label(rules->owner, name->ns));
}

/* On an exposed port the route does not come from Host. */
static bool host_spans_namespaces(const struct request *r)
{
    struct name name;

    if (!r->target->exposed)
        return site_spans_namespaces(r->rules, &r->target->route.name);
    naming_read(r->naming, r->target->host, &name, NULL);
    return name.kind != NAME_INVALID && site_spans_namespaces(r->rules, &name);
}

static enum distance distance_of(const struct request *r)
{
    if (has(r->head, FIELD_SEC_FETCH_SITE, STR("cross-site")))
        return FAR;
    bool same_site = has(r->head, FIELD_SEC_FETCH_SITE, STR("same-site"));
    return same_site && host_spans_namespaces(r) ? SAME_TLD : NEAR;
}

static bool may_change(const struct http1_head *head)
{
    return head->upgrade || !http1_safe(head->method);
}

/* A link that was followed, or a new window: the page that it leads to takes the place of
 * the page that it came from, or stands beside it. */
static bool is_visit(const struct http1_head *head)
{
    return !may_change(head) && has(head, FIELD_SEC_FETCH_MODE, STR("navigate")) &&
           has(head, FIELD_SEC_FETCH_DEST, STR("document"));
}

static struct str referer_of(const struct http1_head *head)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_ieq(head->fields[i].name, STR("Referer")))
            return head->fields[i].value;
    return STR("");
}

/* "https://app.example/path" without its path; "null" where there is none. */
static struct str referring_page(const struct http1_head *head)
{
    struct str url = referer_of(head);
    struct web_origin any;
    size_t end = 0;

    for (unsigned slashes = 0; end < url.len; end++)
        if (url.at[end] == '/' && ++slashes == 3)
            break;
    struct str page = str_first(url, end);
    return web_origin_parse(page, &any) ? page : STR("null");
}

static enum err refuse_page(struct refusal *why, enum cause cause, struct str page)
{
    *why = (struct refusal){ .cause = cause, .subject = page };
    return ERR_FORBIDDEN;
}

static enum err check_page(const struct request *r, struct refusal *why)
{
    bool foreign;
    const struct http1_field *origin = find_origin(r, &foreign);

    if (foreign && may_change(r->head))
        return refuse_page(why, CAUSE_FOREIGN_ORIGIN, origin->value);
    enum distance distance = distance_of(r);
    if ((origin && !foreign) || distance == NEAR || is_visit(r->head))
        return OK;
    struct str page = origin ? origin->value : referring_page(r->head);
    if (!origin && (distance == FAR ? is_listed(r, page) : is_own(r, page)))
        return OK;
    return refuse_page(why, CAUSE_CROSS_SITE, page);
}

/* On an exposed port programs may send any Host: that of an ingress controller chooses a
 * site.  A browser that sends a foreign one may be showing a page of that host. */
bool policy_is_browser(const struct http1_head *head)
{
    const struct str prefix = STR("sec-fetch-");

    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *f = &head->fields[i];
        if (f->id == FIELD_ORIGIN || str_ieq(str_first(f->name, prefix.len), prefix))
            return true;
        if (f->id == FIELD_USER_AGENT && memmem(f->value.at, f->value.len, "Mozilla/", 8))
            return true;
    }
    return false;
}

/* One of the names that lead to the same service or pod. */
static bool is_name_of_target(const struct request *r)
{
    const struct name *own = &r->target->route.name;
    struct name name;

    naming_read(r->naming, r->target->host, &name, NULL);
    if (name.kind == NAME_INVALID || name.kind == NAME_OWN || !str_eq(name.ns, own->ns) ||
        !str_eq(name.cluster, own->cluster))
        return false;
    if (name.suffix == NAME_SUFFIX_NONE && !config_short_names(r->config))
        return false;
    if ((own->kind == NAME_POD) != (name.kind == NAME_POD) ||
        (own->kind == NAME_DEPLOYMENT) != (name.kind == NAME_DEPLOYMENT))
        return false;
    return own->kind == NAME_POD ? str_eq(name.endpoint, own->endpoint)
                                 : str_eq(name.service, own->service);
}

/* The browser requested this host from its proxy, so the page is not of another one. */
static bool is_proxied_host(const struct request *r)
{
    const char *host = r->target->exposed->proxied;

    return host && str_ieq(without_dot(str_of(host)), without_dot(r->target->host));
}

static bool is_allowed_host(const struct request *r)
{
    const struct string_list *list = &r->config->allow_host;

    for (size_t i = 0; i < list->count; i++)
        if (host_pattern_matches(str_of(list->at[i]), r->target->host))
            return true;
    return false;
}

/* "web", "web.shop" or "web.shop.svc" of a program with a search list.  The first two could be
 * hosts of other pages, so not for browsers. */
static bool is_short_host(const struct request *r)
{
    struct str full = str_of(r->target->route.name.text),
               host = without_dot(r->target->host);

    return !policy_is_browser(r->head) && !str_empty(host) && host.len < full.len &&
           full.at[host.len] == '.' && str_ieq(str_first(full, host.len), host);
}

/* At the address of a service every client needs a Host of it: a name of a web page that leads
 * here is no such one (DNS rebinding).  HTTP/1.0 without Host is not a browser's. */
static enum err check_host_of_address(const struct request *r, struct refusal *why)
{
    const struct target *t = r->target;

    if (str_eq(t->host, str_of(t->exposed->address)) || is_name_of_target(r) ||
        is_short_host(r) || is_allowed_host(r) ||
        (!r->head->host && !policy_is_browser(r->head)))
        return OK;
    *why = (struct refusal){
        .cause = CAUSE_HOST_OF_ADDRESS,
        .subject = t->host,
        .name = &t->route.name,
    };
    return ERR_FORBIDDEN;
}

static enum err check_host(const struct request *r, struct refusal *why)
{
    const struct target *t = r->target;

    if (t->exposed && t->exposed->address[0])
        return check_host_of_address(r, why);
    if (!t->exposed || t->exposed->any_host || !policy_is_browser(r->head) ||
        host_is_loopback(t->host) || is_proxied_host(r) || is_name_of_target(r) ||
        is_allowed_host(r))
        return OK;
    *why = (struct refusal){
        .cause = CAUSE_FOREIGN_HOST,
        .subject = t->host,
        .name = &t->route.name,
    };
    return ERR_FORBIDDEN;
}

bool policy_opens(const struct config *config, struct str ns)
{
    if (listed(&config->deny_namespace, ns))
        return false;
    return !config->allow_namespace.count || listed(&config->allow_namespace, ns);
}

bool policy_allows_proxy(const struct config *config, bool loopback)
{
    return config->proxy == AUTO_BOOL_TRUE ||
           (config->proxy == AUTO_BOOL_AUTO && loopback);
}

enum err policy_check_namespace(const struct config *config, const struct name *name,
                                struct refusal *why)
{
    struct str ns = name->ns;

    bool unknown = name->kind == NAME_ADDRESS || name->kind == NAME_OUTSIDE;
    if (unknown || policy_opens(config, ns))
        return OK;
    *why = (struct refusal){
        .cause = listed(&config->deny_namespace, ns) ? CAUSE_NAMESPACE_DENIED
                                                     : CAUSE_NAMESPACE_UNLISTED,
        .subject = ns,
    };
    return ERR_FORBIDDEN;
}

enum err policy_check(const struct rules *rules, const struct http1_head *head,
                      const struct target *target, struct refusal *why)
{
    const struct config *config = rules->config;
    const struct request r = { config, rules->naming, rules, head, target };

    /* Any page may send requests there without a proxy, too. */
    if (target->route.name.kind == NAME_OUTSIDE)
        return OK;
    enum err e = check_host(&r, why);
    if (!e)
        e = check_page(&r, why);
    if (e || target->route.name.kind == NAME_OWN)
        return e;
    return policy_check_namespace(config, &target->route.name, why);
}

bool policy_stays_in_namespace(const struct rules *rules, const struct http1_head *head,
                               const struct target *target)
{
    const struct request r = { rules->config, rules->naming, rules, head, target };
    bool trusted = false;

    for (size_t i = 0; i < head->count; i++) {
        struct str page = head->fields[i].value;
        struct web_origin o;
        if (head->fields[i].id != FIELD_ORIGIN)
            continue;
        trusted =
            is_listed(&r, page) || (web_origin_parse(page, &o) && is_local_page(o.host));
        if (!trusted)
            return true;
    }
    return !trusted && policy_is_browser(head);
}
