#include "tunnel_rig.h"

#include <stdio.h>
#include <string.h>
#include <jansson.h>

#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"
#include "playground/forward/ws_stream.h"

#define FD_BASE 1000000 /* not open, so that socket options affect no real descriptor */

struct rig rig;

/* ---- in the place of net/connecting.h, net/tcp.h and kube/api.h ---- */

void connecting_start(struct connecting *c, struct transfers *t,
                      const struct connecting_to *to, struct task *wake)
{
    (void)t, (void)to;
    assert_in_range(rig.dials, 0, ARRAY_LEN(rig.servers) - 1);
    struct server *s = xcalloc(1, sizeof(*s));
    rig.servers[rig.dials++] = s;
    *c = (struct connecting){ .result = ERR_AGAIN, .fd = -1, .wake = wake, .request = s };
    s->dial = c;
}

void connecting_finish(struct connecting *c)
{
    struct server *s = c->request;
    if (s)
        s->dial = NULL;
    c->request = NULL;
}

static void on_server_wake(struct task *task);

struct stream *tcp_open(struct loop *l, int fd, size_t in_limit, size_t out_limit)
{
    (void)in_limit, (void)out_limit;
    struct server *s = rig.servers[fd - FD_BASE];
    struct stream_pair ends =
        mem_stream_pair(loop_sched(l), loop_pool(l), TRANSPORT_LIMIT);
    s->end = ends.b;
    s->inflater = spdy_inflater_create();
    task_init(&s->wake, loop_sched(l), RANK_WORK, on_server_wake);
    s->end->wake = &s->wake;
    return ends.a;
}

bool tcp_is_unanswered(const struct stream *s, uint64_t ms)
{
    (void)s;
    assert_int_equal(ms, rig.settings.ping_timeout_ms);
    return rig.unanswered;
}

struct tls_identity *credentials_identity(const struct credentials *a)
{
    (void)a;
    return NULL;
}

const struct kube_target *api_target(const struct api *a)
{
    static char server[] = "http://api.test:6443/k8s", host[] = "api.test";
    static char prefix[] = "/k8s", host_header[] = "api.test:6443";
    static const struct kube_target target = { .server = server,
                                               .host = host,
                                               .port = 6443,
                                               .prefix = prefix,
                                               .host_header = host_header };
    (void)a;
    return &target;
}

struct credentials *api_credentials(struct api *a)
{
    (void)a;
    return NULL;
}

enum err credentials_get(struct credentials *c, struct credentials_want *w,
                         struct credential **ret, struct diag *why)
{
    static char secret[] = "Authorization: Bearer secret";
    static char user[] = "Impersonate-User: jane";
    static char *fields[] = { secret, user, NULL };
    static struct credential credential = { .refs = 1, .fields = fields };

    (void)c;
    if (rig.credentials == ERR_AGAIN)
        rig.waiting = w->wake;
    if (rig.credentials)
        return rig.credentials == ERR_AGAIN
                   ? ERR_AGAIN
                   : diag_set(why, rig.credentials, "the plugin failed");
    credential.generation = rig.generation;
    *ret = credential_ref(&credential);
    return OK;
}

void credentials_leave(struct credentials_want *w)
{
    if (rig.waiting == w->wake)
        rig.waiting = NULL;
}

struct credential *credential_ref(struct credential *c)
{
    c->refs++;
    return c;
}

void credential_unref(struct credential *c)
{
    if (c)
        c->refs--;
}

bool credentials_reject(struct credentials *c, uint64_t generation)
{
    (void)c;
    assert_int_equal(generation, rig.generation);
    if (rig.renewable)
        rig.generation++;
    return rig.renewable;
}

void api_explain_refusal(const struct api *a, const struct credential *shown,
                         struct api_error *e)
{
    (void)a;
    (void)shown;
    (void)e;
}

