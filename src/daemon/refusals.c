/* daemon/refusals.c - settings that ask for what this version cannot do */
#include "daemon/refusals.h"

#include "base/own.h"
#include "config/setting.h"

static enum err refuse(const struct config *config, enum setting_id id, struct diag *why)
{
    const struct setting *s = &settings[id];
    AUTO_FREE char *value = setting_print(s, config);
    AUTO_FREE char *origin = setting_origin(s, config);

    return diag_set(why, ERR_CONFIG, "%s=%s (%s) is not available in this version",
                    s->name, value, origin);
}

enum err refusals_check(const struct config *c, struct diag *why)
{
    if (c->upstream == UPSTREAM_DIRECT)
        return refuse(c, SETTING_upstream, why);
    return OK;
}
