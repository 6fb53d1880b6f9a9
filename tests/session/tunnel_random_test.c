/* tests/session/tunnel_random_test.c - tunnels: random events, with the invariants
 * checked after each
 *
 * Each seed is a run: users open connections, write and close, API servers answer or do
 * not, pods end and workers get stuck, in an order and with pauses that the seed
 * determines.  After every event the invariants are checked.  In the end all users close
 * their pairs, and all tunnels must close: by expiry, by draining, or at once.
 *
 * `tunnel_random_test FIRST COUNT` runs other seeds than the default ones.
 */
#include "tunnel_rig.h"

#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "base/own.h"
#include "tunnel/coalesce.h"
#include "tunnel/pod_tunnels.h"
#include "tunnel/share.h"
#include "tunnel_rules.h"

#define USUAL_FIRST 1
#define USUAL_COUNT 300
#define PEOPLE 14
#define EVENTS 600
/* room for frames: a server of the rig never waits until it can send */
#define FRAMES_ROOM 4096

static struct person {
    struct user user;
    bool here, lent;
    uint64_t taken;            /* bytes */
    uint64_t written, arrived; /* towards the pod */
} people[PEOPLE];

static const char *const uids[] = { "uid-1", "uid-2", "uid-3" };

/* ---- the run: its log, and its random numbers ---- */

static uint64_t first = USUAL_FIRST, count = USUAL_COUNT;
static uint64_t seed, dice;
static unsigned event;
static const char *what;
static bool over;

/* The input of a fuzzer, instead of random numbers; the run ends with it. */
static const uint8_t *script, *script_end;

static void print_position(void)
{
    print_error("seed %" PRIu64 ", event %u: %s\n", seed, event, what);
}

static void on_abort(int number)
{
    (void)number;
    print_position();
}

static uint32_t roll_from_script(uint32_t n)
{
    uint32_t rolled = 0;

    for (uint32_t range = 1; range < n && script < script_end; range <<= 8)
        rolled = rolled << 8 | *script++;
    return rolled % n;
}

/* 0 to n - 1 */
static uint32_t roll(uint32_t n)
{
    if (script)
        return roll_from_script(n);
    dice ^= dice << 13;
    dice ^= dice >> 7;
    dice ^= dice << 17;
    return (uint32_t)((dice >> 11) % n);
}

static bool one_in(uint32_t n)
{
    return roll(n) == 0;
}

/* ---- what holds of a connection, as its user sees it ---- */

static size_t sent[ARRAY_LEN(rig.servers)][ARRAY_LEN(rig.servers[0]->pairs)];

/* The value of a byte follows from its offset in the stream. */
#define BLOCK 60000
static uint8_t all_bytes[65536 + BLOCK];

static const uint8_t *bytes_from(uint64_t offset)
{
    return all_bytes + offset % 65536;
}

static void make_bytes(void)
{
    for (size_t i = 0; i < sizeof(all_bytes); i++)
        all_bytes[i] = (uint8_t)(i * 31 + (i % 65536 >> 8));
}

static struct server *server_of(const struct person *p)
{
    return rig.servers[p->user.opening.via.number - 1]; /* each has one dial */
}

/* NULL: its server has not received its SYN_STREAMs yet. */
static struct wire_pair *wire_pair_of(const struct person *p)
{
    const struct pair *pair = container_of(p->user.opening.stream, struct pair, stream);
    struct server *s = server_of(p);

    for (size_t i = 0; i < s->pair_count; i++)
        if (s->pairs[i].data_id == pair->data_id)
            return &s->pairs[i];
    return NULL;
}

/* How many bytes its server has sent to it. */
static size_t sent_to(const struct person *p)
{
    const struct wire_pair *pair = wire_pair_of(p);
    const struct server *s = server_of(p);

    return pair ? sent[p->user.opening.via.number - 1][pair - s->pairs] : 0;
}

static void check_order(struct bufq *q, uint64_t *taken, size_t n)
{
    uint8_t part[1024];
    size_t got;

    while (n && (got = bufq_read(q, part, n < sizeof(part) ? n : sizeof(part)))) {
        must(memcmp(part, bytes_from(*taken), got) == 0, "bytes come in their order");
        *taken += got;
        n -= got;
    }
}

