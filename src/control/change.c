/* control/change.c - operations that change the running process */
#include "control/change.h"

#include "control/control_state.h"

static enum err changed(struct answer *ret, const char *what)
{
    answer_json(ret, 202, json_pack("{s:s}", "state", what));
    return OK;
}

enum err change_stop(struct operation *op, struct answer *ret)
{
    const struct control_orders *o = &op->control->parts.orders;

    o->stop(o->owner, json_is_true(json_object_get(op->body, "now")));
    return changed(ret, "stopping");
}

enum err change_drain(struct operation *op, struct answer *ret)
{
    const struct control_orders *o = &op->control->parts.orders;

    o->drain(o->owner);
    return changed(ret, "draining");
}

enum err change_reload(struct operation *op, struct answer *ret)
{
    const struct control_orders *o = &op->control->parts.orders;
    struct diag why = { "" };
    enum err e = o->reload ? o->reload(o->owner, &why) : ERR_UNSUPPORTED;

    if (e)
        answer_error(ret, e == ERR_UNSUPPORTED ? 501 : 422, "not_reloaded",
                     "kube-tunnel config check",
                     "the configuration was not loaded, the old one stays: %s",
                     diag_text(&why, e));
    else
        answer_json(ret, 200, json_pack("{s:s}", "state", "reloaded"));
    return OK;
}
