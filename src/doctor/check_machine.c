/* doctor/check_machine.c - checks of this machine: configuration, limits, ports, proxies of
 * clients */
#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "daemon/process.h"
#include "daemon/refusals.h"
#include "doctor/checks.h"
#include "listen/listen.h"
#include "listen/port_owner.h"
#include "net/proxy.h"

#define HTTP_PORT 80
#define PORTS_SHOWN 24

void check_configuration(struct doctor *d, struct finding *f)
{
    struct diag why = d->question->why;
    enum err e = d->config ? refusals_check(d->config, &why) : ERR_CONFIG;

    if (e) {
        found(f, FINDING_FAILED, "%s", diag_text(&why, e));
        found_fix(f, "correct it, then: kube-tunnel config check");
    } else if (d->config->files.count) {
        const struct string_list *files = &d->config->files;
        found(f, FINDING_OK, "%s%s", files->at[files->count - 1],
              files->count > 1 ? " and another file" : "");
    } else {
        found(f, FINDING_OK, "no configuration file: defaults");
    }
}

void check_limits(struct doctor *d, struct finding *f)
{
    size_t wanted = d->config->max_connections;
    struct client_limit limit = process_client_limit(wanted);

    if (limit.clients >= wanted) {
        found(f, FINDING_OK, "%zu open files are enough for %zu clients", limit.files,
              wanted);
        return;
    }
    found(f, FINDING_WARNING,
          "%zu open files are enough for %zu clients, and max-connections is %zu",
          limit.files, limit.clients, wanted);
    found_fix(f, "raise the limit (ulimit -n, LimitNOFILE= of the unit), or lower "
                 "--max-connections");
}

/* The message of a port in use names the process where it is visible. */
static bool is_kube_tunnel(const struct diag *why)
{
    return strstr(why->text, "by kube-tunnel (pid") != NULL;
}

void check_ports(struct doctor *d, struct finding *f)
{
    struct diag why = { "" };
    char ports[160];
    enum err e = listen_check(d->config, in_pod(), ports, sizeof(ports), &why);

    if (!e) {
        found(f, FINDING_OK, "free: %s", ports);
    } else if (is_kube_tunnel(&why)) {
        found(f, FINDING_OK, "a kube-tunnel runs: %s", why.text);
    } else {
        found(f, FINDING_FAILED, "%s", diag_text(&why, e));
        found_fix(f, e == ERR_IN_USE ? "stop that process, or choose another port, for "
                                       "example: kube-tunnel --port 8080"
                                     : "choose a port above 1023, for example: "
                                       "kube-tunnel --port 8080");
    }
}

/* Servers on all addresses have their ports at the addresses of services, too. */
void check_addresses(struct doctor *d, struct finding *f)
{
    uint16_t ports[PORTS_SHOWN];
    size_t count = ports_on_all_addresses(ports, PORTS_SHOWN);
    bool low = listen_default_port(false) == HTTP_PORT;
    char text[PORTS_SHOWN * 8] = "";
    size_t len = 0;
    (void)d;

    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%u", i ? ", " : "",
                                ports[i]);
    if (count)
        found(f, FINDING_OK,
              "servers of this machine that listen on 0.0.0.0 or :: have these ports at "
              "the "
              "addresses of services, too: %s%s",
              text, low ? "" : "; ports below 1024 need a right");
    else
        found(f, FINDING_OK, "no other server has ports at the addresses of services%s",
              low ? "" : "; ports below 1024 need a right");
    if (!low)
        found_fix(f, "sudo sysctl net.ipv4.ip_unprivileged_port_start=80");
}

static const char *set_variable(const char *name, const char *other)
{
    const char *value = getenv(name);

    if (!value || !value[0])
        value = getenv(other);
    return value && value[0] ? value : NULL;
}

/* Programs started from this environment send requests for services to their proxy. */
void check_client_proxy(struct doctor *d, struct finding *f)
{
    const char *proxy = set_variable("http_proxy", "HTTP_PROXY");
    const char *except = set_variable("no_proxy", "NO_PROXY");
    (void)d;

    if (!proxy) {
        found(f, FINDING_OK, "programs send requests for services directly");
        return;
    }
    if (except && proxy_excludes(except, "web.shop.localhost", 80)) {
        found(f, FINDING_OK, "NO_PROXY keeps requests for services from the proxy");
        return;
    }
    found(f, FINDING_WARNING,
          "http_proxy is set, and no_proxy lacks localhost: programs send requests for "
          "services to the proxy");
    found_fix(f, "export no_proxy=localhost,127.0.0.1%s%s", except ? "," : "",
              except ? except : "");
}
