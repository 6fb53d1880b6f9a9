/* tests/session/tunnel_share_test.c - several connections on one tunnel, and flow control
 * between them */
#include "tunnel_rig.h"

#include <string.h>

#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/pod_tunnels.h"
#include "tunnel/share.h"

#define USERS 6

static struct user users[USERS];

static int begin(void **state)
{
    rig_begin(state);
    tunnels_destroy(rig.tunnels);
    rig.settings.own_max = rig.settings.own_brief_max = 1;
    rig.settings.tunnels_max = 3;
    struct diag why;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
    return 0;
}

/* Opens one pair on an own tunnel, and five on a second, shared one. */
static struct server *open_all(void)
{
    for (size_t i = 0; i < USERS; i++)
        user_open(&users[i], "uid-1", 80);
    rig_run();
    assert_int_equal(rig.dials, 2);
    server_switch(server_connect(0));
    struct server *shared = server_connect(1);
    server_switch(shared);
    rig_run();
    for (size_t i = 0; i < USERS; i++)
        user_stream(&users[i]);
    assert_int_equal(rig.servers[0]->pair_count, 1);
    assert_int_equal(shared->pair_count, 5);
    return shared;
}

static void close_all(void)
{
    for (size_t i = 0; i < USERS; i++)
        user_finish(&users[i]);
}

static struct tunnel *tunnel_of(struct user *u)
{
    return rig_tunnel_of(user_stream(u));
}

/* Which of the server's pairs a user has. */
static size_t pair_of(struct server *s, struct user *u)
{
    uint32_t id = container_of(user_stream(u), struct pair, stream)->data_id;
    for (size_t i = 0; i < s->pair_count; i++)
        if (s->pairs[i].data_id == id)
            return i;
    fail_msg("no pair %u", id);
    return 0;
}

/* The n-th user on the shared tunnel. */
static struct user *sharing(size_t n)
{
    for (size_t i = 0; i < USERS; i++)
        if (tunnel_of(&users[i])->mux.share && n-- == 0)
            return &users[i];
    fail_msg("not so many share");
    return NULL;
}

static void open_all_again(void)
{
    for (size_t i = 0; i < USERS; i++)
        user_open(&users[i], "uid-1", 80);
    rig_run();
    for (size_t i = 0; i < USERS; i++)
        user_stream(&users[i]);
}

/* Offers more bytes than will be accepted. */
static void offer(struct user *u)
{
    static const char block[8192];

    bufq_write(&user_stream(u)->out, block, sizeof(block));
    stream_update(user_stream(u));
}

static void past_the_limit_up_to_five_pairs_share_a_tunnel(void **state)
{
    (void)state;
    struct server *s = open_all();
    unsigned workers = 0;

    for (size_t i = 0; i < s->pair_count; i++)
        workers |= 1u << s->pairs[i].data_id % WORKERS;
    assert_int_equal(workers, 0x1f);

    struct user more;
    user_open(&more, "uid-1", 80);
    rig_run();
    assert_int_equal(more.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, 3);
    user_finish(&more);
    close_all();
}

static void a_failure_stays_in_its_pair(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *failed = sharing(0), *other = sharing(1);

    server_text(s, pair_of(s, failed), "error forwarding port 80: connection refused");
    server_fin(s, pair_of(s, failed), true);
    rig_run();
    assert_int_equal(user_stream(failed)->end.verdict, V_REFUSED);
    user_finish(failed);
    rig_run();
    assert_int_equal(user_stream(other)->end.verdict, V_OPEN);
    user_write(other, "on", 2);
    rig_run();
    assert_int_equal(s->pairs[pair_of(s, other)].got.len, 2);
    close_all();
}

/* The pod gets a reset; otherwise it would continue to send on the shared tunnel. */
static void an_aborted_pair_ends_alone(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *gone = sharing(0), *other = sharing(1);
    size_t gone_pair = pair_of(s, gone), other_pair = pair_of(s, other);
    struct tunnel *t = tunnel_of(other);

    stream_abort(TAKE(gone->opening.stream));
    rig_run();
    assert_true(s->pairs[gone_pair].client_fin);
    server_data(s, s->pairs[gone_pair].data_id, "late", 4, 0);
    server_finish_pair(s, gone_pair);
    rig_advance(50);
    assert_int_equal(t->mux.slots.state[s->pairs[gone_pair].data_id % WORKERS],
                     SLOT_FREE);
    user_write(other, "on", 2);
    rig_run();
    assert_int_equal(s->pairs[other_pair].got.len, 2);
    close_all();
}

