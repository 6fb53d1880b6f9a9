#include "playground/pods/pods.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "base/own.h"
#include "net/tcp.h"
#include "playground/api/object.h"
#include "playground/api/store.h"
#include "playground/pods/http.h"
#include "playground/pods/tcp.h"

#define MEMORY_LIMIT (128 * 1024) /* limit of each queue of a connection in memory */
/* how many connections of other processes to the private listener are closed before
 * giving up */
#define PRIVATE_ACCEPTS 8

struct mapping {
    struct list_node node;
    char *app;
    uint16_t port;
    struct sockaddr_storage address;
    socklen_t len;
};

struct pods {
    struct loop *loop;
    struct list_node pods, mappings;
    struct map by_uid;
    int listener; /* private listener, to make pairs of connected sockets */
};

/* The ports of every pod. */
static const struct port {
    uint16_t number;
    bool memory;
    void (*serve)(struct loop *l, struct pod *pod, struct stream *stream);
} ports[] = {
    /* clang-format off */
    { 8080, true,  http_serve },
    { 8081, true,  http_serve_heads },
    { 9000, false, tcp_serve_echo },
    { 9001, false, tcp_serve_sink },
    { 9002, false, tcp_serve_stuck },
    { 9003, false, tcp_serve_late },
    { 9004, false, tcp_serve_greeting },
    { 9005, false, tcp_serve_reset },
    /* clang-format on */
};

static const struct port *find_port(uint16_t number)
{
    for (size_t i = 0; i < ARRAY_LEN(ports); i++)
        if (ports[i].number == number)
            return &ports[i];
    return NULL;
}

static int private_listener(void)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64)) {
        perror("kube-playground: a socket on the loopback");
        exit(1);
    }
    return fd;
}

struct pods *pods_create(struct loop *l)
{
    struct pods *p = xcalloc(1, sizeof(*p));
    p->loop = l;
    p->listener = private_listener();
    map_init(&p->by_uid);
    list_init(&p->pods);
    list_init(&p->mappings);
    return p;
}

static void pod_stop(struct pods *p, struct pod *pod)
{
    while (!list_empty(&pod->connections)) {
        struct pod_connection *c =
            list_first(&pod->connections, struct pod_connection, node);
        if (!c->stream->shut)
            stream_shutdown(c->stream);
        c->destroy(c);
    }
    list_remove(&pod->node);
    map_remove(&p->by_uid, str_of(pod->uid));
    free(pod->ns);
    free(pod->name);
    free(pod->uid);
    free(pod->app);
    free(pod);
}

void pods_destroy(struct pods *p)
{
    if (!p)
        return;
    list_for_each (pod, &p->pods, struct pod, node)
        pod_stop(p, pod);
    map_finish(&p->by_uid);
    list_for_each (m, &p->mappings, struct mapping, node) {
        free(m->app);
        free(m);
    }
    close(p->listener);
    free(p);
}

void pods_map(struct pods *p, struct str app, uint16_t port,
              const struct sockaddr *address, socklen_t len)
{
    struct mapping *m = xcalloc(1, sizeof(*m));
    assert(len <= sizeof(m->address));
    m->app = str_dup(app);
    m->port = port;
    memcpy(&m->address, address, len);
    m->len = len;
    list_append(&p->mappings, &m->node);
}

