/* tests/unit/relay/retry_buffer_test.c - a copy of what was sent, complete or useless */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "relay/retry_buffer.h"

#include "base/own.h"

struct rig {
    struct chunk_pool pool;
    struct retry_buffer buffer;
    struct bufq in, out; /* of the client; to the pod */
};

static int setup(void **state)
{
    struct rig *r = xcalloc(1, sizeof(*r));

    chunk_pool_init(&r->pool, 0);
    retry_buffer_init(&r->buffer, &r->pool);
    bufq_init(&r->in, &r->pool, 65536);
    bufq_init(&r->out, &r->pool, 65536);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct rig *r = *state;

    retry_buffer_finish(&r->buffer);
    bufq_finish(&r->in);
    bufq_finish(&r->out);
    chunk_pool_finish(&r->pool); /* every chunk came back */
    free(r);
    return 0;
}

/* The client sends this, which goes to the pod. */
static void send(struct rig *r, const char *text)
{
    size_t n = strlen(text);

    bufq_write(&r->in, text, n);
    retry_buffer_keep(&r->buffer, &r->in, n);
    bufq_move_n(&r->out, &r->in, n);
}

static void assert_out(struct rig *r, const char *text)
{
    char found[256] = "";

    bufq_read(&r->out, found, sizeof(found) - 1);
    assert_string_equal(found, text);
}

static void what_was_sent_is_replayed_on_the_next_lease(void **state)
{
    struct rig *r = *state;

    retry_buffer_start(&r->buffer, 100);
    assert_true(retry_buffer_replay(&r->buffer, &r->out));
    send(r, "one ");
    send(r, "two");
    assert_out(r, "one two");
    for (int i = 0; i < 2; i++) {
        retry_buffer_rewind(&r->buffer);
        assert_true(r->buffer.complete);
        assert_true(retry_buffer_replay(&r->buffer, &r->out));
        assert_out(r, "one two");
    }
    send(r, " three"); /* what comes after it is kept, too */
    retry_buffer_rewind(&r->buffer);
    bufq_clear(&r->out);
    assert_true(retry_buffer_replay(&r->buffer, &r->out));
    assert_out(r, "one two three");
}

static void replay_stops_where_the_pod_has_no_room(void **state)
{
    struct rig *r = *state;

    retry_buffer_start(&r->buffer, 100);
    send(r, "0123456789");
    bufq_clear(&r->out);
    retry_buffer_rewind(&r->buffer);
    r->out.limit = 4;
    assert_false(retry_buffer_replay(&r->buffer, &r->out));
    assert_out(r, "0123");
    retry_buffer_stop(&r->buffer); /* a response has begun: the rest still has to go */
    assert_false(r->buffer.complete);
    assert_false(retry_buffer_replay(&r->buffer, &r->out));
    assert_out(r, "4567");
    assert_true(retry_buffer_replay(&r->buffer, &r->out));
    assert_out(r, "89");
    assert_int_equal(r->buffer.held.len, 0);
}

static void one_byte_over_the_limit_drops_everything(void **state)
{
    struct rig *r = *state;

    retry_buffer_start(&r->buffer, 8);
    send(r, "01234567");
    assert_true(r->buffer.complete);
    send(r, "8");
    assert_false(r->buffer.complete);
    assert_int_equal(r->buffer.held.len, 0);
    send(r, "9"); /* and nothing is kept after that */
    assert_int_equal(r->buffer.held.len, 0);
    assert_out(r, "0123456789");
    retry_buffer_start(&r->buffer, 8); /* but of the next request */
    send(r, "next");
    assert_true(r->buffer.complete);
    assert_int_equal(r->buffer.held.len, 4);
}

static void stopping_frees_what_has_been_sent(void **state)
{
    struct rig *r = *state;

    retry_buffer_start(&r->buffer, 100);
    send(r, "sent");
    retry_buffer_stop(&r->buffer);
    assert_false(r->buffer.complete);
    assert_int_equal(r->buffer.held.len, 0);
}

static void nothing_is_kept_while_memory_is_short(void **state)
{
    struct rig *r = *state;
    struct bufq other;

    bufq_init(&other, &r->pool, SIZE_MAX);
    chunk_pool_set_limit(&r->pool, 16384, NULL);
    for (int i = 0; i < 3000 && !chunk_pool_is_tight(&r->pool); i++)
        bufq_write(&other, "01234567", 8);
    assert_true(chunk_pool_is_tight(&r->pool));
    retry_buffer_start(&r->buffer, 100);
    send(r, "x");
    assert_false(r->buffer.complete);
    bufq_finish(&other);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_was_sent_is_replayed_on_the_next_lease),
        TEST(replay_stops_where_the_pod_has_no_room),
        TEST(one_byte_over_the_limit_drops_everything),
        TEST(stopping_frees_what_has_been_sent),
        TEST(nothing_is_kept_while_memory_is_short),
    };
    return cmocka_run_group_tests_name("relay/retry_buffer", tests, NULL, NULL);
}