/* The container behind one pair does not read: its worker answers no PING. */
static void an_unread_pair_stops_alone(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *stuck = sharing(0), *other = sharing(1);
    size_t stuck_pair = pair_of(s, stuck), other_pair = pair_of(s, other);

    s->silent = true; /* no PING of any worker is answered from here on */
    for (int i = 0; i < 200; i++) {
        offer(stuck);
        rig_run();
    }
    size_t far = s->pairs[stuck_pair].got.len;
    assert_true(far > 0);
    assert_true(far <= (CREDIT_FRAMES + 1) * (size_t)CHUNK_SIZE);
    assert_false(bufq_empty(&user_stream(stuck)->out));

    user_write(other, "hello", 5);
    rig_run();
    assert_int_equal(s->pairs[other_pair].got.len, 5);
    close_all();
}

/* The worker of a pair is stuck, and a PING waits behind its data: four of five PINGs are
 * answered, and no other pair is affected. */
static void a_ping_behind_a_stuck_worker_stops_no_other_pair(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *stuck = sharing(0), late;
    size_t stuck_pair = pair_of(s, stuck), dials = rig.dials;

    s->stuck = 1u << s->pairs[stuck_pair].data_id % WORKERS;
    for (int i = 0; i < 400; i++) {
        offer(stuck);
        for (size_t n = 1; n < 5; n++)
            user_write(sharing(n), "on", 2);
        rig_advance(10);
    }
    assert_true(s->ping_count > s->pong_count);
    assert_in_range(s->ping_count - s->pong_count, 1, CREDIT_QUEUE - CREDIT_FRAMES);
    for (size_t n = 1; n < 5; n++)
        assert_int_equal(s->pairs[pair_of(s, sharing(n))].got.len, 800);

    user_finish(sharing(4)); /* its slot is free, and no pair gets it */
    rig_advance(60000);      /* and the tunnel does not count as dead */
    assert_int_equal(user_stream(sharing(1))->end.verdict, V_OPEN);
    user_open(&late, "uid-1", 80);
    rig_run();
    assert_int_equal(late.opening.result, ERR_AGAIN);
    assert_int_equal(rig.dials, dials + 1);
    user_write(sharing(1), "on", 2);
    rig_run();
    assert_int_equal(s->pairs[pair_of(s, sharing(1))].got.len, 802);
    user_finish(&late);
    close_all();
}

/* These users upload, and their workers get stuck. */
static void get_stuck(struct server *s, size_t count)
{
    for (size_t n = 0; n < count; n++)
        s->stuck |= 1u << s->pairs[pair_of(s, sharing(n))].data_id % WORKERS;
    for (int i = 0; i < 200; i++) {
        for (size_t n = 0; n < count; n++)
            offer(sharing(n));
        rig_run();
    }
}

/* The PINGs of a minute go to the stuck workers first, and wait there. */
static void a_tunnel_lives_while_one_worker_answers(void **state)
{
    for (size_t count = 1; count < WORKERS; count++) {
        struct server *s = open_all();
        struct user *other = sharing(count);
        get_stuck(s, count);
        rig_advance(60000);
        if (user_stream(other)->end.verdict != V_OPEN)
            fail_msg("%zu stuck workers: %s", count, user_stream(other)->end.why.text);
        close_all();
        rig_end(state);
        begin(state);
    }
}

static void a_probe_that_meets_a_stuck_worker_is_answered_by_another(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *other = sharing(1);
    struct tunnel *t = tunnel_of(other);

    get_stuck(s, 1);
    while (!(s->stuck & 1u << (t->mux.pings.next - 1) / 2 % WORKERS))
        rig_advance(rig.settings.ping_ms);
    tunnels_check(rig.tunnels, "a test");
    rig_advance(4000);
    assert_int_equal(user_stream(other)->end.verdict, V_OPEN);
    close_all();
}

