/* upstream/missing.c - log each missing right once, with the role that grants it */
#include "upstream/missing.h"

#include "base/own.h"
#include "rights/role.h"

LOG_MODULE(upstream);

#define LOGGED_MAX                                                                       \
    256 /* entries; a full map is cleared, so that rights are logged again */

void missing_init(struct missing *m)
{
    map_init(&m->logged);
}

void missing_finish(struct missing *m)
{
    map_finish(&m->logged);
}

static bool is_new(struct missing *m, const struct lease *lease)
{
    AUTO_FREE char *key = xasprintf("%s %s %s", lease->missing_ns, lease->missing_verb,
                                    lease->missing_resource);

    if (map_get(&m->logged, str_of(key)))
        return false;
    if (m->logged.count == LOGGED_MAX) {
        map_finish(&m->logged);
        map_init(&m->logged);
    }
    map_set(&m->logged, str_of(key), m);
    return true;
}

void missing_note(struct missing *m, const struct lease *lease, struct log_id id)
{
    if (!lease->missing_verb || !lease->missing_resource || !is_new(m, lease))
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