void api_error_from_response(struct api_error *e, const struct api_response *a)
{
    struct str body = a->body;
    int status = a->status;

    e->status = status;
    e->retry_after = a->retry_after;
    e->is_status = memmem(body.at, body.len, "\"Status\"", 8) != NULL;
    e->code = status == 401   ? ERR_UNAUTHORIZED
              : status == 403 ? ERR_FORBIDDEN
              : status == 404 ? ERR_NOT_FOUND
              : status == 429 ? ERR_THROTTLED
              : status >= 500 ? ERR_SERVER
                              : ERR_UPGRADE;
    diag_set(&e->why, e->code, "%.*s", STR_ARG(body));
}

void api_get(struct api *a, struct api_call *call, const char *path, uint64_t timeout_ms)
{
    (void)a;
    (void)timeout_ms;
    rig.pending = call;
    snprintf(rig.pending_path, sizeof(rig.pending_path), "%s", path);
}

void api_call_finish(struct api_call *call)
{
    if (rig.pending == call)
        rig.pending = NULL;
}

struct tunnel *rig_tunnel_of(const struct stream *s)
{
    const struct pair *p = container_of(s, const struct pair, stream);

    if (!p->owner)
        return NULL;
    struct mux *m = container_of(p->owner, struct mux, pair_owner);
    return container_of(m, struct tunnel, mux);
}

void rig_answer_pod(const char *uid)
{
    struct api_call *call = rig.pending;
    json_t *pod = uid ? json_pack("{s:{s:s}}", "metadata", "uid", uid) : NULL;

    assert_non_null(call);
    if (pod)
        call->on_object(call->owner, pod);
    json_decref(pod);
    call->result = call->error.code = uid ? OK : ERR_NOT_FOUND;
    call->error.is_status = true;
    task_wake(call->wake);
    rig_run();
}

/* ---- the rig ---- */

static const struct tunnel_settings settings = {
    .transport = TUNNEL_TRANSPORT_SPDY,
    .idle_ms = 60000,
    .check_ms = 1000,
    .dial_ms = 10000,
    .ping_ms = 5000,
    .ping_timeout_ms = 15000,
    .own_max = 4,
    .own_brief_max = 4,
    .tunnels_max = 4,
    .dials_max = 2,
    .pairs_max = 1000,
    .age_ms = 4 * 3600 * 1000,
};

int rig_begin(void **state)
{
    (void)state;
    struct diag why;

    log_set_level(LEVEL_ERROR);
    rig = (struct rig){ .loop = loop_create(), .settings = settings };
    rig.sched = loop_sched(rig.loop);
    enum err e = tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why);
    assert_int_equal(e, OK);
    return 0;
}

static void server_destroy(struct server *s)
{
    task_cancel(&s->wake);
    stream_close(s->end);
    for (size_t i = 0; i < s->pair_count; i++)
        bufq_finish(&s->pairs[i].got);
    spdy_inflater_destroy(s->inflater);
    free(s);
}

int rig_end(void **state)
{
    (void)state;
    tunnels_destroy(rig.tunnels);
    rig_run();
    for (size_t i = 0; i < rig.dials; i++)
        server_destroy(rig.servers[i]);
    loop_destroy(rig.loop); /* asserts that every chunk came back */
    return 0;
}

void rig_run(void)
{
    rig.turn++;
    sched_run(rig.sched, rig.sched->now);
}

void rig_advance(uint64_t ms)
{
    uint64_t until = rig.sched->now + ms;

    rig_run();
    for (uint64_t wait; (wait = sched_wait(rig.sched)) <= until - rig.sched->now;) {
        rig.turn++;
        sched_run(rig.sched, rig.sched->now + wait);
    }
    rig.turn++;
    sched_run(rig.sched, until);
}

/* As net/loop.c does: the poll ends without an event, as after SIGCONT, and the next one
 * finds the bytes that arrived meanwhile. */