static void answered_pings_let_a_pair_go_on(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *u = sharing(0);
    size_t pair = pair_of(s, u), sent = 0;
    char block[8192] = { 0 };

    while (sent < 4 * 1024 * 1024) {
        size_t n = bufq_write(&user_stream(u)->out, block, sizeof(block));
        sent += n;
        stream_update(user_stream(u));
        rig_run();
    }
    rig_run();
    assert_true(s->pairs[pair].got.len + user_stream(u)->out.len == sent);
    assert_true(user_stream(u)->out.len < PAIR_OUT_LIMIT);
    close_all();
}

/* A transport that is almost always full seldom has room for PINGs. */
static void an_upload_through_a_full_transport_never_stops(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *u = sharing(0);
    size_t pair = pair_of(s, u), sent = 0;
    static const char block[65536];

    for (int turn = 0; turn < 4000 && sent < 8 * 1024 * 1024; turn++) {
        s->end->paused = turn % 2; /* the API server reads slowly */
        sent += bufq_write(&user_stream(u)->out, block, sizeof(block));
        stream_update(user_stream(u));
        stream_update(s->end);
        rig_run();
    }
    s->end->paused = false;
    stream_update(s->end);
    rig_run();
    assert_true(sent >= 8 * 1024 * 1024);
    assert_true(s->pairs[pair].got.len + user_stream(u)->out.len + TRANSPORT_LIMIT >=
                sent);
    close_all();
}

/* These users always have something to send, and the API server takes 40 KB a turn. */
static void upload_slowly(struct server *s, size_t count, size_t least)
{
    static const char block[65536];
    size_t all = 0;

    s->end->wake = NULL;
    s->end->in.limit = 40000;
    for (int turn = 0; turn < 4000 && all < least; turn++) {
        all = 0;
        for (size_t i = 0; i < count; i++) {
            struct stream *u = user_stream(sharing(i));
            bufq_write(&u->out, block, sizeof(block));
            stream_update(u);
            all += s->pairs[pair_of(s, sharing(i))].got.len;
        }
        rig_run();
        s->wake.run(&s->wake);
    }
    s->end->wake = &s->wake;
    s->end->in.limit = TRANSPORT_LIMIT;
    assert_true(all >= least);
}

static void equal_uploads_on_a_slow_uplink_get_equal_parts(void **state)
{
    for (size_t count = 2; count <= WORKERS; count++) {
        struct server *s = open_all();
        upload_slowly(s, count, 8 * 1024 * 1024);
        size_t all = 0;
        for (size_t i = 0; i < count; i++)
            all += s->pairs[pair_of(s, sharing(i))].got.len;
        for (size_t i = 0; i < count; i++) {
            size_t part = 100 * s->pairs[pair_of(s, sharing(i))].got.len / all;
            if (part < 80 / count || part > 120 / count)
                fail_msg("upload %zu of %zu gets %zu %%", i, count, part);
        }
        close_all();
        rig_end(state);
        begin(state);
    }
}

/* A small request does not wait until the uploads are done. */
static void small_request_beside_uploads_takes_its_turn(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *small = sharing(4);
    size_t pair = pair_of(s, small);

    upload_slowly(s, 4, 1024 * 1024);
    user_write(small, "hello", 5);
    upload_slowly(s, 4, 1024 * 1024 + 4 * 65536);
    assert_int_equal(s->pairs[pair].got.len, 5);
    close_all();
}

/* Sends up to `total` bytes, until no more are accepted; returns how many were sent. */
static size_t fill(struct server *s, struct user *u, size_t total)
{
    static const char block[16000];
    uint32_t id = s->pairs[pair_of(s, u)].data_id;
    size_t sent = 0;

    while (sent < total && bufq_room(&s->end->out) > sizeof(block) + SPDY_HEAD) {
        server_data(s, id, block, sizeof(block), 0);
        sent += sizeof(block);
        rig_run();
    }
    return sent;
}

static void a_slow_reader_is_waited_for_and_then_reset_alone(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0), *other = sharing(1);
    uint32_t other_id = s->pairs[pair_of(s, other)].data_id;

    fill(s, slow, SHARE_PAIR_LIMIT - 32000);
    assert_int_equal(user_stream(slow)->end.verdict, V_OPEN);
    server_data(s, other_id, "a", 1, 0);
    rig_run();
    user_expect(other, "a", 1);

    s->blind = true;
    fill(s, slow, 64000);
    server_data(s, other_id, "b", 1, 0);
    rig_run();
    assert_true(bufq_empty(&user_stream(other)->in)); /* the tunnel waits ... */
    rig_advance(SHARE_STALL_MS + 1);                  /* ... so long */
    assert_int_equal(user_stream(slow)->end.verdict, V_RESET);
    user_expect(other, "b", 1);
    assert_int_equal(user_stream(other)->end.verdict, V_OPEN);
    close_all();
}