static void check_upload(struct person *p)
{
    struct wire_pair *pair = wire_pair_of(p);

    if (pair)
        check_order(&pair->got, &p->arrived, SIZE_MAX);
    must(p->arrived <= p->written, "a pod receives what its client wrote");
}

/* Every byte has arrived once: all of them if `all` is set, and never more. */
static void check_bytes(const struct person *p)
{
    const struct stream *s = p->user.opening.stream;
    uint64_t got = p->taken + s->in.len;

    must(got <= sent_to(p), "a user gets only what was sent to it");
    must(s->end.verdict != V_CLEAN || got == sent_to(p),
         "a clean end means that all came");
}

/* Returns how many bytes it holds besides those of open tunnels. */
static size_t check_person(struct person *p)
{
    const struct stream *s = p->user.opening.stream;

    if (!p->here || !s)
        return 0;
    const struct pair *pair = container_of(s, struct pair, stream);
    rules_check_stream(s);
    check_bytes(p);
    check_upload(p);
    return pair->owner ? 0 : pair->counted;
}

static void check_all(void)
{
    size_t kept = rules_check();

    for (size_t i = 0; i < PEOPLE; i++)
        kept += check_person(&people[i]);
    must(kept == rig.tunnels->origin.kept_for_slow, "bytes for slow readers are counted");
}

/* ---- what may happen ---- */

/* A random user, to which the event happens. */
struct scene {
    struct person *person;
    struct stream *stream; /* of the user; NULL: none */
    size_t dial, pair;
    struct server *server; /* that can send; NULL: none */
};

enum needs { NOTHING, SOMEBODY_AWAY, SOMEBODY, STREAM, OPEN_STREAM, SERVER, PAIR };

static void user_comes(const struct scene *s)
{
    *s->person = (struct person){ .here = true, .lent = true };
    static void (*const ways[])(struct user *, const char *,
                                uint16_t) = { user_open_alone, user_open, user_open,
                                              user_open_small, user_open_small };
    uint16_t port = one_in(4) ? 81 : 80;
    ways[roll(5)](&s->person->user, uids[roll(3)], port);
}

static void user_leaves(const struct scene *s)
{
    if (one_in(3))
        stream_abort(TAKE(s->person->user.opening.stream));
    user_finish(&s->person->user);
    s->person->here = false;
}

static void user_writes(const struct scene *s)
{
    size_t n = one_in(4) ? roll(BLOCK) : roll(2000);

    if (s->stream->shut)
        return;
    s->person->written += bufq_write(&s->stream->out, bytes_from(s->person->written), n);
    stream_update(s->stream);
}

/* Writes as much as is accepted. */
static void user_uploads(const struct scene *s)
{
    for (int i = 0; i < 40 && s->stream->end.verdict == V_OPEN; i++) {
        user_writes(s);
        rig_run();
    }
}

static void user_ends_output(const struct scene *s)
{
    stream_shutdown(s->stream);
}

static void user_reads(const struct scene *s)
{
    size_t n = roll((uint32_t)s->stream->in.len + 1);

    check_order(&s->stream->in, &s->person->taken, n);
    s->stream->paused = one_in(3);
    stream_update(s->stream);
}

/* As upstream/ does: only a connection without bytes in transit that is reusable. */
static void a_connection_is_kept(const struct scene *s)
{
    bool done = bufq_empty(&s->stream->in) && bufq_empty(&s->stream->out);

    if (!s->person->lent || !done || s->stream->shut || !stream_is_reusable(s->stream))
        return;
    stream_lend(s->stream, false);
    s->person->lent = false;
}

static void a_kept_one_is_lent(const struct scene *s)
{
    bool alone = one_in(4);

    if (s->person->lent || !stream_is_free(s->stream, alone))
        return;
    stream_set_alone(s->stream, alone);
    stream_lend(s->stream, true);
    s->person->lent = true;
}

/* Small exchanges, until the pod counts as one with small responses only. */
static void a_connection_is_kept_and_lent_for_long(const struct scene *s)
{
    for (int i = 0; i < USAGE_SMALL_RUN; i++) {
        a_connection_is_kept(s);
        a_kept_one_is_lent(s);
    }
}

