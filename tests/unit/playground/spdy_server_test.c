/* tests/unit/playground/spdy_server_test.c - the frames that only a server sends */
#include "playground/forward/spdy_server.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

static void encodes_resets_and_goaways(void **state)
{
    (void)state;
    uint8_t out[SPDY_RST_SIZE];

    spdy_rst_encode(3, SPDY_CANCEL, out);
    assert_memory_equal(out, "\x80\x03\0\3\0\0\0\x8\0\0\0\3\0\0\0\5", SPDY_RST_SIZE);
    spdy_goaway_encode(0, 0, out);
    assert_memory_equal(out, "\x80\x03\0\7\0\0\0\x8\0\0\0\0\0\0\0\0", SPDY_GOAWAY_SIZE);
}

static void a_syn_reply_reads_back(void **state)
{
    (void)state;
    uint8_t out[SPDY_SYN_REPLY_MAX];
    struct spdy_head head;
    struct spdy_control reply;

    for (int first = 0; first < 2; first++) {
        size_t n = spdy_syn_reply_encode(7, first, out);

        assert_in_range(n, SPDY_HEAD, SPDY_SYN_REPLY_MAX);
        assert_int_equal(spdy_head_decode(out, n, &head), OK);
        assert_int_equal(head.type, SPDY_SYN_REPLY);
        assert_int_equal(head.length, n - SPDY_HEAD);
        assert_int_equal(spdy_control_decode(&head, out + SPDY_HEAD, &reply), OK);
        assert_int_equal(reply.id, 7);
        assert_int_equal(reply.block.len, first ? 20 : 14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_resets_and_goaways),
        cmocka_unit_test(a_syn_reply_reads_back),
    };
    return cmocka_run_group_tests_name("playground/spdy_server", tests, NULL, NULL);
}
