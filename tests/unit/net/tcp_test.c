/* tests/unit/net/tcp_test.c - sockets as streams, against plain sockets on loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "net/tcp.h"

static struct loop *loop;
static struct stream *s; /* the stream under test */
static int peer;         /* a plain blocking socket at its other end */
static struct task wake;
static unsigned wakes;

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

static int listen_on_loopback(struct sockaddr_in *sa)
{
    socklen_t len = sizeof(*sa);
    struct diag why;
    int fd = -1;

    *sa = (struct sockaddr_in){ .sin_family = AF_INET,
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(listen_socket((struct sockaddr *)sa, len, &fd, &why), OK);
    assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
    return fd;
}

static int connect_to(const struct sockaddr_in *sa)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)), 0);
    return fd;
}

static int begin(void **state)
{
    (void)state;
    struct sockaddr_in sa;
    int listening = listen_on_loopback(&sa);

    log_set_level(LEVEL_ERROR);
    loop = loop_create();
    peer = connect_to(&sa);
    s = tcp_open(loop, accept(listening, NULL, NULL), 0, 0);
    close(listening);
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    s->wake = &wake;
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    stream_close(s);
    task_cancel(&wake);
    if (peer >= 0)
        close(peer);
    loop_destroy(loop);
    return 0;
}

/* Runs the loop until the condition holds. */
#define UNTIL(condition)                                                                 \
    do {                                                                                 \
        for (int turns_ = 0; !(condition) && turns_ < 500; turns_++)                     \
            loop_run_once(loop, 10);                                                     \
        assert_true(condition);                                                          \
    } while (0)

static void turns(int n)
{
    while (n--)
        loop_run_once(loop, 0);
}

static void peer_resets(void)
{
    struct linger linger = { .l_onoff = 1, .l_linger = 0 };
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(peer);
    peer = -1;
}

static void bytes_go_both_ways(void **state)
{
    (void)state;
    char got[16];

    assert_int_equal(send(peer, "ping", 4, 0), 4);
    UNTIL(s->in.len == 4);
    assert_true(wakes > 0);
    bufq_read(&s->in, got, sizeof(got));
    assert_memory_equal(got, "ping", 4);
    bufq_write(&s->out, "pong", 4);
    stream_update(s);
    UNTIL(bufq_empty(&s->out));
    assert_int_equal(recv(peer, got, sizeof(got), 0), 4);
    assert_memory_equal(got, "pong", 4);
}

static void the_far_end_may_finish_first(void **state)
{
    (void)state;
    char got[16];

    send(peer, "bye", 3, 0);
    shutdown(peer, SHUT_WR);
    UNTIL(s->in_eof);
    assert_int_equal(s->end.verdict, V_CLEAN);
    assert_false(s->broken);
    assert_int_equal(s->in.len, 3);
    bufq_write(&s->out, "more", 4);
    stream_shutdown(s);
    UNTIL(s->out_eof);
    assert_int_equal(recv(peer, got, sizeof(got), MSG_WAITALL), 4);
    assert_int_equal(recv(peer, got, sizeof(got), 0), 0);
}

static void we_may_finish_first(void **state)
{
    (void)state;
    char got[16];

    bufq_write(&s->out, "bye", 3);
    stream_shutdown(s);
    stream_shutdown(s);
    UNTIL(s->out_eof);
    assert_int_equal(recv(peer, got, sizeof(got), MSG_WAITALL), 3);
    assert_int_equal(recv(peer, got, sizeof(got), 0), 0);
    assert_int_equal(s->end.verdict, V_OPEN);
    send(peer, "answer", 6, 0);
    close(peer);
    peer = -1;
    UNTIL(s->in_eof);
    assert_int_equal(s->in.len, 6);
    assert_int_equal(s->end.verdict, V_CLEAN);
}

static void a_reset_of_the_peer_is_reported_as_reset(void **state)
{
    (void)state;

    peer_resets();
    UNTIL(s->end.verdict != V_OPEN);
    assert_int_equal(s->end.verdict, V_RESET);
    assert_true(s->in_eof && s->broken);
    assert_true(s->end.why.text[0]);
}

static void bytes_before_a_reset_are_read(void **state)
{
    (void)state;

    send(peer, "last words", 10, 0);
    peer_resets();
    UNTIL(s->broken);
    assert_int_equal(s->in.len, 10);
    assert_int_equal(s->end.verdict, V_RESET);
}