/* Answers a dial, or never answers it. */
static void answer(size_t dial)
{
    static const char *const answers[] = {
        "HTTP/1.1 429 Busy\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 404 Gone\r\nContent-Length: 17\r\n\r\n{\"kind\":\"Status\"}",
    };
    struct server *s = server_connect(dial);
    uint32_t how = roll(11);

    if (how < ARRAY_LEN(answers))
        server_send(s, answers[how], strlen(answers[how]));
    else if (how == 3)
        server_end(s);
    else if (how != 4)
        server_switch(s);
}

static void a_dial_is_answered(const struct scene *s)
{
    (void)s;
    size_t dial = 0;

    while (dial < rig.dials && (!rig.servers[dial]->dial || rig.servers[dial]->end))
        dial++;
    if (dial == rig.dials)
        return;
    if (one_in(12))
        server_refuse(dial, ERR_CONNECT, "no route to host");
    else
        answer(dial);
}

/* Sends no bytes after the end, as no server does. */
static bool send_bytes(const struct scene *s, size_t n, bool fin)
{
    struct wire_pair *p = &s->server->pairs[s->pair];

    if (p->server_fin || n + FRAMES_ROOM > bufq_room(&s->server->end->out))
        return false;
    size_t *at = &sent[s->dial][s->pair];
    server_data(s->server, p->data_id, bytes_from(*at), n, fin ? SPDY_FIN : 0);
    p->server_fin = fin ? rig.turn + 1 : 0;
    *at += n;
    return true;
}

static void bytes_come(const struct scene *s)
{
    size_t n = 1 + (one_in(4) ? roll(BLOCK) : roll(3000));
    send_bytes(s, n, one_in(6));
}

/* More than is buffered for a slow reader, if it is accepted. */
static void a_download_comes(const struct scene *s)
{
    size_t n = 1 + roll(BLOCK / 2);

    for (size_t came = 0; came < 2 * SHARE_PAIR_LIMIT && send_bytes(s, n, false);
         came += n)
        rig_run();
}

static void a_pair_ends(const struct scene *s)
{
    server_finish_pair(s->server, s->pair);
}

static void half_of_a_pair_ends(const struct scene *s)
{
    server_fin(s->server, s->pair, one_in(2));
}

static void a_pair_fails(const struct scene *s)
{
    static const char *const texts[] = { "connection refused", "reset",
                                         "failed to find sandbox \"x\"" };

    server_text(s->server, s->pair, texts[roll(ARRAY_LEN(texts))]);
    if (one_in(2))
        server_fin(s->server, s->pair, true);
}

static void a_pair_is_reset(const struct scene *s)
{
    const struct wire_pair *p = &s->server->pairs[s->pair];
    server_rst(s->server, one_in(2) ? p->data_id : p->error_id);
}

static void pings_are_not_answered(const struct scene *s)
{
    s->server->silent = !s->server->silent;
}

static void a_worker_is_stuck(const struct scene *s)
{
    s->server->stuck = one_in(2) ? 1u << roll(WORKERS) : 0;
}

static void a_transport_is_not_read(const struct scene *s)
{
    s->server->end->paused = one_in(2);
    stream_update(s->server->end);
}

static void a_transport_ends(const struct scene *s)
{
    static void (*const ends[])(struct server *) = { server_goaway, server_end,
                                                     server_break };
    ends[roll(ARRAY_LEN(ends))](s->server);
}

static void the_network_changes(const struct scene *s)
{
    (void)s;
    tunnels_check(rig.tunnels, "a test");
}

static void a_pod_leaves_its_service(const struct scene *s)
{
    (void)s;
    connector_retire(tunnels_connector(rig.tunnels), uids[roll(3)]);
}

static void it_is_known_whether_a_pod_is_there(const struct scene *s)
{
    (void)s;
    if (rig.pending)
        rig_answer_pod(one_in(2) ? "uid-1" : NULL);
}

static void a_pod_is_expected(const struct scene *s)
{
    (void)s;
    char uid[] = "uid-1";
    struct endpoint e = { .ns = uid, .pod = uid, .uid = uid, .key = uid, .ready = true };
    struct demand of = { .since = rig.sched->now, .last_opening_at = rig.sched->now };

    of.peak = roll(6);
    connector_expect(tunnels_connector(rig.tunnels), &e, of.peak, &of);
}

static void nothing_but_time(const struct scene *s)
{
    (void)s;
}