/* Several responses of unknown size may all be large, and a truncated response is worse
 * than a late one.  But the neighbours of two slow readers do not wait twice. */
static void
a_slow_reader_is_waited_for_3s_while_its_neighbours_have_no_answer(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0), *second = sharing(1);

    fill(s, slow, SHARE_PAIR_LIMIT - 32000);
    s->blind = true;
    fill(s, slow, 64000);
    rig_advance(SHARE_LONG_STALL_MS - 200);
    assert_int_equal(user_stream(slow)->end.verdict, V_OPEN);
    rig_advance(400);
    assert_int_equal(user_stream(slow)->end.verdict, V_RESET);

    fill(s, second, SHARE_PAIR_LIMIT + 32000);
    rig_advance(SHARE_STALL_WINDOW_MS + 2 * SHARE_STALL_MS);
    assert_int_equal(user_stream(second)->end.verdict, V_RESET);
    close_all();
}

/* Its verdict is received a second later, but its share of the memory is released at
 * once. */
static void a_closed_pair_holds_no_memory(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0);
    size_t sent = fill(s, slow, SHARE_PAIR_LIMIT / 2);

    assert_int_equal(rig.tunnels->origin.kept_for_slow, sent);
    user_finish(slow);
    assert_int_equal(rig.tunnels->origin.kept_for_slow, 0);
    close_all();
}

static void a_reader_that_catches_up_in_time_loses_no_byte(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0);
    size_t sent = fill(s, slow, SIZE_MAX), got = 0;
    char room[16384];

    assert_true(sent > SHARE_PAIR_LIMIT);
    rig_advance(SHARE_STALL_MS / 2);
    for (int i = 0; i < 200; i++) {
        got += bufq_read(&user_stream(slow)->in, room, sizeof(room));
        stream_update(user_stream(slow));
        rig_run();
    }
    assert_int_equal(user_stream(slow)->end.verdict, V_OPEN);
    assert_int_equal(got, sent);
    close_all();
}

/* Both FINs are received together, and the user of the ended pair still reads. */
static void eof_is_delivered_to_a_full_pair(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0);
    size_t sent = fill(s, slow, SHARE_PAIR_LIMIT / 2);

    rig_advance(1000);
    server_finish_pair(s, pair_of(s, slow));
    rig_advance(SHARE_STALL_MS + 1);
    assert_int_equal(user_stream(slow)->end.verdict, V_CLEAN);
    assert_false(user_stream(slow)->broken);
    assert_int_equal(user_stream(slow)->in.len, sent);
    close_all();
}

/* The other pairs are idle in the pool, so no traffic would end the stall. */
static void a_tunnel_takes_pairs_after_one_has_ended(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *ended = sharing(0);
    struct tunnel *t = tunnel_of(ended);
    size_t pair = pair_of(s, ended);

    for (size_t n = 1; n < WORKERS; n++)
        stream_lend(user_stream(sharing(n)), false);
    server_data(s, s->pairs[pair].data_id, "a", 1, 0);
    rig_run();
    user_expect(ended, "a", 1);
    server_finish_pair(s, pair);
    rig_run();
    user_finish(ended);
    rig_advance(2000);
    assert_true(mux_is_joinable(&t->mux));
    close_all();
}

/* As on an own tunnel: the server has to wait, and no pair is reset. */
static void expect_braked(struct server *s, struct user *slow)
{
    s->blind = true;
    fill(s, slow, SIZE_MAX);
    rig_advance(5000);
    assert_int_equal(user_stream(slow)->end.verdict, V_OPEN);
    assert_true(user_stream(slow)->in.len <= PAIR_IN_LIMIT);
}