void rig_stop_process(uint64_t ms)
{
    uint64_t real = rig.sched->now + rig.sched->held + ms;

    rig.turn++;
    sched_turn(rig.sched, real, true);
    sched_turn(rig.sched, real, false);
    assert_int_equal(sched_wait(rig.sched), 0);
    sched_turn(rig.sched, real, true);
}

/* ---- users ---- */

static void on_user_wake(struct task *task)
{
    container_of(task, struct user, wake)->wakes++;
}

static void open_as(struct user *u, const char *uid, uint16_t port,
                    const struct opening *how)
{
    char ns[] = "shop", pod[] = "web-1";
    struct endpoint e = { .refs = 1,
                          .ns = ns,
                          .pod = pod,
                          .uid = (char *)uid,
                          .key = (char *)uid,
                          .ready = true };

    *u = (struct user){ .opening = *how };
    task_init(&u->wake, rig.sched, RANK_WORK, on_user_wake);
    connector_open(tunnels_connector(rig.tunnels), &e, port, &u->opening, &u->wake);
    if (u->opening.stream)
        u->opening.stream->wake = &u->wake;
}

void user_open(struct user *u, const char *uid, uint16_t port)
{
    open_as(u, uid, port, &(struct opening){ 0 });
}

void user_open_alone(struct user *u, const char *uid, uint16_t port)
{
    open_as(u, uid, port, &(struct opening){ .alone = true });
}

void user_open_small(struct user *u, const char *uid, uint16_t port)
{
    open_as(u, uid, port, &(struct opening){ .small = true });
}

struct stream *user_stream(struct user *u)
{
    assert_int_equal(u->opening.result, OK);
    assert_non_null(u->opening.stream);
    u->opening.stream->wake = &u->wake;
    return u->opening.stream;
}

void user_write(struct user *u, const void *bytes, size_t n)
{
    struct stream *s = user_stream(u);
    assert_int_equal(bufq_write(&s->out, bytes, n), n);
    stream_update(s);
}

void user_expect(struct user *u, const void *bytes, size_t n)
{
    struct stream *s = user_stream(u);
    AUTO_FREE char *got = xmalloc(n + 1);
    size_t len = bufq_read(&s->in, got, n + 1);

    assert_int_equal(len, n);
    assert_memory_equal(got, bytes, n);
    stream_update(s);
}

void user_finish(struct user *u)
{
    stream_close(TAKE(u->opening.stream));
    opening_finish(&u->opening);
    task_cancel(&u->wake);
}

/* ---- servers: reading ---- */

static struct wire_pair *find_pair(struct server *s, uint32_t id)
{
    for (size_t i = 0; i < s->pair_count; i++)
        if (s->pairs[i].data_id == id || s->pairs[i].error_id == id)
            return &s->pairs[i];
    return NULL;
}

static void on_syn(struct server *s, const struct spdy_head *head,
                   const struct spdy_control *c)
{
    struct spdy_header fields[SPDY_HEADERS_MAX];
    size_t count;
    struct str type, port;
    uint64_t number = 0;

    assert_int_equal(spdy_headers_decode(s->inflater, c->block, fields, &count), OK);
    type = spdy_headers_find(fields, count, STR("streamtype"));
    port = spdy_headers_find(fields, count, STR("port"));
    assert_int_equal(str_to_uint(port, 65535, &number), OK);
    if (str_eq(type, STR("error"))) {
        assert_in_range(s->pair_count, 0, ARRAY_LEN(s->pairs) - 1);
        if (s->pair_count)
            assert_true(c->id > s->pairs[s->pair_count - 1].data_id);
        assert_int_equal(head->flags, SPDY_FIN);
        struct wire_pair *p = &s->pairs[s->pair_count++];
        *p = (struct wire_pair){ .error_id = c->id, .port = (uint16_t)number };
        bufq_init(&p->got, loop_pool(rig.loop), SIZE_MAX);
        return;
    }
    struct wire_pair *p = &s->pairs[s->pair_count - 1];
    assert_true(str_eq(type, STR("data")));
    assert_int_equal(s->seen[s->seen_count - 1].type, SPDY_SYN_STREAM);
    assert_int_equal(s->seen[s->seen_count - 1].write, s->writes);
    assert_int_equal(head->flags, 0);
    assert_int_equal(c->id, p->error_id + 10);
    assert_int_equal(number, p->port);
    p->data_id = c->id;
}