static const struct {
    uint32_t weight;
    enum needs needs;
    void (*happens)(const struct scene *);
    const char *what;
} events[] = {
/* clang-format off */
#define EVENT(weight, needs, name) { weight, needs, name, #name }
    EVENT(48, SOMEBODY_AWAY, user_comes),
    EVENT(36, SOMEBODY,      user_leaves),
    EVENT(12, OPEN_STREAM,   user_writes),
    EVENT(4,  OPEN_STREAM,   user_uploads),
    EVENT(2,  OPEN_STREAM,   user_ends_output),
    EVENT(24, STREAM,        user_reads),
    EVENT(6,  OPEN_STREAM,   a_connection_is_kept),
    EVENT(6,  OPEN_STREAM,   a_kept_one_is_lent),
    EVENT(2,  OPEN_STREAM,   a_connection_is_kept_and_lent_for_long),
    EVENT(48, NOTHING,       a_dial_is_answered),
    EVENT(24, PAIR,          bytes_come),
    EVENT(4,  PAIR,          a_download_comes),
    EVENT(12, PAIR,          a_pair_ends),
    EVENT(12, PAIR,          half_of_a_pair_ends),
    EVENT(12, PAIR,          a_pair_fails),
    EVENT(12, PAIR,          a_pair_is_reset),
    EVENT(2,  SERVER,        pings_are_not_answered),
    EVENT(2,  SERVER,        a_worker_is_stuck),
    EVENT(12, SERVER,        a_transport_is_not_read),
    EVENT(3,  SERVER,        a_transport_ends),
    EVENT(4,  NOTHING,       the_network_changes),
    EVENT(2,  NOTHING,       a_pod_leaves_its_service),
    EVENT(12, NOTHING,       it_is_known_whether_a_pod_is_there),
    EVENT(2,  NOTHING,       a_pod_is_expected),
    EVENT(12, NOTHING,       nothing_but_time),
#undef EVENT
}; /* clang-format on */

/* ---- and when ---- */

static bool can_speak(const struct server *s)
{
    return s->switched && s->end && !s->end->shut && s->end->end.verdict == V_OPEN &&
           bufq_room(&s->end->out) > FRAMES_ROOM;
}

static size_t a_recent_pair(const struct server *s)
{
    uint32_t n = (uint32_t)s->pair_count, recent = n < 6 ? n : 6;
    return n ? n - 1 - roll(recent) : 0;
}

static struct scene a_scene(void)
{
    struct scene s = { .person = &people[roll(PEOPLE)] };

    s.stream = s.person->here ? s.person->user.opening.stream : NULL;
    for (int i = 0; i < 8 && rig.dials && !s.server; i++) {
        s.dial = roll((uint32_t)rig.dials);
        s.server = can_speak(rig.servers[s.dial]) ? rig.servers[s.dial] : NULL;
    }
    s.pair = s.server ? a_recent_pair(s.server) : 0;
    return s;
}

static bool is_there(enum needs needs, const struct scene *s)
{
    switch (needs) {
    case SOMEBODY_AWAY:
        return !s->person->here;
    case SOMEBODY:
        return s->person->here;
    case STREAM:
        return s->stream != NULL;
    case OPEN_STREAM:
        return s->stream && s->stream->end.verdict == V_OPEN;
    case SERVER:
        return s->server != NULL;
    case PAIR:
        return s->server && s->server->pair_count;
    case NOTHING:
        break;
    }
    return true;
}

/* The weights of events differ per run, so that an event that is rare in most runs is
 * frequent in some. */
static uint32_t weights[ARRAY_LEN(events)], all_weights;

static void get_into_a_mood(void)
{
    static const uint32_t moods[] = { 1, 4, 4, 16 };

    all_weights = 0;
    for (size_t i = 0; i < ARRAY_LEN(events); i++) {
        weights[i] = events[i].weight * moods[roll(ARRAY_LEN(moods))];
        all_weights += weights[i];
    }
}

static size_t an_event(void)
{
    size_t i = 0;

    for (uint32_t left = roll(all_weights); left >= weights[i]; i++)
        left -= weights[i];
    return i;
}

/* While a transport is not read, a FIN may not have reached a pair that still sends. */
static void blind_all(void)
{
    for (size_t i = 0; i < rig.dials; i++)
        rig.servers[i]->blind = true;
}

/* Mostly little time passes, so that the next event meets unfinished work. */
static void pass_time(void)
{
    uint32_t how = roll(10);

    blind_all();
    if (how < 5)
        rig_run();
    else
        rig_advance(roll(how < 8 ? 60 : how == 8 ? 800 : 9000));
}

