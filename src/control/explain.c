/* control/explain.c - the operation explain: how a name leads to a pod
 *
 * Follows the steps of a request: the name, the cluster, the settings, then upstream's survey
 * of the objects.  The first step that refuses ends it.
 */
#include "control/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "catalog/service.h"
#include "cluster/cluster.h"
#include "cluster/clusters.h"
#include "config/config.h"
#include "control/control_state.h"
#include "kube/api.h"
#include "kube/target.h"
#include "listen/listen.h"
#include "route/naming.h"
#include "serve/policy.h"
#include "upstream/survey.h"

/* While the survey runs. */
struct explaining {
    json_t *steps;
    struct cluster *cluster; /* a reference */
    struct survey *survey;
};

static void add_step(json_t *steps, const char *step, bool ok, const char *object,
                     const char *finding)
{
    json_t *item = json_object();

    json_object_set_new(item, "step", json_string(step));
    json_object_set_new(item, "ok", json_boolean(ok));
    if (object)
        json_object_set_new(item, "object", json_text(object));
    json_object_set_new(item, "finding", json_text(finding));
    json_array_append_new(steps, item);
}

/* The answer: `pod` NULL: there is none, for the reason of the last step that refused. */
static enum err conclude(struct operation *op, json_t *steps, const char *next,
                         json_t *pod, struct answer *ret)
{
    json_t *whole = json_object();
    AUTO_FREE char *name = query_value(op->query, "name");

    json_object_set_new(whole, "name", json_text(name));
    json_object_set_new(whole, "reachable", json_boolean(pod != NULL));
    json_object_set_new(whole, "steps", steps);
    if (pod)
        json_object_set_new(whole, "pod", pod);
    if (next)
        json_object_set_new(whole, "next", json_text(next));
    answer_json(ret, 200, whole);
    return OK;
}

static enum err refuse(struct operation *op, json_t *steps, const char *step,
                       const char *object, const char *finding, const char *next,
                       struct answer *ret)
{
    add_step(steps, step, false, object, finding);
    return conclude(op, steps, next, NULL, ret);
}

/* "http://web.shop:80/path?query" as "web.shop:80". */
static struct str authority_of(struct str text)
{
    struct str host = text, before;

    if (str_starts(text, STR("http://")))
        host = str_skip(text, 7);
    else if (str_starts(text, STR("https://")))
        host = str_skip(text, 8);
    str_cut(host, '/', &before);
    str_cut(before, '?', &before);
    return before;
}

static const char *kind_text(const struct name *n)
{
    static const char *const texts[] = {
        [NAME_INVALID] = "no name of the cluster",
        [NAME_SERVICE] = "a service",
        [NAME_ENDPOINT] = "one pod of a service",
        [NAME_POD] = "a pod",
        [NAME_DEPLOYMENT] = "the pods of a Deployment",
        [NAME_ADDRESS] = "an address of a service or pod",
        [NAME_OWN] = "kube-tunnel itself",
    };
    return texts[n->kind];
}

static void add_name(json_t *steps, const char *given, const struct route *r)
{
    const struct name *n = &r->name;
    AUTO_FREE char *port = r->port ? xasprintf(", port %u", r->port) : xstrdup("");
    bool alias = n->suffix == NAME_SUFFIX_ALIAS && n->kind != NAME_ADDRESS;
    AUTO_FREE char *finding =
        n->kind == NAME_ADDRESS
            ? xasprintf("%s%s", kind_text(n), port)
            : xasprintf("%s%s, %.*s in namespace %.*s%s%s", alias ? "an alias: " : "",
                        kind_text(n),
                        STR_ARG(n->kind == NAME_POD ? n->endpoint : n->service),
                        STR_ARG(n->ns), port,
                        n->suffix == NAME_SUFFIX_NONE
                            ? " (two labels: only through a proxy, or with --short-names)"
                            : "");

    add_step(steps, "name", true, given, finding);
}

/* NULL: *ret is the route.  A listener's own port is how a client connects, and no port of a
 * service. */
static const char *read_name(const struct control_parts *p, struct str authority,
                             const struct config *config, struct route *ret)
{
    struct listeners *listeners = p->orders.listeners(p->orders.owner);
    struct str host;
    uint16_t port, alias_port = 0;

    if (authority_split(authority, &host, &port) || str_empty(host))
        return "it is no host, or its port is no number from 1 to 65535";
    if (listeners_have_port(listeners, port))
        port = 0;
    if (!name_of_address(host, &ret->name))
        naming_read(p->naming, host, &ret->name, &alias_port);
    if (port && ret->name.suffix == NAME_SUFFIX_ALIAS)
        ret->name.port_name = STR("");
    ret->port = port ? port : alias_port;
    ret->target_port = (uint16_t)config->target_port;
    if (ret->name.kind == NAME_INVALID)
        return ret->name.problem;
    if (ret->name.kind == NAME_OWN)
        return "it is kube-tunnel itself, which serves its own pages there";
    return NULL;
}

static void explaining_cancel(void *work)
{
    struct explaining *x = work;

    survey_close(x->survey);
    cluster_unref(x->cluster);
    json_decref(x->steps);
    free(x);
}

static enum err find_cluster(const struct control_parts *p, const struct route *r,
                             struct cluster **ret, struct diag *why)
{
    struct str label = r->name.cluster;