/* The same if a write notices the reset: an early response must not be lost. */
static void bytes_before_a_reset_are_read_when_a_write_fails(void **state)
{
    (void)state;

    send(peer, "413 too large", 13, 0);
    peer_resets();
    bufq_write(&s->out, "body", 4);
    stream_update(s);
    sched_run(loop_sched(loop), loop_sched(loop)->now); /* flush before any poll */
    UNTIL(s->broken);
    assert_int_equal(s->in.len, 13);
}

/* Writes as much as both kernels and the queue accept. */
static size_t write_until_blocked(void)
{
    static char zeros[8192];
    size_t total = 0;

    for (int still = 0; still < 20 || !bufq_full(&s->out);) {
        size_t n = bufq_write(&s->out, zeros, sizeof(zeros));
        stream_update(s);
        loop_run_once(loop, 1);
        total += n;
        still = n ? 0 : still + 1;
    }
    assert_true(bufq_full(&s->out));
    return total;
}

static void a_peer_that_does_not_read_bounds_our_memory(void **state)
{
    (void)state;
    static char part[65536];
    size_t total = write_until_blocked(), got = 0;

    assert_true(loop_pool(loop)->live <= 8);
    while (got < total) {
        ssize_t n = recv(peer, part, sizeof(part), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        loop_run_once(loop, 1);
    }
    UNTIL(bufq_empty(&s->out));
}

/* Stuck means that the kernel's buffer is full; the remaining bytes are packed. */
static void a_peer_that_does_not_read_makes_the_stream_stuck(void **state)
{
    (void)state;
    static char part[65536];
    size_t total = 0, got = 0;

    while (!s->stuck) {
        total += bufq_write(&s->out, part, 10000);
        unsigned before = wakes;
        stream_update(s);
        turns(1);
        assert_true(wakes > before);
    }
    assert_in_range(s->out.len, 1, 10000);
    assert_int_equal(loop_pool(loop)->live, 1);
    assert_true(s->out.head->size < s->out.len + 2100);
    while (got < total) {
        ssize_t n = recv(peer, part, sizeof(part), MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        loop_run_once(loop, 1);
    }
    UNTIL(!s->stuck);
    assert_true(bufq_empty(&s->out));
}

/* A peer that has ended its output, does not read, and then resets: the write must
 * fail. */
static void a_blocked_write_fails_on_a_reset(void **state)
{
    (void)state;

    for (int finished = 0; finished < 2; finished++) {
        if (finished)
            shutdown(peer, SHUT_WR);
        write_until_blocked();
        assert_int_equal(s->in_eof, finished);
        peer_resets();
        UNTIL(s->broken);
        assert_true(bufq_empty(&s->out));
        end(NULL);
        begin(NULL);
    }
}

static void a_slow_reader_bounds_our_memory(void **state)
{
    (void)state;
    static char zeros[65536];
    size_t sent = 0, got = 0;

    fcntl(peer, F_SETFL, O_NONBLOCK);
    for (int still = 0; still < 20 || !bufq_full(&s->in);) {
        ssize_t n = send(peer, zeros, sizeof(zeros), 0);
        sent += n > 0 ? (size_t)n : 0;
        still = n > 0 ? 0 : still + 1;
        loop_run_once(loop, 1);
        assert_true(s->in.len <= TCP_IN_LIMIT);
    }
    assert_true(bufq_full(&s->in));
    unsigned before = wakes;
    turns(20);
    assert_int_equal(wakes, before); /* no busy loop */
    while (got < sent) {
        got += s->in.len;
        bufq_clear(&s->in);
        stream_update(s);
        loop_run_once(loop, 1);
    }
    assert_int_equal(got, sent);
}

/* The peer sends as much as it can; then one round of reading. */
static size_t read_once(void)
{
    static char zeros[1 << 20];

    while (send(peer, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        ;
    bufq_clear(&s->in);
    stream_update(s);
    for (int i = 0; i < 500 && bufq_empty(&s->in); i++)
        loop_run_once(loop, 10);
    return s->in.len;
}

static void reads_grow_for_a_reader_that_keeps_up(void **state)
{
    (void)state;
    size_t first = read_once();

    assert_in_range(first, CHUNK_ROOM,
                    CHUNK_ROOM + 2048); /* a TLS record, and little more */
    for (int i = 0; i < 23; i++)
        assert_in_range(read_once(), 1, first);
    for (int i = 0; i < 200; i++)
        read_once();
    assert_int_equal(s->in.limit, TCP_IN_LIMIT);
    for (int paused_ms = 0; paused_ms <= 300;
         paused_ms += 300) { /* a short pause does not count */
        assert_int_equal(s->in.limit, TCP_IN_LIMIT);
        s->paused = true;
        stream_update(s);
        turns(1);
        usleep((useconds_t)paused_ms * 1000);
        turns(1);
        s->paused = false;
        stream_update(s);
        turns(2);
    }
    assert_int_equal(s->in.limit, first);
}

static void a_paused_stream_does_not_read(void **state)
{
    (void)state;

    s->paused = true;
    stream_update(s);
    turns(1);
    send(peer, "hello", 5, 0);
    turns(20);
    assert_int_equal(s->in.len, 0);
    s->paused = false;
    stream_update(s);
    UNTIL(s->in.len == 5);
}

/* A far end that does not read still answers probes.  (A dead far end cannot be simulated
 * here.) */
static void a_stream_that_does_not_read_is_not_unanswered(void **state)
{
    (void)state;
    static char zeros[1 << 16];

    assert_false(tcp_is_unanswered(s, 0));
    for (int i = 0; i < 200; i++) {
        bufq_write(&s->out, zeros, sizeof(zeros));
        stream_update(s);
        turns(1);
    }
    assert_true(s->stuck);
    usleep(450 * 1000); /* the first probes of the zero window */
    assert_false(tcp_is_unanswered(s, 0));
}

static void closing_sends_what_the_kernel_takes(void **state)
{
    (void)state;
    static char got[40000], zeros[40000];

    bufq_write(&s->out, zeros, sizeof(zeros));
    stream_close(TAKE(s)); /* without a turn in between */
    assert_int_equal(recv(peer, got, sizeof(got), MSG_WAITALL), sizeof(got));
    assert_int_equal(recv(peer, got, sizeof(got), 0), 0);
}

static void aborting_resets(void **state)
{
    (void)state;
    char got[16];

    bufq_write(&s->out, "never sent", 10);
    stream_abort(TAKE(s));
    assert_int_equal(recv(peer, got, sizeof(got), 0), -1);
    assert_int_equal(errno, ECONNRESET);
}

static void unix_sockets_are_accepted(void **state)
{
    (void)state;
    int fds[2];
    char got[8];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    struct stream *u = tcp_open(loop, fds[0], 10, 10);
    assert_int_equal(tcp_fd(u), fds[0]);
    assert_int_equal(send(fds[1], "0123456789abcdef", 16, 0), 16);
    UNTIL(u->in.len == 10);
    bufq_clear(&u->in);
    stream_update(u);
    UNTIL(u->in.len == 6);
    bufq_write(&u->out, "x", 1);
    stream_update(u);
    UNTIL(bufq_empty(&u->out));
    assert_int_equal(recv(fds[1], got, sizeof(got), 0), 1);
    stream_close(u);
    close(fds[1]);
}

/* ---- listeners ---- */

struct host {
    struct listener *listener;
    int fds[16];
    size_t count;
    bool close_on_accept;
};

static void on_accept(void *owner, int fd, const struct sockaddr *from)
{
    struct host *h = owner;

    assert_int_equal(from->sa_family, AF_INET);
    assert_in_range(h->count, 0, ARRAY_LEN(h->fds) - 1);
    h->fds[h->count++] = fd;
    if (h->close_on_accept)
        listener_close(TAKE(h->listener));
}

static void host_finish(struct host *h)
{
    listener_close(h->listener);
    for (size_t i = 0; i < h->count; i++)
        close(h->fds[i]);
}

static void a_listener_accepts_pauses_and_closes(void **state)
{
    (void)state;
    struct sockaddr_in sa;
    struct host h = { 0 };
    int clients[4];

    h.listener = listener_open(loop, listen_on_loopback(&sa), on_accept, &h);
    assert_true(listener_fd(h.listener) >= 0);
    for (size_t i = 0; i < 3; i++)
        clients[i] = connect_to(&sa);
    UNTIL(h.count == 3);
    listener_pause(h.listener, true);
    clients[3] = connect_to(&sa);
    turns(20);
    assert_int_equal(h.count, 3);
    h.close_on_accept = true;
    listener_pause(h.listener, false);
    UNTIL(h.count == 4);
    assert_null(h.listener);
    host_finish(&h);
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
}

struct guest {
    struct stream *stream;
    uint16_t port;
    size_t received;
    struct task wake;
};

static void on_words(struct task *task)
{
    struct guest *g = container_of(task, struct guest, wake);
    g->received += g->stream->in.len;
    bufq_clear(&g->stream->in);
}

static void on_guest(void *owner, int fd, const struct sockaddr *from)
{
    struct guest *g = owner;

    g->port = ntohs(((const struct sockaddr_in *)(const void *)from)->sin_port);
    g->stream = tcp_open_accepted(loop, fd);
    task_init(&g->wake, loop_sched(loop), RANK_WORK, on_words);
    g->stream->wake = &g->wake;
}

static void bytes_sent_with_the_connect_are_read_in_the_accepting_turn(void **state)
{
    (void)state;
    struct sockaddr_in sa, own = { 0 };
    struct guest g = { 0 };
    struct listener *l = listener_open(loop, listen_on_loopback(&sa), on_guest, &g);
    int client = connect_to(&sa), on = 0;
    socklen_t len = sizeof(own), on_len = sizeof(on);

    assert_int_equal(send(client, "hello", 5, 0), 5);
    while (!g.stream)
        loop_run_once(loop, 10);
    assert_int_equal(g.received, 5);
    assert_int_equal(getsockname(client, (struct sockaddr *)&own, &len), 0);
    assert_int_equal(g.port, ntohs(own.sin_port));
    assert_int_equal(getsockopt(tcp_fd(g.stream), IPPROTO_TCP, TCP_NODELAY, &on, &on_len),
                     0);
    assert_true(on); /* the listener's */
    assert_int_equal(send(client, " again", 6, 0), 6);
    UNTIL(g.received == 11);
    stream_close(g.stream);
    task_cancel(&g.wake);
    listener_close(l);
    close(client);
}

/* Room is checked again after the reader has run, as after a poll. */
static void more_than_a_queue_sent_with_the_connect_is_read(void **state)
{
    (void)state;
    struct sockaddr_in sa;
    struct guest g = { 0 };
    struct listener *l = listener_open(loop, listen_on_loopback(&sa), on_guest, &g);
    int client = connect_to(&sa);
    static char bytes[60000];

    assert_int_equal(send(client, bytes, sizeof(bytes), 0), sizeof(bytes));
    UNTIL(g.received == sizeof(bytes));
    stream_close(g.stream);
    task_cancel(&g.wake);
    listener_close(l);
    close(client);
}

/* How many lines about a pause a file of log lines holds. */
static int count_warnings(int fd)
{
    char text[4096];
    int count = 0;

    log_flush();
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    for (const char *at = text; (at = strstr(at, "out of descriptors")); at++)
        count++;
    return count;
}

/* The limit is reached with one descriptor free; the others come once it is raised. */
static void running_out_of_descriptors_pauses_accepting(void **state)
{
    (void)state;
    struct sockaddr_in sa;
    struct host h = { 0 };
    struct rlimit before, tight;
    int clients[4], lines = memfd_create("lines", MFD_CLOEXEC);

    log_set_level(LEVEL_WARN);
    log_set_fd(lines, false);
    h.listener = listener_open(loop, listen_on_loopback(&sa), on_accept, &h);
    for (size_t i = 0; i < 4; i++)
        clients[i] = connect_to(&sa);
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    tight = (struct rlimit){ (rlim_t)next + 1, before.rlim_max };
    setrlimit(RLIMIT_NOFILE, &tight);
    UNTIL(h.count == 1);
    uint64_t started = loop_sched(loop)->now;
    unsigned polls = 0;
    for (; loop_sched(loop)->now < started + 250; polls++)
        loop_run_once(loop, 50);
    assert_true(polls < 30); /* it retries only ten times a second */
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(h.count, 1);
    UNTIL(h.count == 4);
    assert_int_equal(count_warnings(lines), 1);
    log_set_fd(2, false);
    log_set_level(LEVEL_ERROR);
    close(lines);
    host_finish(&h);
    for (size_t i = 0; i < 4; i++)
        close(clients[i]);
}

static void an_address_that_cannot_be_bound_is_named(void **state)
{
    (void)state;
    struct sockaddr_in sa, other = { .sin_family = AF_INET, .sin_port = htons(9) };
    struct diag why;
    int fd = listen_on_loopback(&sa), second = -7;

    assert_int_equal(listen_socket((struct sockaddr *)&sa, sizeof(sa), &second, &why),
                     ERR_IN_USE);
    assert_int_equal(second, -7);
    assert_non_null(strstr(why.text, "127.0.0.1:"));
    inet_pton(AF_INET, "192.0.2.77", &other.sin_addr); /* an unused address */
    other.sin_port = 0;
    assert_int_equal(
        listen_socket((struct sockaddr *)&other, sizeof(other), &second, &why),
        ERR_CONFIG);
    assert_non_null(strstr(why.text, "192.0.2.77:0"));
    close(fd);
}

static void addresses_are_printed_in_their_usual_form(void **state)
{
    (void)state;
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(80) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(65535) };
    struct sockaddr local = { .sa_family = AF_UNIX };
    char text[ADDRESS_TEXT];

    inet_pton(AF_INET, "127.0.0.1", &v4.sin_addr);
    address_text((struct sockaddr *)&v4, text);
    assert_string_equal(text, "127.0.0.1:80");
    v6.sin6_addr = in6addr_loopback;
    address_text((struct sockaddr *)&v6, text);
    assert_string_equal(text, "[::1]:65535");
    memset(&v6.sin6_addr, 0xff, sizeof(v6.sin6_addr));
    address_text((struct sockaddr *)&v6, text);
    assert_string_equal(text, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    address_text(&local, text);
    assert_string_equal(text, "unix");
}

/* The far end's kernel drops what comes and acknowledges nothing, as behind a firewall. */
static void drop_all_packets(int fd)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = { .len = 1, .filter = &drop };

    assert_int_equal(
        setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)), 0);
}

static void send_and_wait(uint64_t ms)
{
    uint64_t until = loop_sched(loop)->now + ms;

    assert_true(bufq_put(&s->out, "x", 1));
    stream_update(s);
    while (loop_sched(loop)->now < until && !s->broken)
        loop_run_once(loop, 50);
}

static void a_stream_with_patience_ends_when_nothing_is_acknowledged(void **state)
{
    (void)state;

    stream_set_patience(s, 700);
    send_and_wait(0);
    drop_all_packets(peer);
    uint64_t began = loop_sched(loop)->now;
    send_and_wait(3000);
    assert_int_equal(s->end.verdict, V_TRANSPORT_LOST);
    assert_in_range(loop_sched(loop)->now - began, 600, 1100);
}

static void a_stream_without_patience_waits_as_long_as_the_kernel(void **state)
{
    (void)state;

    drop_all_packets(peer);
    send_and_wait(1500);
    assert_int_equal(s->end.verdict, V_OPEN);
}

/* Its kernel answers each probe of the zero window. */
static void a_reader_that_does_not_read_is_not_lost(void **state)
{
    (void)state;
    char bytes[4096] = { 0 };

    stream_set_patience(s, 300);
    for (int i = 0; i < 2000 && !s->stuck; i++) {
        while (bufq_room(&s->out) >= sizeof(bytes))
            bufq_write(&s->out, bytes, sizeof(bytes));
        stream_update(s);
        loop_run_once(loop, 1);
    }
    assert_true(s->stuck);
    uint64_t until = loop_sched(loop)->now + 2000;
    while (loop_sched(loop)->now < until)
        loop_run_once(loop, 50);
    assert_int_equal(s->end.verdict, V_OPEN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways),
        TEST(the_far_end_may_finish_first),
        TEST(we_may_finish_first),
        TEST(a_reset_of_the_peer_is_reported_as_reset),
        TEST(bytes_before_a_reset_are_read),
        TEST(bytes_before_a_reset_are_read_when_a_write_fails),
        TEST(a_peer_that_does_not_read_bounds_our_memory),
        TEST(a_peer_that_does_not_read_makes_the_stream_stuck),
        TEST(a_blocked_write_fails_on_a_reset),
        TEST(a_slow_reader_bounds_our_memory),
        TEST(reads_grow_for_a_reader_that_keeps_up),
        TEST(a_paused_stream_does_not_read),
        TEST(a_stream_that_does_not_read_is_not_unanswered),
        TEST(a_stream_with_patience_ends_when_nothing_is_acknowledged),
        TEST(a_stream_without_patience_waits_as_long_as_the_kernel),
        TEST(a_reader_that_does_not_read_is_not_lost),
        TEST(closing_sends_what_the_kernel_takes),
        TEST(aborting_resets),
        TEST(unix_sockets_are_accepted),
        TEST(a_listener_accepts_pauses_and_closes),
        TEST(bytes_sent_with_the_connect_are_read_in_the_accepting_turn),
        TEST(more_than_a_queue_sent_with_the_connect_is_read),
        TEST(running_out_of_descriptors_pauses_accepting),
        TEST(an_address_that_cannot_be_bound_is_named),
        TEST(addresses_are_printed_in_their_usual_form),
    };
    return cmocka_run_group_tests_name("net/tcp", tests, NULL, NULL);
}