struct pod *pods_find(const struct pods *p, struct str uid)
{
    return map_get(&p->by_uid, uid);
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Sets ids in the format of containerd, which differ for each UID. */
static void name_sandbox(struct pod *pod)
{
    uint64_t seed = str_hash(str_of(pod->uid));
    for (int i = 0; i < 4; i++)
        snprintf(pod->sandbox + 16 * i, SANDBOX_SIZE - 16 * (size_t)i, "%016llx",
                 (unsigned long long)mix(seed + (uint64_t)i + 1));
    snprintf(pod->netns, sizeof(pod->netns), "/var/run/netns/cni-%s", pod->uid);
}

void pods_start(struct pods *p, const json_t *object)
{
    const char *app = json_string_value(json_object_get(object_labels(object), "app"));
    struct pod *pod = xcalloc(1, sizeof(*pod));
    pod->ns = xstrdup(object_namespace(object));
    pod->name = xstrdup(object_name(object));
    pod->uid = xstrdup(object_uid(object));
    pod->app = xstrdup(app ? app : "");
    name_sandbox(pod);
    list_init(&pod->connections);
    list_append(&p->pods, &pod->node);
    map_set(&p->by_uid, str_of(pod->uid), pod);
}

void pods_stop(struct pods *p, struct str uid)
{
    struct pod *pod = pods_find(p, uid);
    if (pod)
        pod_stop(p, pod);
}

static bool is_running(const json_t *object)
{
    const char *phase = json_string_value(object_at(object, "status", "phase", NULL));
    return phase && strcmp(phase, "Running") == 0;
}

void pods_sync(struct pods *p, const struct store *s)
{
    list_for_each (pod, &p->pods, struct pod, node) {
        const json_t *object = store_get(s, KIND_POD, pod->ns, pod->name);
        if (!object || strcmp(object_uid(object), pod->uid) != 0 || !is_running(object))
            pod_stop(p, pod);
    }
    for (size_t i = 0; i < store_count(s, KIND_POD); i++) {
        const json_t *object = store_at(s, KIND_POD, i);
        if (is_running(object) && !pods_find(p, str_of(object_uid(object))))
            pods_start(p, object);
    }
}

static const struct mapping *find_mapping(const struct pods *p, const struct pod *pod,
                                          uint16_t port)
{
    list_for_each (m, &p->mappings, struct mapping, node)
        if (m->port == port && strcmp(m->app, pod->app) == 0)
            return m;
    return NULL;
}

static int connect_socket(const struct sockaddr *address, socklen_t len)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    if (connect(fd, address, len) == 0 || errno == EINPROGRESS)
        return fd;
    close(fd);
    return -1;
}

/* Accepts the other end of `fd` at the private listener; connections of other processes
 * are closed. */
static int accept_own(int listener, int fd)
{
    struct sockaddr_in own = { 0 };
    socklen_t len = sizeof(own);
    getsockname(fd, (struct sockaddr *)&own, &len);

    for (int i = 0; i < PRIVATE_ACCEPTS; i++) {
        struct sockaddr_in peer = { 0 };
        len = sizeof(peer);
        int end = accept4(listener, (struct sockaddr *)&peer, &len,
                          SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (end < 0 || peer.sin_port == own.sin_port)
            return end;
        close(end);
    }
    return -1;
}

static enum err socket_pair(struct pods *p, struct stream **ret_a, struct stream **ret_b)
{
    struct sockaddr_in at = { 0 };
    socklen_t len = sizeof(at);
    getsockname(p->listener, (struct sockaddr *)&at, &len);

    int a = connect_socket((struct sockaddr *)&at, len);
    int b = a < 0 ? -1 : accept_own(p->listener, a);
    if (b < 0) {
        if (a >= 0)
            close(a);
        return ERR_REFUSED;
    }
    *ret_a = tcp_open(p->loop, a, 0, 0);
    *ret_b = tcp_open(p->loop, b, 0, 0);
    return OK;
}

static enum err dial_outside(struct pods *p, const struct mapping *m, struct stream **ret)
{
    int fd = connect_socket((const struct sockaddr *)&m->address, m->len);
    if (fd < 0)
        return ERR_REFUSED;
    *ret = tcp_open(p->loop, fd, 0, 0);
    return OK;
}

enum err pod_dial(struct pods *p, struct pod *pod, uint16_t number, struct stream **ret)
{
    const struct mapping *mapping = find_mapping(p, pod, number);
    if (mapping)
        return dial_outside(p, mapping, ret);
    const struct port *port = find_port(number);
    if (!port)
        return ERR_REFUSED;

    struct stream_pair pair;
    if (port->memory) {
        pair = mem_stream_pair(loop_sched(p->loop), loop_pool(p->loop), MEMORY_LIMIT);
    } else {
        enum err e = socket_pair(p, &pair.a, &pair.b);
        if (e)
            return e;
    }
    port->serve(p->loop, pod, pair.b);
    *ret = pair.a;
    return OK;
}

void pod_serve(struct pods *p, struct pod *pod, uint16_t port, int fd)
{
    const struct port *found = find_port(port);
    if (found)
        found->serve(p->loop, pod, tcp_open(p->loop, fd, 0, 0));
    else
        close(fd);
}