/* Alone on a shared tunnel, a slow reader is braked like on one of its own. */
static void a_slow_reader_without_neighbours_is_not_reset(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0);

    for (size_t i = 0; i < USERS; i++)
        if (&users[i] != slow)
            user_finish(&users[i]);
    rig_run();
    expect_braked(s, slow);
    close_all();
}

/* All readers are slow: the tunnel is not read, and no fast reader is delayed. */
static void a_slow_reader_is_not_reset_while_all_are_slow(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0), *quick = sharing(1);
    char room[16384];

    for (size_t i = 1; i < WORKERS; i++)
        fill(s, sharing(i), 32000);
    for (size_t i = 0; i < WORKERS; i++)
        user_stream(sharing(i))->paused = true; /* their clients are stuck */
    s->blind = true;
    fill(s, slow, SIZE_MAX);
    rig_advance(5000);
    /* nor is more buffered for it */
    assert_true(user_stream(slow)->in.len <= PAIR_IN_LIMIT);
    assert_false(mux_is_joinable(&tunnel_of(slow)->mux)); /* a new pair would wait */
    for (size_t i = 0; i < WORKERS; i++)
        assert_int_equal(user_stream(sharing(i))->end.verdict, V_OPEN);

    while (bufq_read(&user_stream(quick)->in, room, sizeof(room)) > 0)
        continue;
    stream_update(user_stream(quick)); /* a pair whose queue is empty waits for more */
    rig_run();
    fill(s, slow, SIZE_MAX);
    rig_advance(SHARE_STALL_MS + 1);
    assert_int_equal(user_stream(slow)->end.verdict, V_RESET);
    assert_true(bufq_empty(&user_stream(slow)->in)); /* its buffered bytes are dropped */
    for (size_t i = 1; i < WORKERS; i++)
        assert_int_equal(user_stream(sharing(i))->end.verdict, V_OPEN);
    close_all();
}

/* Bytes of a partial frame, which the user cannot use yet, do not end its waiting. */
static void a_pair_with_a_partial_frame_counts_as_waiting(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0), *half = sharing(1);

    for (size_t i = 2; i < WORKERS; i++)
        stream_lend(user_stream(sharing(i)), false);
    server_data(s, s->pairs[pair_of(s, half)].data_id, "HTTP/1.1 200 OK\r\nX-", 20, 0);
    user_stream(slow)->paused = true;
    s->blind = true;
    fill(s, slow, SIZE_MAX);
    rig_advance(SHARE_STALL_MS + 1);
    assert_int_equal(user_stream(slow)->end.verdict, V_RESET);
    assert_int_equal(user_stream(half)->end.verdict, V_OPEN);
    close_all();
}

/* Pairs that were reset before and are not closed yet do not count as neighbours. */
static void a_slow_reader_left_alone_is_not_reset(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *slow = sharing(0);

    for (size_t i = 1; i < WORKERS; i++)
        server_text(s, pair_of(s, sharing(i)), "failed to do something");
    for (size_t i = 1; i < WORKERS; i++)
        server_fin(s, pair_of(s, sharing(i)), true);
    rig_run();
    assert_int_equal(user_stream(sharing(1))->end.verdict, V_RESET);
    expect_braked(s, slow);
    close_all();
}

static void pairs_that_end_together_share_a_probe(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct tunnel *t = tunnel_of(sharing(0));

    close_all(); /* and no verdict is received */
    rig_run();
    assert_int_equal(t->mux.closing_count, 5);
    assert_int_equal(s->ping_count, 0);
    rig_advance(50);
    assert_int_equal(s->ping_count, 5);
    open_all_again();
    assert_int_equal(rig.dials, 2);
    assert_int_equal(s->pair_count, 10);
    close_all();
}

static void a_waiting_opening_gets_a_freed_slot_at_once(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user more, *leaving = sharing(0);

    user_open(&more, "uid-1", 80);
    rig_run();
    assert_int_equal(more.opening.result, ERR_AGAIN);
    user_finish(leaving);
    rig_run(); /* no time passes */
    assert_int_equal(s->ping_count, 5);
    assert_int_equal(more.opening.result, OK);
    user_finish(&more);
    close_all();
}