static void let_it_happen(void)
{
    size_t i = an_event();
    struct scene s = a_scene();

    what = events[i].what;
    if (is_there(events[i].needs, &s))
        events[i].happens(&s);
    pass_time();
    check_all();
}

/* The arrays of the rig have a fixed size. */
static bool is_rig_full(void)
{
    for (size_t i = 0; i < rig.dials; i++)
        if (rig.servers[i]->pair_count > 110 || rig.servers[i]->seen_count > 6000 ||
            rig.servers[i]->ping_count > 3000)
            return true;
    return rig.dials >= 40;
}

static bool is_script_over(void)
{
    return script && script == script_end;
}

/* ---- the end ---- */

static void all_users_close(void)
{
    for (size_t i = 0; i < PEOPLE; i++)
        if (people[i].here)
            user_finish(&people[i].user);
    memset(people, 0, sizeof(people));
}

static void on_drained(struct task *t)
{
    (void)t;
}

/* No state of any pod is left: no tunnel, no timer, no opening. */
static void all_goes_by_itself(void)
{
    what = "all goes by itself";
    all_users_close();
    rig.tunnels->settings.dial_ahead = false;
    for (int s = 0; s < 400 && rig.tunnels->pods.count; s++) {
        rig_advance(1000);
        if (rig.pending)
            rig_answer_pod(NULL);
        check_all();
    }
    must(!rig.tunnels->pods.count, "no unused pod is left");
}

static void all_is_drained(void)
{
    static struct task drained;

    what = "all is drained";
    task_init(&drained, rig.sched, RANK_WORK, on_drained);
    tunnels_drain(rig.tunnels, &drained);
    rig_run();
    check_all();
    all_users_close();
    for (int s = 0; s < 30 && !tunnels_idle(rig.tunnels); s++) {
        rig_advance(1000);
        check_all();
    }
    must(tunnels_idle(rig.tunnels), "a drain comes to an end");
    task_cancel(&drained);
}

static void all_is_destroyed(void)
{
    what = "all is destroyed";
    all_users_close();
}

/* ---- the plays ---- */

static void change_settings(void)
{
    struct tunnel_settings *s = &rig.settings;

    tunnels_destroy(rig.tunnels);
    s->transport = one_in(3) ? TUNNEL_TRANSPORT_WEBSOCKET : TUNNEL_TRANSPORT_SPDY;
    s->own_max = 1 + roll(4);
    s->own_brief_max = 1 + roll(s->own_max);
    s->coalesce = one_in(2);
    s->dial_ahead = one_in(2);
    s->prewarmed = roll(3);
    s->tunnels_max = 2 + roll(5);
    s->dials_max = 1 + roll(4);
    s->pairs_max = one_in(3) ? 3 : 100;
    enum err e = tunnels_create(rig.loop, NULL, NULL, s, &rig.tunnels, NULL);
    assert_int_equal(e, OK);
}

static void play(void)
{
    static void (*const ends[])(void) = { all_goes_by_itself, all_is_drained,
                                          all_is_destroyed };

    dice = seed * 0x9e3779b97f4a7c15u + 88172645463325252u;
    rig_begin(NULL);
    rig.sched->random = dice; /* so that a seed always gives the same run */
    memset(people, 0, sizeof(people));
    memset(sent, 0, sizeof(sent));
    make_bytes();
    change_settings();
    get_into_a_mood();
    for (event = 0; event < EVENTS && !is_rig_full() && !is_script_over(); event++)
        let_it_happen();
    ends[roll(ARRAY_LEN(ends))]();
    rig_end(NULL);
}

static void the_invariants_hold_in_random_runs(void **state)
{
    (void)state;

    for (seed = first; seed < first + count; seed++)
        play();
    over = true;
}

/* Prints the position also if the rig or the program has aborted. */
static int print_position_unless_over(void **state)
{
    (void)state;
    if (!over)
        print_position();
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(the_invariants_hold_in_random_runs,
                                  print_position_unless_over),
    };
    if (argc > 2) {
        first = strtoull(argv[1], NULL, 10);
        count = strtoull(argv[2], NULL, 10);
    }
    signal(SIGABRT, on_abort);
    return cmocka_run_group_tests_name("tunnel/random", tests, NULL, NULL);
}
