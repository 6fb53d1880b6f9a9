#include "tunnel/failure_log.h"

#include "base/log.h"

LOG_MODULE(tunnel);

#define ROW_MS 5000 /* failures with a longer interval belong to different rows */

bool failure_log_goes_on(const struct failure_log *l, uint64_t now)
{
    return l->count && now - l->last < ROW_MS;
}

void failure_log_end(struct failure_log *l, bool success, uint64_t now)
{
    uint32_t count = l->count;
    uint64_t seconds = (now - l->first) / 1000;

    l->count = 0;
    l->first = l->last = l->reason = 0;
    if (count < 2)
        return;
    if (success)
        log_info(CLUSTER_ID(l->cluster), "port-forward works again", LOG_S("pod", l->pod),
                 LOG_U("failed_dials", count), LOG_U("seconds", seconds));
    else
        log_warn(CLUSTER_ID(l->cluster), "port-forward failed, no further dials",
                 LOG_S("pod", l->pod), LOG_U("failed_dials", count),
                 LOG_U("seconds", seconds));
}

void failure_log_add(struct failure_log *l, const struct api_error *error, uint64_t now)
{
    const char *reason = diag_text(&error->why, error->code);
    uint64_t hash = str_hash(str_of(reason));

    if (l->count && !failure_log_goes_on(l, now))
        failure_log_end(l, false, now);
    bool repeated = l->count && l->reason == hash;
    bool logged = error->code == ERR_CREDENTIALS; /* once, in kube/ */

    if (!l->count)
        l->first = now;
    l->last = now;
    l->count++;
    l->reason = hash;
    if (repeated || logged)
        log_debug(CLUSTER_ID(l->cluster), "port-forward failed again",
                  LOG_S("pod", l->pod), LOG_I("status", error->status),
                  LOG_S("reason", reason));
    else
        log_warn(CLUSTER_ID(l->cluster), "port-forward failed", LOG_S("pod", l->pod),
                 LOG_I("status", error->status), LOG_S("reason", reason));
}