/* PINGs are dealt to the workers in turn. */
static bool answers_pings(const struct server *s, size_t ping)
{
    return !s->silent && !(s->stuck & 1u << ping % 5);
}

static void on_control(struct server *s, const struct spdy_head *head,
                       const uint8_t *body, struct seen *seen)
{
    struct spdy_control c;

    assert_int_equal(spdy_control_decode(head, body, &c), OK);
    seen->id = c.id;
    if (head->type == SPDY_SYN_STREAM) {
        on_syn(s, head, &c);
    } else if (head->type == SPDY_PING) {
        assert_int_equal(c.id % 2, 1);
        assert_in_range(s->ping_count, 0, ARRAY_LEN(s->pings) - 1);
        s->pings[s->ping_count++] = c.id;
        if (answers_pings(s, s->ping_count - 1))
            server_pong(s, s->ping_count - 1);
    } else {
        assert_int_equal(head->type, SPDY_RST_STREAM);
    }
}

static void on_data(struct server *s, const struct spdy_head *head)
{
    struct wire_pair *p = find_pair(s, head->id);

    assert_non_null(p);
    assert_int_equal(head->id, p->data_id);
    assert_false(p->client_fin);
    if (p->server_fin && !s->blind && head->length)
        assert_true(rig.turn <= p->server_fin);
    assert_true(head->length > 0 || head->flags == SPDY_FIN);
    assert_int_equal(bufq_move_n(&p->got, &s->end->in, head->length), head->length);
    p->client_fin = head->flags & SPDY_FIN;
}

static bool read_frame(struct server *s)
{
    struct bufq *in = &s->end->in;
    uint8_t bytes[1024];
    size_t len = bufq_copy(in, 0, bytes, sizeof(bytes));
    struct spdy_head head;

    if (len < SPDY_HEAD)
        return false;
    assert_int_equal(spdy_head_decode(bytes, len, &head), OK);
    if (in->len < SPDY_HEAD + head.length)
        return false;
    assert_in_range(s->seen_count, 0, ARRAY_LEN(s->seen) - 1);
    struct seen seen = { head.type, head.id, head.flags, head.length, s->writes };
    if (head.type == SPDY_DATA) {
        bufq_skip(in, SPDY_HEAD);
        on_data(s, &head);
    } else {
        assert_true(SPDY_HEAD + head.length <= len);
        on_control(s, &head, bytes + SPDY_HEAD, &seen);
        bufq_skip(in, SPDY_HEAD + head.length);
    }
    s->seen[s->seen_count++] = seen;
    return true;
}

static void read_request(struct server *s)
{
    size_t room = sizeof(s->request) - 1 - s->request_len;
    s->request_len += bufq_read(&s->end->in, s->request + s->request_len, room);
    s->request[s->request_len] = '\0';
}

static void on_server_wake(struct task *task)
{
    struct server *s = container_of(task, struct server, wake);

    if (bufq_empty(&s->end->in))
        return;
    s->writes++;
    if (!s->switched)
        read_request(s);
    else
        while (read_frame(s))
            ;
    stream_update(s->end);
}

/* ---- servers: speaking ---- */

struct server *server_connect(size_t dial)
{
    assert_in_range(dial, 0, rig.dials - 1);
    struct server *s = rig.servers[dial];
    assert_non_null(s->dial);
    s->dial->result = OK;
    s->dial->fd = FD_BASE + (int)dial;
    task_wake(s->dial->wake);
    rig_run();
    return s;
}

