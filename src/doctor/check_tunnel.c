/* doctor/check_tunnel.c - open a tunnel to a port of a pod, and see whether it is refused */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/own.h"
#include "catalog/objects.h"
#include "cluster/settings.h"
#include "daemon/cluster_settings.h"
#include "doctor/checks.h"
#include "tunnel/tunnels.h"

#define CALL_MS 10000
#define SLICES_MAX 100 /* of the first page */
#define SETTLE_MS 400  /* a container's refusal comes within this */

/* --- which pod --- */

static const char *text_at(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}

static const json_t *find_ready(const json_t *slice)
{
    const json_t *list = json_object_get(slice, "endpoints");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const json_t *pod = json_object_get(e, "targetRef");
        const json_t *ready = json_object_get(json_object_get(e, "conditions"), "ready");
        if (!json_is_false(ready) && strcmp(text_at(pod, "kind"), "Pod") == 0)
            return pod;
    }
    return NULL;
}

static uint16_t find_tcp_port(const json_t *slice)
{
    const json_t *list = json_object_get(slice, "ports");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *p = json_array_get(list, i);
        const char *protocol = text_at(p, "protocol");
        json_int_t port = json_integer_value(json_object_get(p, "port"));
        if ((!protocol[0] || strcmp(protocol, "TCP") == 0) && port > 0 &&
            port <= UINT16_MAX)
            return (uint16_t)port;
    }
    return 0;
}

/* As in the catalog: the API server checks neither the name nor the namespace of a targetRef,
 * and a user with rights in one namespace may write it. */
static bool is_usable(const json_t *pod, const char *ns)
{
    const char *its = text_at(pod, "namespace");

    return is_plain_name(str_of(ns)) && is_plain_name(str_of(text_at(pod, "name"))) &&
           (!its[0] || strcmp(its, ns) == 0);
}

static void add_slice(struct doctor *d, const json_t *slice)
{
    const json_t *metadata = json_object_get(slice, "metadata");
    const json_t *labels = json_object_get(metadata, "labels");
    const char *service = text_at(labels, "kubernetes.io/service-name");
    const char *ns = text_at(metadata, "namespace");
    const json_t *pod = find_ready(slice);
    uint16_t port = find_tcp_port(slice);

    if (!pod || !is_usable(pod, ns) || !port || d->candidate_count == CANDIDATES)
        return;
    struct candidate *c = &d->candidates[d->candidate_count++];
    c->service = xstrdup(service);
    c->ns = xstrdup(ns);
    c->pod = xstrdup(text_at(pod, "name"));
    c->uid = xstrdup(text_at(pod, "uid"));
    c->key = xasprintf("%s/%s/%s", ns, c->pod, c->uid);
    c->port = port;
}

static void on_slices(void *owner, json_t *object)
{
    const json_t *items = json_object_get(object, "items");

    for (size_t i = 0; i < json_array_size(items); i++)
        add_slice(owner, json_array_get(items, i));
}

static char *path_of_slices(const struct doctor *d)
{
    static const char base[] = "/apis/discovery.k8s.io/v1";
    const struct doctor_question *q = d->question;

    if (!str_empty(q->service))
        return xasprintf("%s/namespaces/%.*s/endpointslices?labelSelector="
                         "kubernetes.io%%2Fservice-name%%3D%.*s",
                         base, STR_ARG(q->ns), STR_ARG(q->service));
    if (d->in_namespace)
        return xasprintf("%s/namespaces/%s/endpointslices?limit=%d", base,
                         api_target(d->api)->ns, SLICES_MAX);
    return xasprintf("%s/endpointslices?limit=%d", base, SLICES_MAX);
}

static void begin_slices(struct doctor *d)
{
    AUTO_FREE char *path = path_of_slices(d);

    d->slices = (struct api_call){ .on_object = on_slices, .owner = d, .wake = &d->task };
    api_get(d->api, &d->slices, path, CALL_MS);
}

/* True: the list is complete, or it failed, which *f has then. */
static bool list_slices(struct doctor *d, struct finding *f)
{
    if (check_begins(d, CHECK_TUNNEL))
        begin_slices(d);
    if (d->slices.result == ERR_FORBIDDEN && !d->in_namespace &&
        str_empty(d->question->service)) {
        api_call_finish(&d->slices);
        d->in_namespace = true;
        begin_slices(d);
    }
    if (d->slices.result == ERR_AGAIN)
        return false;
    if (d->slices.result)
        found_error(f, d->slices.result, &d->slices.error.why);
    return true;
}

/* --- the tunnel --- */

static void on_settle(struct timer *t)
{
    struct doctor *d = container_of(t, struct doctor, settle);

    d->settled = true;
    task_wake(&d->task);
}