    if (clusters_need_login(p->clusters, label, why))
        return ERR_CREDENTIALS;
    return clusters_find(p->clusters, label, ret, why);
}

static enum err begin(struct operation *op, struct answer *ret)
{
    const struct control_parts *p = &op->control->parts;
    const struct config *config = p->orders.config(p->orders.owner);
    AUTO_FREE char *given = query_value(op->query, "name");
    struct route route = { 0 };
    struct cluster *cluster = NULL;
    struct diag why = { "" };
    json_t *steps = json_array();

    const char *problem = read_name(p, authority_of(str_of(given)), config, &route);
    if (problem)
        return refuse(op, steps, "name", given, problem, "kube-tunnel list", ret);
    add_name(steps, given, &route);
    if (route.name.kind != NAME_ADDRESS && !policy_opens(config, route.name.ns))
        return refuse(op, steps, "settings", NULL,
                      "its namespace is closed by --deny-namespace or --allow-namespace",
                      "kube-tunnel config show deny-namespace allow-namespace", ret);
    if (find_cluster(p, &route, &cluster, &why))
        return refuse(op, steps, "cluster", NULL, why.text, "kube-tunnel status", ret);
    add_step(steps, "cluster", true, cluster->name,
             str_empty(route.name.cluster) ? "the context of names without a label"
                                           : "the context with the label in the name");
    struct explaining *x = xcalloc(1, sizeof(*x));
    *x = (struct explaining){ steps, cluster, NULL };
    x->survey = survey_open(cluster->upstream, &route, STR("127.0.0.1"), op->wake);
    op->work = x;
    op->cancel = explaining_cancel;
    return ERR_AGAIN;
}

static json_t *pod_of(const struct survey *s)
{
    uint16_t port;
    const struct endpoint *e = survey_endpoint(s, &port);

    if (!e)
        return NULL;
    json_t *pod = json_object();
    json_object_set_new(pod, "namespace", json_text(e->ns));
    json_object_set_new(pod, "name", json_text(e->pod));
    json_object_set_new(pod, "port", json_integer(port));
    if (e->node)
        json_object_set_new(pod, "node", json_text(e->node));
    if (e->ip)
        json_object_set_new(pod, "address", json_text(e->ip));
    return pod;
}

/* Both owned. */
static char *shell_word(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-._:/@";

    if (text[0] && !text[strspn(text, plain)])
        return xstrdup(text);
    char *quoted = xmalloc(4 * strlen(text) + 3), *to = quoted;
    *to++ = '\'';
    for (const char *from = text; *from; from++)
        if (*from == '\'')
            to = stpcpy(to, "'\\''");
        else
            *to++ = *from;
    *to++ = '\'';
    *to = '\0';
    return quoted;
}

/* "kubectl --context NAME": its current context may be another one.  A service account has none. */
static char *kubectl_for(const struct cluster *c)
{
    if (!api_target(c->api)->cluster)
        return xstrdup("kubectl");
    AUTO_FREE char *context = shell_word(c->name);
    return xasprintf("kubectl --context %s", context);
}

/* To see the objects in question.  Names of the cluster are labels, so the command can be
 * pasted into a shell; owned. */
static char *kubectl_of(const struct explaining *x)
{
    const struct survey *s = x->survey;
    const struct name *n = survey_name(s);
    AUTO_FREE char *kubectl = kubectl_for(x->cluster);
    size_t count;
    const struct survey_step *steps = survey_steps(s, &count);

    if (str_empty(n->ns))
        return xasprintf("%s get pods --all-namespaces", kubectl);
    if (count && strcmp(steps[count - 1].step, "external name") == 0)
        return xasprintf("%s -n %.*s get service %.*s", kubectl, STR_ARG(n->ns),
                         STR_ARG(n->service));
    return xasprintf("%s -n %.*s get pods", kubectl, STR_ARG(n->ns));
}

/* Owned; or NULL. */
static char *next_of(const struct explaining *x, enum err e)
{
    const char *verb, *resource;

    survey_missing(x->survey, &verb, &resource);
    if (verb)
        return xstrdup("kube-tunnel rbac --check");
    if (e == ERR_NOT_FOUND || e == ERR_NO_PORT)
        return xstrdup("kube-tunnel list");
    return e ? kubectl_of(x) : NULL;
}

enum err explain_name(struct operation *op, struct answer *ret)
{
    struct explaining *x = op->work;

    if (!x) {
        AUTO_FREE char *name = query_value(op->query, "name");
        if (!name || !name[0]) {
            answer_error(ret, 400, "malformed", "kube-tunnel explain web.shop",
                         "the parameter `name` is missing");
            return OK;
        }
        enum err e = begin(op, ret);
        if (e != ERR_AGAIN)
            return e;
        x = op->work;
    }
    enum err e = survey_result(x->survey);
    if (e == ERR_AGAIN)
        return e;
    size_t count;
    const struct survey_step *s = survey_steps(x->survey, &count);
    for (size_t i = 0; i < count; i++)
        add_step(x->steps, s[i].step, s[i].ok, s[i].object, s[i].finding);
    AUTO_FREE char *next = next_of(x, e);
    return conclude(op, TAKE(x->steps), next, pod_of(x->survey), ret);
}
