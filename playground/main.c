/* playground/main.c - kube-playground: a Kubernetes cluster in one process
 *
 * Builds the cluster in order, serves until SIGTERM or SIGINT, tears it down in reverse.
 */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"
#include "playground/api/connection.h"
#include "playground/api/object.h"
#include "playground/control.h"
#include "playground/demo.h"
#include "playground/forward/session.h"
#include "playground/kubeconfig.h"
#include "playground/options.h"
#include "playground/scale.h"
#include "playground/server.h"
#include "playground/tls_server.h"

LOG_MODULE(playground);

#define CERTIFICATE_DAYS 30
#define DIRECT_NAMESPACE "shop"
#define DIRECT_APP "web"
#define DIRECT_PORT 8080

struct playground {
    struct options options;
    struct cluster cluster;
    struct local_ca *ca;
    struct tls_context *tls;
    struct server *server, *control;
    struct listener *direct;
    struct loop_signal *term, *interrupt;
    unsigned signals;
    struct task stop;
};

static enum err make_tls(struct playground *p, struct diag *why)
{
    struct str host;
    str_cut_last(str_of(p->options.listen), ':', &host);
    AUTO_FREE char *own = str_dup(host);
    const char *const names[] = {
        "127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default.svc", own, NULL
    };
    const struct certificate_request request = {
        .common_name = "kube-playground",
        .names = names,
        .server = true,
        .days = CERTIFICATE_DAYS,
    };
    struct identity identity = { 0 };
    enum err e = local_ca_create("kube-playground CA", &p->ca, why);
    if (!e)
        e = local_ca_issue(p->ca, &request, &identity, why);
    if (e)
        return e;

    const struct tls_server_settings settings = {
        .ca = local_ca_certificate(p->ca),
        .certificate = identity.certificate,
        .key = identity.key,
        .alpn = "\x08http/1.1",
        .request_client_certificate = true,
    };
    e = tls_server_context(&settings, &p->tls, why);
    identity_finish(&identity);
    return e;
}

static enum err load_manifest(struct playground *p, struct diag *why)
{
    json_error_t error;
    if (!p->options.manifest)
        return OK;
    json_t *manifest = json_load_file(p->options.manifest, 0, &error);
    if (!manifest)
        return diag_set(why, ERR_CONFIG, "%s:%d: %s", p->options.manifest, error.line,
                        error.text);
    enum err e = store_apply(p->cluster.store, manifest, why);
    json_decref(manifest);
    return e ? diag_prefix(why, e, "%s", p->options.manifest) : OK;
}

/* "APP:PORT=ADDR:PORT" */
static enum err map_backend(struct playground *p, const char *text, struct diag *why)
{
    struct sockaddr_storage address;
    socklen_t len;
    struct str left;
    struct str app;
    uint64_t port;
    struct str right = str_cut(str_of(text), '=', &left);
    enum err e = str_to_uint(str_cut_last(left, ':', &app), 65535, &port);
    if (e)
        return diag_set(why, ERR_CONFIG, "--backend: not APP:PORT=ADDR:PORT: \"%s\"",
                        text);
    e = server_address_parse(right, &address, &len, why);
    if (e)
        return diag_prefix(why, e, "--backend");
    pods_map(p->cluster.pods, app, (uint16_t)port, (const struct sockaddr *)&address,
             len);
    return OK;
}

static enum err make_cluster(struct playground *p, struct diag *why)
{
    struct cluster *c = &p->cluster;
    const struct options *o = &p->options;

    c->store = store_create();
    c->pods = pods_create(c->loop);
    c->scale = scale_create(c);
    c->token = o->token;
    c->user = o->user;
    c->rights = o->rights;
    c->runtime = o->runtime;
    c->minor = o->minor;
    for (size_t i = 0; i < o->grant_count; i++)
        faults_grant(&c->faults, str_of(o->grants[i]));
    demo_fill(c->store);
    if (o->pods)
        demo_fill_many(c->store, o->pods);
    if (o->services)
        scale_fill(c->scale, o->services, o->endpoints);
    if (o->roll_pods)
        scale_fill_roll(c->scale, o->roll_pods);
    enum err e = load_manifest(p, why);
    for (size_t i = 0; !e && i < o->backend_count; i++)
        e = map_backend(p, o->backends[i], why);
    if (!e)
        cluster_settle(c);
    return e;
}

