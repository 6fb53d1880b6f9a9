/* listen/wanted.c - which listeners a configuration asks for, and how each is bound */
#include "listen/wanted.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"

LOG_MODULE(listen);

#define HTTP_PORT 80
#define FALLBACK_PORT 8080
#define TLS_PORT 443
#define TLS_FALLBACK_PORT 8443

/* --- the list --- */

static void add(struct wanted_list *list, struct wanted w)
{
    list->at = xrealloc(list->at, (list->count + 1) * sizeof(*list->at));
    list->at[list->count++] = w;
}

static void add_port(struct wanted_list *list, enum wanted_kind kind, uint16_t port,
                     const char *flag)
{
    add(list, (struct wanted){ .kind = kind, .address.port = port, .flag = flag });
}

static enum err add_exposed(struct wanted_list *list, const struct config *config,
                            struct diag *why)
{
    struct str zone = str_of(config->cluster_domain);
    enum err e = OK;

    for (size_t i = 0; !e && i < config->expose.count; i++) {
        const struct expose *x = &config->expose.at[i];
        struct exposed *exposed = NULL;
        e = exposed_create(x, zone, &exposed, why);
        if (!e)
            add(list, (struct wanted){ .kind = WANTED_EXPOSED,
                                       .address = x->local,
                                       .expose = x,
                                       .exposed = exposed });
    }
    return e;
}

static size_t address_count(const struct listen_list *list)
{
    size_t count = 0;

    for (size_t i = 0; i < list->count; i++)
        count += !listen_is_bridge(&list->at[i]);
    return count;
}

enum err wanted_of(const struct config *config, bool inherited, bool in_pod,
                   struct wanted_list *ret, struct diag *why)
{
    size_t addresses = address_count(&config->listen);
    bool by_default = !inherited && !addresses && !config->port;

    *ret = (struct wanted_list){ .in_pod = in_pod };
    for (size_t i = 0; i < config->listen.count; i++)
        if (!listen_is_bridge(&config->listen.at[i])) /* listen/bridge.h */
            add(ret, (struct wanted){ .kind = WANTED_ADDRESS,
                                      .address = config->listen.at[i],
                                      .flag = "--listen" });
    if (!addresses && config->port)
        add_port(ret, WANTED_ADDRESS, config->port, "--port");
    if (by_default)
        add_port(ret, WANTED_DEFAULT, HTTP_PORT, NULL);
    if (config->tls_port == COUNT_AUTO) {
        if (by_default && !in_pod)
            add_port(ret, WANTED_DEFAULT_TLS, TLS_PORT, NULL);
    } else if (config->tls_port) {
        add_port(ret, WANTED_ADDRESS, (uint16_t)config->tls_port, "--tls-port");
    }
    return add_exposed(ret, config, why);
}

void wanted_finish(struct wanted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        exposed_unref(list->at[i].exposed);
    free(list->at);
    *list = (struct wanted_list){ 0 };
}

void wanted_key(const struct wanted *w, bool in_pod, char ret[static WANTED_KEY_SIZE])
{
    struct listen_address a = w->address;
    char text[LISTEN_TEXT_SIZE];

    if (!a.host[0])
        snprintf(a.host, sizeof(a.host), "%s", in_pod ? "*" : "localhost");
    listen_address_print(&a, text);
    if (a.port == 0 && w->expose)
        snprintf(ret, WANTED_KEY_SIZE, "%s %s:%s", text, w->expose->name,
                 w->expose->port);
    else
        snprintf(ret, WANTED_KEY_SIZE, "%s", text);
}

bool wanted_next_port(struct wanted *w)
{
    if (w->kind == WANTED_DEFAULT && w->address.port == HTTP_PORT)
        w->address.port = FALLBACK_PORT;
    else if (w->kind == WANTED_DEFAULT_TLS && w->address.port == TLS_PORT)
        w->address.port = TLS_FALLBACK_PORT;
    else
        return false;
    return true;
}

/* --- binding --- */

/* The message about a port that is not available also names the flag that chooses another. */
static enum err advise(enum err e, const char *how, struct diag *why)
{
    if (e != ERR_IN_USE && e != ERR_ACCESS)
        return e;
    struct diag old = *why;
    return diag_set(why, e, "%s; choose another with %s", old.text, how);
}

static enum err explain_exposed(enum err e, const struct expose *x, struct diag *why)
{
    AUTO_FREE char *how = xasprintf("--expose %s:%s=LOCAL", x->name, x->port);

    advise(e, how, why);
    return diag_prefix(why, e, "expose %s:%s", x->name, x->port);
}