/* Credit belongs to the worker, not to the pair. */
static void the_next_pair_of_a_worker_has_full_credit(void **state)
{
    (void)state;
    struct server *s = open_all();
    char block[8192] = { 0 };
    struct user *u = sharing(0);

    for (int i = 0; i < 200; i++) {
        offer(u);
        rig_run();
    }
    user_finish(u);
    rig_advance(50);
    user_open(u, "uid-1", 80);
    rig_run();
    size_t pair = pair_of(s, u), sent = 0;
    for (int i = 0; i < 200; i++) {
        sent += bufq_write(&user_stream(u)->out, block, sizeof(block));
        stream_update(user_stream(u));
        rig_run();
    }
    assert_int_equal(s->pairs[pair].got.len + user_stream(u)->out.len, sent);
    assert_true(s->pairs[pair].got.len > 100 * sizeof(block));
    close_all();
}

static void opened(struct user *u, size_t dial, bool alone)
{
    (alone ? user_open_alone : user_open)(u, "uid-1", 80);
    rig_run();
    if (rig.dials > dial)
        server_switch(server_connect(dial));
    rig_run();
    user_stream(u);
}

/* Requests share a tunnel, so that tunnels are left for pairs that need an own one. */
static void pairs_that_want_a_tunnel_of_their_own_get_one_and_others_share(void **state)
{
    (void)state;
    struct user *own = &users[0], *first = &users[1], *second = &users[2];
    struct user *alone = &users[3], *third = &users[4], *last = &users[5];

    tunnels_destroy(rig.tunnels);
    rig.settings.own_max = 2;
    rig.settings.own_brief_max = 1;
    struct diag why;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
    opened(own, 0, false);
    opened(first, 1, false);
    opened(second, 2, false);
    assert_int_equal(rig.dials, 2);
    assert_ptr_equal(tunnel_of(second), tunnel_of(first));

    opened(alone, 2, true);
    assert_int_equal(rig.dials, 3);
    assert_null(tunnel_of(alone)->mux.share);
    user_finish(alone);
    rig_run();
    opened(third, 3, false); /* an empty tunnel exists, and is not used */
    assert_ptr_equal(tunnel_of(third), tunnel_of(first));
    opened(alone, 3, true);
    assert_null(tunnel_of(alone)->mux.share);
    opened(last, 3, true); /* the limit of tunnels is reached, so they share */
    assert_int_equal(rig.dials, 3);
    assert_ptr_equal(tunnel_of(last), tunnel_of(first));
    close_all();
}

/* The size of an answer is not known beforehand. */
static void a_saturated_tunnel_gets_no_further_pairs(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct user *large = sharing(0), *kept = sharing(1), *gone = sharing(2);
    struct stream *kept_stream = user_stream(kept);
    char room[16384];

    user_finish(gone);
    stream_lend(kept_stream, false);
    rig_advance(50);
    assert_true(mux_is_joinable(&tunnel_of(large)->mux));
    assert_true(stream_is_free(kept_stream, false));
    assert_false(stream_is_free(kept_stream, true));

    for (size_t sent = 0; sent < PAIR_LARGE_BYTES; sent += sizeof(room)) {
        server_data(s, s->pairs[pair_of(s, large)].data_id, room, sizeof(room), 0);
        rig_run();
        bufq_read(&user_stream(large)->in, room, sizeof(room));
        stream_update(user_stream(large));
    }
    rig_run();
    assert_false(mux_is_joinable(&tunnel_of(large)->mux));
    assert_false(stream_is_free(kept_stream, false));

    stream_lend(user_stream(large), false); /* that request has ended */
    stream_lend(user_stream(large), true);
    assert_true(mux_is_joinable(&tunnel_of(large)->mux));
    assert_true(stream_is_free(kept_stream, false));
    close_all();
}

/* Uploads alone on a shared tunnel, without credit, until its transport is full. */
static void upload_without_credit(struct server *s, struct user *u)
{
    for (int i = 0; i < 200; i++) {
        offer(u);
        rig_run();
    }
    s->end->paused = true;
    stream_update(s->end);
    for (int i = 0; i < 200; i++) {
        offer(u);
        rig_run();
    }
}

static struct user *only_one_in_use(struct stream **ret_idle)
{
    struct user *used = sharing(0);

    for (size_t n = 1; n < 5; n++)
        stream_lend(user_stream(sharing(n)), false);
    *ret_idle = user_stream(sharing(1));
    return used;
}

