/* tests/fuzz/raw_fuzz.c - a raw connection: both sides at any time, refusals, any end
 *
 * The input is a script of steps: what happens, and how much of it.  The value of each byte
 * follows from its offset.  A pod receives what the client wrote, from the beginning; the
 * client receives what one pod wrote; and a clean end means that all of it arrived.
 */
#include "../session/stage.h"

#include <assert.h>

#include "base/own.h"

#define WRITTEN_MAX (1u << 20)
#define PART 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum step {
    CLIENT_WRITES,
    POD_WRITES,
    CLIENT_READS,
    POD_READS,
    CLIENT_ENDS,
    POD_ENDS,
    POD_BREAKS,
    CLIENT_BREAKS,
    LEASE_ANSWERED,
    LEASE_REFUSED,
    TIME_PASSES,
    STEPS
};

/* One direction: bytes written and read. */
struct way {
    size_t written, read;
    bool ended; /* orderly */
};

static struct play {
    struct stage *stage;
    struct stream *client;                                /* NULL: gone */
    struct way to_pod[LEASES_MAX], to_client[LEASES_MAX]; /* by lease */
    size_t written, read;                                 /* by and at the client */
} play;

static uint8_t byte_at(size_t i, unsigned salt)
{
    return (uint8_t)(i * 31 + (i >> 8) + salt);
}

/* Write up to n bytes; returns how many fit into the queue. */
static size_t write_more(struct stream *to, size_t from, size_t n, unsigned salt)
{
    uint8_t part[PART];
    size_t done = 0, taken = 1;

    while (!to->shut && !to->broken && done < n && taken) {
        size_t want = n - done < PART ? n - done : PART;
        for (size_t i = 0; i < want; i++)
            part[i] = byte_at(from + done + i, salt);
        done += taken = bufq_write(&to->out, part, want);
    }
    stream_update(to);
    return done;
}

static size_t read_more(struct stream *at, size_t from, size_t n, unsigned salt)
{
    uint8_t part[PART];
    size_t done = 0, got = 1;

    while (done < n && got) {
        got = bufq_read(&at->in, part, n - done < PART ? n - done : PART);
        for (size_t i = 0; i < got; i++)
            assert(part[i] == byte_at(from + done + i, salt));
        done += got;
    }
    stream_update(at);
    return done;
}

static size_t last(void)
{
    return play.stage->lease_count - 1;
}

static struct stream *last_pod(void)
{
    return play.stage->lease_count ? play.stage->leases[last()].pod : NULL;
}

static void client_reads(size_t n)
{
    if (!play.client)
        return;
    /* After the first byte of a pod no other pod is leased. */
    play.read += read_more(play.client, play.read, n, 1);
    assert(!play.read || play.read <= play.to_client[last()].written);
    if (play.client->end.verdict != V_CLEAN || !bufq_empty(&play.client->in))
        return;
    assert(play.to_client[last()].ended);
    assert(play.read == play.to_client[last()].written);
}

static void pod_reads(size_t lease, size_t n)
{
    struct way *w = &play.to_pod[lease];
    struct stream *pod = play.stage->leases[lease].pod;

    if (pod)
        w->read += read_more(pod, w->read, n, 0);
    assert(w->read <= play.written);
}

static void answer_lease(enum err result, bool dialling)
{
    struct outcome outcome = { .result = result,
                               .dialling = dialling,
                               .why = "so it is" };
    struct stage *st = play.stage;

    if (st->lease_count && st->leases[last()].lease &&
        st->leases[last()].lease->result == ERR_AGAIN)
        stage_deliver(st, last(), &outcome);
}

static void break_pod(size_t how)
{
    static const enum verdict ends[] = { V_REFUSED, V_RESET, V_TRANSPORT_LOST,
                                         V_TARGET_GONE };

    if (last_pod() && play.stage->leases[last()].ours)
        pod_ends(play.stage, last(), ends[how % ARRAY_LEN(ends)], "so it ended");
}

static void end_pod(void)
{
    if (!last_pod() || last_pod()->broken)
        return;
    play.to_client[last()].ended = true;
    stream_shutdown(last_pod());
}

static void step(enum step what, size_t how)
{
    size_t n = how * how; /* up to 65025 */

    switch (what) {
    case CLIENT_WRITES:
        if (play.client && play.written < WRITTEN_MAX)
            play.written += write_more(play.client, play.written, n, 0);
        break;
    case POD_WRITES:
        if (last_pod())
            play.to_client[last()].written +=
                write_more(last_pod(), play.to_client[last()].written, n, 1);
        break;
    case CLIENT_READS:
        client_reads(n);
        break;
    case POD_READS:
        if (play.stage->lease_count)
            pod_reads(last(), n);
        break;
    case CLIENT_ENDS:
        if (play.client)
            stream_shutdown(play.client);
        break;
    case POD_ENDS:
        end_pod();
        break;
    case POD_BREAKS:
        break_pod(how);
        break;
    case CLIENT_BREAKS:
        drop(play.stage, &play.client);
        break;
    case LEASE_ANSWERED:
        answer_lease(OK, false);
        break;
    case LEASE_REFUSED:
        answer_lease(how % 2 ? ERR_CONNECT : ERR_UNAVAILABLE, how % 2);
        break;
    case TIME_PASSES:
        stage_pass(play.stage, n);
        break;
    case STEPS:
        break;
    }
    stage_run(play.stage);
}

static void finish(struct stage *st)
{
    serve_drain(st->serve, &st->drained);
    stage_run(st);
    stage_pass(st, st->config->drain_timeout_ms);
    for (size_t i = 0; i < st->lease_count; i++)
        pod_reads(i, SIZE_MAX);
    client_reads(SIZE_MAX);
    stage_pass(st, 60000);
    assert(serve_idle(st->serve));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    void *state;

    if (len == 0)
        return 0;
    stage_setup(&state);
    play = (struct play){ .stage = state };
    log_set_level(LEVEL_ERROR);
    play.stage->config->replay_buffer = 1000;
    play.stage->config->half_close = bytes[0] & 1;
    for (size_t i = 0; i < LEASES_MAX; i++)
        play.stage->script[i].result = bytes[0] & 2 ? ERR_AGAIN : OK;
    play.client = stage_raw_client(play.stage);
    for (size_t i = 1; i + 1 < len; i += 2)
        step((enum step)(bytes[i] % STEPS), bytes[i + 1]);
    finish(play.stage);
    stage_teardown(&state);
    return 0;
}
