/* upstream/missing.c - rights that were missing: said in the log once */
#include "upstream/missing.h"

#include "base/own.h"
#include "rights/role.h"

LOG_MODULE(upstream);

#define SAID_MAX 256 /* then they are said again */

void missing_init(struct missing *m)
{
    map_init(&m->said);
}

void missing_finish(struct missing *m)
{
    map_finish(&m->said);
}

static bool is_news(struct missing *m, const struct lease *lease)
{
    AUTO_FREE char *key = xasprintf("%s %s %s", lease->missing_ns, lease->missing_verb,
                                    lease->missing_resource);

    if (map_get(&m->said, str_of(key)))
        return false;
    if (m->said.count == SAID_MAX) {
        map_finish(&m->said);
        map_init(&m->said);
    }
    map_set(&m->said, str_of(key), m);
    return true;
}

void missing_note(struct missing *m, const struct lease *lease, struct log_id id)
{
    if (!lease->missing_verb || !lease->missing_resource || !is_news(m, lease))
        return;
    AUTO_FREE char *role = role_line(&(struct role){
        .level = ROLE_LOOKUP, .name = ROLE_NAME, .ns = lease->missing_ns });
    AUTO_FREE char *command =
        xasprintf("kube-tunnel rbac --namespace %s --user NAME | kubectl apply -f -",
                  lease->missing_ns);
    log_warn(id, "a right is missing", LOG_S("verb", lease->missing_verb),
             LOG_S("resource", lease->missing_resource),
             LOG_S("namespace", lease->missing_ns), LOG_S("grant_and_bind", command),
             LOG_S("role", role));
}