/* The container read nothing of it: the runtime reads nothing of this tunnel any more. */
static void an_upload_that_was_not_taken_leaves_no_idle_pair(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct stream *idle;
    struct user *upload = only_one_in_use(&idle);

    upload_without_credit(s, upload);
    assert_false(stream_is_free(idle, false));
    user_finish(upload);
    rig_run();
    assert_int_equal(idle->end.verdict, V_TRANSPORT_LOST);
    close_all();
}

/* The container sent a byte, which does not prove that it took everything before it. */
static void idle_pairs_wait_for_the_proof_that_an_upload_was_taken(void **state)
{
    (void)state;
    struct server *s = open_all();
    struct stream *idle;
    struct user *upload = only_one_in_use(&idle);

    upload_without_credit(s, upload);
    s->end->paused = false;
    stream_update(s->end);
    rig_run();
    s->silent = true;
    size_t pair = pair_of(s, upload);
    server_data(s, s->pairs[pair].data_id, "x", 1, 0);
    rig_run();
    user_finish(upload);
    rig_advance(100);
    assert_false(stream_is_free(idle, false));
    s->silent = false;
    server_pong_from(s, s->pong_count);
    rig_run();
    assert_true(stream_is_reusable(idle));
    assert_true(stream_is_free(idle, false));
    close_all();
}

/* ---- which pairs share ---- */

static void coalescing(uint32_t own_max)
{
    struct diag why;

    tunnels_destroy(rig.tunnels);
    rig.settings.own_max = own_max;
    rig.settings.own_brief_max = 1;
    rig.settings.coalesce = true;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
}

static void answer_large(struct server *s, struct user *u)
{
    char room[16384] = { 0 };

    for (size_t sent = 0; sent < PAIR_LARGE_BYTES; sent += sizeof(room)) {
        server_data(s, s->pairs[pair_of(s, u)].data_id, room, sizeof(room), 0);
        rig_run();
        bufq_read(&user_stream(u)->in, room, sizeof(room));
        stream_update(user_stream(u));
    }
    rig_run();
}

static void exchange_small(struct user *u, size_t times)
{
    for (size_t i = 0; i < times; i++) {
        stream_lend(user_stream(u), false);
        stream_lend(user_stream(u), true);
    }
}

static bool is_shared(struct user *u)
{
    return tunnel_of(u)->mux.share != NULL;
}

static void after_a_large_answer_pairs_get_own_tunnels(void **state)
{
    (void)state;

    coalescing(3);
    for (size_t i = 0; i < 3; i++)
        opened(&users[i], i < 2 ? i : 2, false);
    assert_false(is_shared(&users[0]));
    assert_ptr_equal(tunnel_of(&users[1]), tunnel_of(&users[2]));
    answer_large(rig.servers[1], &users[1]);
    opened(&users[3], 2, false);
    assert_false(is_shared(&users[3]));
    close_all();
}

static void after_many_small_answers_pairs_share_again(void **state)
{
    (void)state;
    struct user *own = &users[2];

    coalescing(3);
    opened(&users[0], 0, false);
    opened(&users[1], 1, false);
    answer_large(rig.servers[1], &users[1]);
    opened(own, 2, false);
    exchange_small(&users[1], 1); /* the large one has ended */
    exchange_small(own, USAGE_SMALL_RUN - 1);
    assert_true(stream_is_reusable(user_stream(own)));
    exchange_small(own, 1);
    assert_false(is_shared(own));
    assert_false(stream_is_reusable(user_stream(own))); /* the shared one has room */
    close_all();
}

/* A pair that stays open for long may have been large before. */
static void a_long_connection_does_not_prevent_sharing(void **state)
{
    (void)state;

    coalescing(3);
    opened(&users[0], 0, true);
    opened(&users[1], 1, false);
    answer_large(rig.servers[0], &users[0]);
    for (size_t i = 0; i < USAGE_SMALL_RUN; i++) {
        server_data(rig.servers[0], rig.servers[0]->pairs[0].data_id, "tick", 4, 0);
        rig_run();
        user_expect(&users[0], "tick", 4);
        exchange_small(&users[1], 1);
    }
    opened(&users[2], 2, false);
    opened(&users[3], 2, false);
    assert_true(is_shared(&users[2]) && is_shared(&users[3]));
    close_all();
}

