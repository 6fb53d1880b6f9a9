/* doctor/check_names.c - does this machine's resolver ask kube-tunnel for names of the cluster? */
#include <netinet/in.h>

#include "base/own.h"
#include "doctor/checks.h"
#include "net/name_lookup.h"
#include "resolver/resolver.h"

#define POLL_MS 20 /* a look-up has no callback */

static const struct machine here = { "" };

/* Every zone has this name: the address of its DNS server. */
#define PROBE "ns.dns"

static const char *domain_of(const struct doctor *d,
                             const struct resolver_installed *installed)
{
    const struct texts *domains = &installed->want.domains;

    for (size_t i = 0; i < domains->count; i++)
        if (strcmp(domains->at[i], d->config->cluster_domain) == 0)
            return domains->at[i];
    return domains->at[0];
}

static bool find_problem(const struct resolver_installed *installed, struct finding *f)
{
    for (size_t i = 0; i < installed->count; i++)
        if (installed->parts[i].problem) {
            found(f, FINDING_WARNING, "%s", installed->parts[i].problem);
            found_fix(f, "kube-tunnel dns repair");
            return true;
        }
    return false;
}

static void on_poll(struct timer *t)
{
    task_wake(&container_of(t, struct doctor, poll)->task);
}

static void begin_lookup(struct doctor *d, const char *domain, struct finding *f)
{
    d->name = xasprintf(PROBE ".%s", domain);
    d->lookup = name_lookup_start(NULL, d->name, 443);
    timer_init(&d->poll, loop_sched(d->loop), on_poll);
    if (!d->lookup)
        found(f, FINDING_WARNING, "no thread for a look-up could be created");
}

static void begin_names(struct doctor *d, struct finding *f)
{
    AUTO(resolver_installed_finish) struct resolver_installed installed = { 0 };
    struct diag why = { "" };
    enum err e = resolver_read(&here, &installed, &why);

    if (e == ERR_NOT_CONFIGURED) {
        found(f, FINDING_OK,
              "this machine's resolver knows nothing of the cluster: kube-tunnel dns "
              "install changes that");
    } else if (e) {
        found(f, FINDING_WARNING, "%s", diag_text(&why, e));
        found_fix(f, "kube-tunnel dns status");
    } else if (!find_problem(&installed, f)) {
        begin_lookup(d, domain_of(d, &installed), f);
        d->domains = installed.want.domains;
        installed.want.domains = (struct texts){ 0 };
    }
}

static bool leads_here(const struct name_lookup *l)
{
    const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)&l->found[0];

    return !l->error && a->sin_family == AF_INET &&
           ntohl(a->sin_addr.s_addr) >> 24 == 127;
}

static void end_lookup(struct doctor *d, struct finding *f)
{
    if (leads_here(d->lookup)) {
        found(f, FINDING_OK, "names are looked up by kube-tunnel: %s",
              d->name + strlen(PROBE "."));
        return;
    }
    AUTO_FREE char *obstacle = resolver_obstacle(&here, &d->domains);
    if (obstacle) {
        found(f, FINDING_WARNING, "%s is not found. %s", d->name, obstacle);
        found_fix(f, "edit that line, or start kube-tunnel if it does not run");
        return;
    }
    found(f, FINDING_WARNING,
          d->lookup->error ? "%s is not found by this machine's resolver"
                           : "%s leads to another address than one of kube-tunnel",
          d->name);
    found_fix(f, "start kube-tunnel if it does not run, then: kube-tunnel dns status");
}

void check_names(struct doctor *d, struct finding *f)
{
    if (check_begins(d, CHECK_NAMES))
        begin_names(d, f);
    if (f->status != FINDING_PENDING)
        return;
    if (atomic_load(&d->lookup->done))
        end_lookup(d, f);
    else
        timer_set(&d->poll, POLL_MS);
}

void names_finish(struct doctor *d)
{
    if (!d->name)
        return;
    timer_stop(&d->poll);
    name_lookup_unref(d->lookup);
    free(d->name);
    texts_finish(&d->domains);
}