static void log_fallback(void)
{
    char program[PATH_MAX] = "";
    bool known = readlink("/proc/self/exe", program, sizeof(program) - 1) > 0;
    AUTO_FREE char *setcap = xasprintf("sudo setcap cap_net_bind_service=+ep %s",
                                       known ? program : "kube-tunnel");

    log_warn(NO_ID,
             "port 80 needs a privilege, so it is port 8080 for now "
             "(curl http://SERVICE.NAMESPACE.localhost:8080/); three ways to get 80:",
             LOG_S("setcap", setcap),
             LOG_S("sysctl", "sudo sysctl net.ipv4.ip_unprivileged_port_start=80"),
             LOG_S("systemd", "sudo systemctl enable --now kube-tunnel.socket"));
}

/* Names the default in the message, because no setting has this port. */
static enum err explain_default(enum err e, uint16_t port, struct diag *why)
{
    if (e == ERR_IN_USE && port == FALLBACK_PORT) {
        struct diag old = *why;
        diag_set(why, e, "%s (instead of 80, which needs a privilege)", old.text);
    }
    return advise(e, "--port or --listen", why);
}

/* In a pod there is no fallback to 8080: its manifest must allow port 80, and another port
 * would hide that it does not. */
static enum err bind_default(struct wanted *w, bool in_pod, struct listen_sockets *ret,
                             struct diag *why)
{
    enum err e = listen_sockets_bind(&w->address, in_pod, ret, why);

    if (e == ERR_ACCESS && !in_pod && wanted_next_port(w)) {
        e = listen_sockets_bind(&w->address, in_pod, ret, why);
        if (!e)
            log_fallback();
    }
    return e ? explain_default(e, w->address.port, why) : OK;
}

/* Without a setting it is no error if neither port can be bound. */
static enum err bind_default_tls(struct wanted *w, bool in_pod,
                                 struct listen_sockets *ret)
{
    struct diag why = { "" }, again = { "" };

    if (!listen_sockets_bind(&w->address, in_pod, ret, &why))
        return OK;
    wanted_next_port(w);
    if (!listen_sockets_bind(&w->address, in_pod, ret, &again)) {
        log_info(NO_ID, "https:// URLs need a port: 443 cannot be had, 8443 is used",
                 LOG_S("reason", why.text));
        return OK;
    }
    log_info(NO_ID,
             "https:// URLs need the port of this listener: neither 443 nor "
             "8443 can be had",
             LOG_S("reason", why.text));
    *ret = (struct listen_sockets){ .count = 0 };
    return OK;
}

enum err wanted_bind(struct wanted *w, bool in_pod, struct listen_sockets *ret,
                     struct diag *why)
{
    enum err e;

    switch (w->kind) {
    case WANTED_DEFAULT:
        return bind_default(w, in_pod, ret, why);
    case WANTED_DEFAULT_TLS:
        return bind_default_tls(w, in_pod, ret);
    case WANTED_EXPOSED:
        e = listen_sockets_bind(&w->address, in_pod, ret, why);
        return e ? explain_exposed(e, w->expose, why) : OK;
    case WANTED_ADDRESS:
        break;
    }
    return advise(listen_sockets_bind(&w->address, in_pod, ret, why), w->flag, why);
}

uint16_t wanted_default_port(bool in_pod)
{
    struct listen_address address = { .port = HTTP_PORT };
    struct listen_sockets sockets = { .count = 0 };
    enum err e = listen_sockets_bind(&address, in_pod, &sockets, NULL);

    for (size_t i = 0; i < sockets.count; i++)
        close(sockets.fds[i]);
    return e == ERR_ACCESS && !in_pod ? FALLBACK_PORT : HTTP_PORT;
}

/* Binds one and closes it again. */
static enum err check_one(struct wanted *w, bool in_pod, struct diag *why)
{
    struct listen_sockets sockets = { .count = 0 };
    enum err e = wanted_bind(w, in_pod, &sockets, why);

    for (size_t i = 0; !e && i < sockets.count; i++)
        close(sockets.fds[i]);
    if (!e && !sockets.count)
        w->address.port = 0;
    return e;
}

enum err wanted_check(const struct config *config, bool in_pod, char *ret, size_t size,
                      struct diag *why)
{
    AUTO(wanted_finish) struct wanted_list list;
    enum err e = wanted_of(config, false, in_pod, &list, why);
    size_t used = 0;

    ret[0] = '\0';
    for (size_t i = 0; !e && i < list.count; i++) {
        char text[LISTEN_TEXT_SIZE];
        e = check_one(&list.at[i], in_pod, why);
        listen_address_print(&list.at[i].address, text);
        if (!e && list.at[i].address.port && used < size)
            used +=
                (size_t)snprintf(ret + used, size - used, "%s%s", used ? ", " : "", text);
    }
    return e;
}