static void on_direct(void *owner, int fd, const struct sockaddr *peer)
{
    struct playground *p = owner;
    const struct store *s = p->cluster.store;

    (void)peer;
    for (size_t i = 0; i < store_count(s, KIND_POD); i++) {
        const json_t *object = store_at(s, KIND_POD, i);
        struct pod *pod = pods_find(p->cluster.pods, str_of(object_uid(object)));
        if (pod && strcmp(pod->ns, DIRECT_NAMESPACE) == 0 &&
            strcmp(pod->app, DIRECT_APP) == 0) {
            pod_serve(p->cluster.pods, pod, DIRECT_PORT, fd);
            return;
        }
    }
    close(fd);
}

static enum err open_direct(struct playground *p, struct diag *why)
{
    struct sockaddr_storage address;
    socklen_t len;
    int fd;
    if (!p->options.direct)
        return OK;
    enum err e = server_address_parse(str_of(p->options.direct), &address, &len, why);
    if (!e)
        e = listen_socket((const struct sockaddr *)&address, len, &fd, why);
    if (!e)
        p->direct = listener_open(p->cluster.loop, fd, on_direct, p);
    return e;
}

static enum err open_listeners(struct playground *p, struct diag *why)
{
    const struct options *o = &p->options;
    enum err e = server_open(&p->cluster, str_of(o->listen), p->tls, &p->server, why);
    p->cluster.server = p->server;
    if (!e && o->control)
        e = server_open_unix(&p->cluster, o->control, &p->control, why);
    return e ? e : open_direct(p, why);
}

static enum err announce(struct playground *p, struct diag *why)
{
    const struct certificate_request request = {
        .common_name = p->options.user,
        .days = CERTIFICATE_DAYS,
    };
    struct identity user = { 0 };
    enum err e = OK;

    if (p->options.kubeconfig_out) {
        e = local_ca_issue(p->ca, &request, &user, why);
        if (!e)
            e = kubeconfig_write(&p->options, server_address(p->server),
                                 local_ca_certificate(p->ca), &user, why);
        identity_finish(&user);
    }
    if (!e) {
        printf("ready https://%s\n", server_address(p->server));
        fflush(stdout);
    }
    return e;
}

static void on_stop(struct task *task)
{
    struct playground *p = container_of(task, struct playground, stop);
    if (p->signals)
        loop_stop(p->cluster.loop);
}

/* Raises the limit on descriptors to the hard limit, so that the playground does not run
 * out of them before the program under test.
 */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static void playground_start(struct playground *p)
{
    struct cluster *c = &p->cluster;
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    c->loop = loop_create();
    c->respond_control = respond_control;
    faults_init(&c->faults);
    list_init(&c->connections);
    list_init(&c->sessions);
    task_init(&p->stop, loop_sched(c->loop), RANK_WORK, on_stop);
    p->term = loop_signal_open(c->loop, SIGTERM, &p->signals, &p->stop);
    p->interrupt = loop_signal_open(c->loop, SIGINT, &p->signals, &p->stop);
}

static void finish(struct playground *p)
{
    struct cluster *c = &p->cluster;
    listener_close(p->direct);
    server_close(p->control);
    server_close(p->server);
    connections_drop(c, DROP_ORDERLY);
    sessions_drop(c, DROP_ORDERLY);
    scale_destroy(c->scale);
    pods_destroy(c->pods);
    store_destroy(c->store);
    faults_finish(&c->faults);
    tls_context_unref(p->tls);
    local_ca_destroy(p->ca);
    loop_signal_close(p->term);
    loop_signal_close(p->interrupt);
    task_cancel(&p->stop);
    loop_destroy(c->loop);
    log_flush();
}

static enum err serve(struct playground *p, struct diag *why)
{
    enum err e = make_cluster(p, why);
    if (!e)
        e = make_tls(p, why);
    if (!e)
        e = open_listeners(p, why);
    if (!e)
        e = announce(p, why);
    if (!e)
        loop_run(p->cluster.loop);
    return e;
}

int main(int argc, char **argv)
{
    struct playground p = { 0 };
    struct diag why = { 0 };

    enum err e = options_parse(argc, argv, &p.options, &why);
    if (!e && p.options.help) {
        options_help(stdout);
        return 0;
    }
    if (!e)
        e = log_set_levels(str_of(p.options.log), &why);
    if (!e) {
        playground_start(&p);
        e = serve(&p, &why);
        finish(&p);
    }
    if (e)
        fprintf(stderr, "kube-playground: %s\n", diag_text(&why, e));
    return e ? 2 : 0;
}
