/* resolver/installed.c - what is installed, and whether it is still as it was */
#include "base/own.h"
#include "resolver/backend.h"
#include "resolver/journal.h"
#include "resolver/nsswitch.h"
#include "resolver/print_step.h"

void resolver_installed_finish(struct resolver_installed *i)
{
    resolver_want_finish(&i->want);
    for (size_t n = 0; n < i->count; n++) {
        free(i->parts[n].what);
        free(i->parts[n].problem);
    }
    free(i->parts);
    *i = (struct resolver_installed){ 0 };
}

static struct resolver_part look(const struct machine *m, const struct step *s)
{
    struct diag why = { "" };
    enum step_state state = step_look(m, s, &why);
    struct resolver_part part = { .what = step_name(s), .state = state };

    if (state == STEP_BEFORE)
        part.problem = xasprintf("%s: is missing: kube-tunnel dns repair", s->path);
    if (state == STEP_CHANGED)
        part.problem = xstrdup(why.text);
    return part;
}

enum err resolver_read(const struct machine *m, struct resolver_installed *ret,
                       struct diag *why)
{
    AUTO(journal_finish) struct journal j = { 0 };
    enum err e = journal_read(m, &j, why);

    if (e)
        return e;
    *ret = (struct resolver_installed){
        .want = j.want, .parts = xcalloc(j.plan.count + 1, sizeof(*ret->parts))
    };
    j.want = (struct resolver_want){ 0 };
    for (size_t i = 0; i < j.plan.count; i++)
        if (j.plan.at[i].kind != STEP_COMMAND && j.plan.at[i].kind != STEP_FOLDER)
            ret->parts[ret->count++] = look(m, &j.plan.at[i]);
    return OK;
}

enum err resolver_server(const struct machine *m, char **ret, uint16_t *ret_port,
                         struct diag *why)
{
    AUTO(journal_finish) struct journal j = { 0 };
    enum err e = journal_read(m, &j, why);

    if (e)
        return e;
    *ret = TAKE(j.want.server);
    *ret_port = j.want.port;
    return OK;
}

char *resolver_obstacle(const struct machine *m, const struct texts *domains)
{
    AUTO_FREE char *text = machine_text(m, "/etc/nsswitch.conf");
    AUTO_FREE char *fixed = NULL;
    bool local = false;

    for (size_t i = 0; i < domains->count; i++)
        local = local || str_ends(str_of(domains->at[i]), STR(".local"));
    if (!local || !nsswitch_swallows_local(str_of(text), &fixed))
        return NULL;
    return xasprintf("/etc/nsswitch.conf: mDNS comes before the DNS, and nss-mdns before "
                     "0.11, or with .local in /etc/mdns.allow, ends look-ups of names in "
                     ".local. If they are not found, make its line \"%s\"",
                     fixed);
}