/* If shared tunnels have no room, it becomes a shared one. */
static void after_many_small_answers_an_own_tunnel_is_shared(void **state)
{
    (void)state;
    static const char block[8192];
    struct user *u = &users[0];

    coalescing(3);
    opened(u, 0, false);
    answer_large(rig.servers[0], u);
    opened(&users[1], 1, false);
    stream_lend(user_stream(u), false); /* a large response, which has ended */
    exchange_small(&users[1], USAGE_SMALL_RUN - 1);
    assert_false(is_shared(u) || is_shared(&users[1]));
    rig_advance(6000); /* PINGs were sent, and are answered */
    stream_set_stuck(tunnel_of(&users[1])->mux.transport, true);
    stream_update(user_stream(&users[1]));
    rig_run();
    assert_true(user_stream(&users[1])->stuck);
    exchange_small(&users[1], 1);
    assert_true(is_shared(&users[1]));
    assert_false(user_stream(&users[1])->stuck); /* from now on its credit limits it */
    stream_set_stuck(tunnel_of(&users[1])->mux.transport, false);
    stream_lend(user_stream(u), true);
    opened(&users[2], 2, false);
    opened(&users[3], 2, false);
    assert_int_equal(rig.dials, 2);
    assert_ptr_equal(tunnel_of(&users[3]), tunnel_of(&users[1]));

    struct server *s = rig.servers[1]; /* and it has credit like any other */
    size_t sent = 0;
    for (int i = 0; i < 400; i++) {
        sent += bufq_write(&user_stream(&users[3])->out, block, sizeof(block));
        stream_update(user_stream(&users[3]));
        rig_run();
    }
    size_t got = s->pairs[pair_of(s, &users[3])].got.len;
    assert_int_equal(got + user_stream(&users[3])->out.len, sent);
    assert_true(got > 200 * sizeof(block));
    close_all();
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)
    const struct CMUnitTest tests[] = {
        CASE(past_the_limit_up_to_five_pairs_share_a_tunnel),
        CASE(a_failure_stays_in_its_pair),
        CASE(an_aborted_pair_ends_alone),
        CASE(an_unread_pair_stops_alone),
        CASE(a_ping_behind_a_stuck_worker_stops_no_other_pair),
        CASE(a_tunnel_lives_while_one_worker_answers),
        CASE(a_probe_that_meets_a_stuck_worker_is_answered_by_another),
        CASE(answered_pings_let_a_pair_go_on),
        CASE(an_upload_through_a_full_transport_never_stops),
        CASE(equal_uploads_on_a_slow_uplink_get_equal_parts),
        CASE(small_request_beside_uploads_takes_its_turn),
        CASE(a_slow_reader_is_waited_for_and_then_reset_alone),
        CASE(a_slow_reader_is_waited_for_3s_while_its_neighbours_have_no_answer),
        CASE(a_closed_pair_holds_no_memory),
        CASE(a_reader_that_catches_up_in_time_loses_no_byte),
        CASE(eof_is_delivered_to_a_full_pair),
        CASE(a_tunnel_takes_pairs_after_one_has_ended),
        CASE(a_slow_reader_without_neighbours_is_not_reset),
        CASE(a_slow_reader_is_not_reset_while_all_are_slow),
        CASE(a_pair_with_a_partial_frame_counts_as_waiting),
        CASE(a_slow_reader_left_alone_is_not_reset),
        CASE(pairs_that_end_together_share_a_probe),
        CASE(a_waiting_opening_gets_a_freed_slot_at_once),
        CASE(the_next_pair_of_a_worker_has_full_credit),
        CASE(pairs_that_want_a_tunnel_of_their_own_get_one_and_others_share),
        CASE(a_saturated_tunnel_gets_no_further_pairs),
        CASE(an_upload_that_was_not_taken_leaves_no_idle_pair),
        CASE(idle_pairs_wait_for_the_proof_that_an_upload_was_taken),
        CASE(after_a_large_answer_pairs_get_own_tunnels),
        CASE(after_many_small_answers_pairs_share_again),
        CASE(a_long_connection_does_not_prevent_sharing),
        CASE(after_many_small_answers_an_own_tunnel_is_shared),
    };
    return cmocka_run_group_tests_name("tunnel/share", tests, NULL, NULL);
}
