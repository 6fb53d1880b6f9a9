/* tests/fuzz/session_fuzz.c - a client and a pod that send any bytes, in any order
 *
 * The input is a script of steps: a byte that selects what happens, one for how much,
 * and so many bytes to send.  Whatever happens, no lease is kept with bytes in it (the
 * stage asserts that), every head that reaches a pod is one that our own strict parser
 * takes, unless it asked for bytes to be carried (CONNECT, SOCKS, TLS), and at the end nothing
 * is left in memory.
 */
#include "../session/stage.h"

#include <assert.h>

#include "base/own.h"
#include "wire/http1.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum step {
    CLIENT_SAYS,
    POD_SAYS,
    CLIENT_ENDS,
    POD_ENDS,
    TIME_PASSES,
    NEW_CLIENT,
    STEPS
};

static struct stream *last_client(struct stage *st)
{
    return st->client_count ? st->clients[st->client_count - 1] : NULL;
}

static struct leased *last_lease(struct stage *st)
{
    return st->lease_count ? &st->leases[st->lease_count - 1] : NULL;
}

static void put(struct stage *st, struct stream *to, const uint8_t *at, size_t n)
{
    if (!to || to->broken || to->shut)
        return;
    bufq_write(&to->out, at, n);
    stream_update(to);
    stage_run(st);
}

static void end_pod(struct stage *st, uint8_t how)
{
    struct leased *l = last_lease(st);

    if (l && l->ours)
        pod_ends(st, st->lease_count - 1, (enum verdict)(V_CLEAN + how % 5), NULL);
}

/* The first head on each pod's stream is not read yet. */
static void check_pods(struct stage *st)
{
    static struct http1_field fields[512];
    struct http1_head head = { .fields = fields, .room = ARRAY_LEN(fields) };
    static char text[STAGE_LIMIT * 2];

    bool proxied = false; /* then targets stay as they are */

    for (size_t i = 0; i < st->lease_count; i++) {
        struct stream *at = st->leases[i].pod;
        proxied = proxied || st->leases[i].raw;
        if (st->leases[i].raw)
            continue;
        size_t scanned = 0, end;
        size_t n = at ? bufq_copy(&at->in, 0, text, sizeof(text)) : 0;
        if (!n || http1_head_end(text, n, &scanned, &end))
            continue;
        assert(http1_request_parse(text, end, &head) == OK);
        assert(head.minor == 1 && (proxied || head.target.at[0] != 'h'));
    }
}

static void step(struct stage *st, uint8_t what, uint8_t how, const uint8_t *at, size_t n)
{
    switch ((enum step)(what % STEPS)) {
    case CLIENT_SAYS:
        put(st, last_client(st), at, n);
        break;
    case POD_SAYS:
        put(st, last_lease(st) ? last_lease(st)->pod : NULL, at, n);
        break;
    case CLIENT_ENDS:
        if (last_client(st))
            hang_up(st, last_client(st));
        break;
    case POD_ENDS:
        end_pod(st, how);
        break;
    case TIME_PASSES:
        stage_pass(st, (uint64_t)how * 1000);
        break;
    case NEW_CLIENT:
        if (st->client_count < 8)
            stage_client(st);
        break;
    case STEPS:
        break;
    }
}

static bool takes_bytes(uint8_t what)
{
    return what % STEPS == CLIENT_SAYS || what % STEPS == POD_SAYS;
}

static void play(struct stage *st, const uint8_t *at, const uint8_t *end)
{
    while (end - at >= 2 && st->lease_count < LEASES_MAX - 4) {
        uint8_t what = at[0], how = at[1];
        at += 2;
        size_t n = takes_bytes(what) ? how : 0;
        if (n > (size_t)(end - at))
            n = (size_t)(end - at);
        step(st, what, how, at, n);
        at += n;
        check_pods(st);
        if (last_client(st))
            stage_received(st, last_client(st));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    void *state;

    stage_setup(&state);
    struct stage *st = state;
    log_set_level(LEVEL_ERROR);
    st->config->replay_buffer = 1000;
    stage_client(st);
    play(st, bytes, bytes + len);
    serve_drain(st->serve, &st->drained);
    stage_run(st);
    stage_pass(st, st->config->drain_timeout_ms);
    assert(serve_idle(st->serve));
    stage_teardown(&state);
    return 0;
}