void server_refuse(size_t dial, enum err e, const char *why)
{
    struct server *s = rig.servers[dial];
    assert_non_null(s->dial);
    s->dial->result = diag_set(&s->dial->why, e, "%s", why);
    task_wake(s->dial->wake);
    rig_run();
}

void server_send(struct server *s, const void *bytes, size_t n)
{
    assert_int_equal(bufq_write(&s->end->out, bytes, n), n);
    stream_update(s->end);
}

static void switch_to_websocket(struct server *s)
{
    static const char answer[] =
        "HTTP/1.1 101 Switching Protocols\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: websocket\r\n"
        "Sec-WebSocket-Protocol: SPDY/3.1+portforward.k8s.io\r\n\r\n";
    server_send(s, answer, sizeof(answer) - 1);
    s->end = ws_stream_open(rig.loop, s->end);
    s->end->wake = &s->wake;
}

void server_switch(struct server *s)
{
    static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                                 "Connection: Upgrade\r\n"
                                 "Upgrade: SPDY/3.1\r\n"
                                 "X-Stream-Protocol-Version: portforward.k8s.io\r\n\r\n";
    s->switched = true;
    if (str_starts(str_of(s->request), STR("GET ")))
        switch_to_websocket(s);
    else
        server_send(s, answer, sizeof(answer) - 1);
    rig_run();
}

struct server *rig_warm(struct user *u)
{
    user_open(u, "uid-1", 80);
    struct server *s = server_connect(rig.dials - 1);
    server_switch(s);
    user_stream(u);
    return s;
}

void server_data(struct server *s, uint32_t id, const void *bytes, size_t n,
                 uint8_t flags)
{
    uint8_t head[SPDY_HEAD];
    spdy_data_head_encode(id, flags, (uint32_t)n, head);
    server_send(s, head, sizeof(head));
    server_send(s, bytes, n);
}

void server_fin(struct server *s, size_t pair, bool error_stream)
{
    struct wire_pair *p = &s->pairs[pair];
    server_data(s, error_stream ? p->error_id : p->data_id, "", 0, SPDY_FIN);
    if (!error_stream)
        p->server_fin = rig.turn + 1;
}

void server_text(struct server *s, size_t pair, const char *text)
{
    server_data(s, s->pairs[pair].error_id, text, strlen(text), 0);
}

void server_rst(struct server *s, uint32_t id)
{
    uint8_t frame[SPDY_RST_SIZE];
    spdy_rst_encode(id, SPDY_CANCEL, frame);
    server_send(s, frame, sizeof(frame));
}

void server_pong(struct server *s, size_t ping)
{
    uint8_t frame[SPDY_PING_SIZE];
    spdy_ping_encode(s->pings[ping], frame);
    server_send(s, frame, sizeof(frame));
    s->pong_count++;
}

void server_pong_from(struct server *s, size_t ping)
{
    while (ping < s->ping_count)
        server_pong(s, ping++);
}

void server_goaway(struct server *s)
{
    uint8_t frame[SPDY_GOAWAY_SIZE];
    spdy_goaway_encode(0, 0, frame);
    server_send(s, frame, sizeof(frame));
}

void server_end(struct server *s)
{
    stream_shutdown(s->end);
}

void server_break(struct server *s)
{
    task_cancel(&s->wake);
    stream_abort(TAKE(s->end));
}

void server_finish_pair(struct server *s, size_t pair)
{
    server_fin(s, pair, false);
    server_fin(s, pair, true);
}

size_t server_count(const struct server *s, enum spdy_type type)
{
    size_t n = 0;
    for (size_t i = 0; i < s->seen_count; i++)
        n += s->seen[i].type == type;
    return n;
}

void users_finish(struct user *users, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (users[i].wake.sched)
            user_finish(&users[i]);
}

void server_connect_all(void)
{
    rig_run();
    for (size_t i = 0; i < rig.dials; i++)
        if (rig.servers[i]->dial && !rig.servers[i]->switched)
            server_switch(server_connect(i));
    rig_run();
}
