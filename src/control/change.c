/* control/change.c - operations that change the running process */
#include "control/change.h"

#include "base/own.h"
#include "config/change.h"
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

static json_t *changes_json(const struct setting_changes *changes)
{
    json_t *list = json_array();

    for (size_t i = 0; i < changes->count; i++) {
        const struct setting_change *c = &changes->at[i];
        json_array_append_new(
            list, json_pack("{s:s, s:o, s:o, s:o, s:b}", "setting", c->setting->name,
                            "before", json_text(c->before), "after", json_text(c->after),
                            "from", json_text(c->origin), "restart", (int)c->restart));
    }
    return list;
}

static enum err reload(struct operation *op, bool preview, struct answer *ret)
{
    const struct control_orders *o = &op->control->parts.orders;
    AUTO(setting_changes_finish) struct setting_changes changes = { 0 };
    struct diag why = { "" };
    enum err e =
        o->reload ? o->reload(o->owner, preview, &changes, &why) : ERR_UNSUPPORTED;

    if (e)
        answer_error(ret, e == ERR_UNSUPPORTED ? 501 : 422, "not_reloaded",
                     "kube-tunnel config check",
                     "the configuration was not loaded, the old one stays: %s",
                     diag_text(&why, e));
    else
        answer_json(ret, 200,
                    json_pack("{s:s, s:o}", "state", preview ? "running" : "reloaded",
                              "changes", changes_json(&changes)));
    return OK;
}

enum err change_reload(struct operation *op, struct answer *ret)
{
    return reload(op, false, ret);
}

enum err change_preview(struct operation *op, struct answer *ret)
{
    return reload(op, true, ret);
}