static enum err create_tunnels(struct doctor *d, struct diag *why)
{
    struct tunnel_settings settings = cluster_settings_of(d->config).tunnels;

    settings.connect_ahead = settings.dial_ahead = false;
    settings.prewarmed = 0;
    timer_init(&d->settle, loop_sched(d->loop), on_settle);
    return tunnels_create(d->loop, d->transfers, d->api, &settings, &d->tunnels, why);
}

static void begin_opening(struct doctor *d)
{
    const struct candidate *c = &d->candidates[d->candidate];
    const struct endpoint endpoint = {
        .refs = 1,
        .ns = c->ns,
        .pod = c->pod,
        .uid = c->uid,
        .key = c->key,
        .hash = map_hash(str_of(c->key)),
        .ready = true,
    };

    d->opened_at = doctor_now(d);
    d->settled = false;
    d->opening = (struct opening){ .alone = true };
    connector_open(tunnels_connector(d->tunnels), &endpoint, c->port, &d->opening,
                   &d->task);
}

static void explain_none(const struct doctor *d, struct finding *f)
{
    const struct doctor_question *q = d->question;

    if (str_empty(q->service)) {
        found(f, FINDING_WARNING, "not tried: no service has a pod that is ready%s%s",
              d->in_namespace ? " in namespace " : "",
              d->in_namespace ? api_target(d->api)->ns : "");
        found_fix(f, "see what there is: kubectl get pods --all-namespaces");
        return;
    }
    found(f, FINDING_FAILED, "service %.*s in namespace %.*s has no pod that is ready",
          STR_ARG(q->service), STR_ARG(q->ns));
    found_fix(f,
              "see why: kubectl -n %.*s describe service %.*s; kubectl -n %.*s get pods",
              STR_ARG(q->ns), STR_ARG(q->service), STR_ARG(q->ns));
}

static void explain_refused(const struct doctor *d, struct finding *f)
{
    const struct candidate *c = &d->candidates[d->candidate_count - 1];

    found(f, str_empty(d->question->service) ? FINDING_WARNING : FINDING_FAILED,
          "the tunnel works, but pod %s/%s refuses connections to port %u: %s", c->ns,
          c->pod, c->port, d->refused.text);
    found_fix(
        f,
        "see whether the container listens on that port, also on 127.0.0.1: kubectl "
        "-n %s get pod %s -o yaml; kubectl -n %s logs %s",
        c->ns, c->pod, c->ns, c->pod);
}

/* The next candidate, or the result if there is none. */
static void go_on_after_refusal(struct doctor *d, struct finding *f,
                                const struct diag *why)
{
    d->refused = *why;
    timer_stop(&d->settle);
    opening_finish(&d->opening);
    if (++d->candidate < d->candidate_count)
        begin_opening(d);
    else
        explain_refused(d, f);
}

static void look_at_opening(struct doctor *d, struct finding *f)
{
    const struct candidate *c = &d->candidates[d->candidate];
    const struct stream *s;

    if (d->opening.result == ERR_AGAIN)
        return;
    if (d->opening.result) {
        found_error(f, d->opening.result, &d->opening.error.why);
        return;
    }
    s = d->opening.stream;
    d->opening.stream->wake = &d->task;
    if (s->end.verdict != V_OPEN && s->end.verdict != V_CLEAN) {
        struct diag why = s->end.why;
        go_on_after_refusal(d, f, &why);
    } else if (!d->settled && !d->settle.at) {
        d->opened_at = doctor_now(d) - d->opened_at;
        timer_set(&d->settle, SETTLE_MS);
    } else if (d->settled) {
        found(f, FINDING_OK, "to pod %s/%s port %u of service %s, open in %" PRIu64 " ms",
              c->ns, c->pod, c->port, c->service, d->opened_at);
    }
}

void check_tunnel(struct doctor *d, struct finding *f)
{
    struct diag why = { "" };

    if (!list_slices(d, f) || f->status != FINDING_PENDING)
        return;
    if (!d->candidate_count) {
        explain_none(d, f);
        return;
    }
    if (!d->tunnels) {
        enum err e = create_tunnels(d, &why);
        if (e) {
            found_error(f, e, &why);
            return;
        }
        begin_opening(d);
    }
    look_at_opening(d, f);
}

void tunnel_finish(struct doctor *d)
{
    if (d->tunnels) {
        timer_stop(&d->settle);
        opening_finish(&d->opening);
        tunnels_destroy(d->tunnels);
    }
    api_call_finish(&d->slices);
    for (size_t i = 0; i < d->candidate_count; i++) {
        struct candidate *c = &d->candidates[i];
        free(c->service);
        free(c->ns);
        free(c->pod);
        free(c->uid);
        free(c->key);
    }
}
