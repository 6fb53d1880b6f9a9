/* tests/unit/http/websocket_key_test.c - keys of WebSocket handshakes */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "http/websocket_key.h"
#include "base/base64.h"
#include "base/own.h"

/* RFC 6455, section 1.3. */
static void the_answer_to_a_key_is_that_of_the_rfc(void **state)
{
    (void)state;
    AUTO_FREE char *accept = websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="));

    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void a_key_longer_than_any_other_is_cut(void **state)
{
    (void)state;
    char key[1000];

    memset(key, 'k', sizeof(key));
    AUTO_FREE char *accept = websocket_accept((struct str){ key, sizeof(key) });
    assert_int_equal(strlen(accept), 28);
}

static void a_fresh_key_is_16_bytes_and_differs_from_the_last(void **state)
{
    (void)state;
    struct sched sched;
    char first[WEBSOCKET_KEY_LEN + 1] = "", second[WEBSOCKET_KEY_LEN + 1] = "";
    size_t len;

    sched_init(&sched, 1);
    websocket_key(&sched, first);
    websocket_key(&sched, second);
    AUTO_FREE char *bytes = NULL;
    assert_int_equal(base64_decode(str_of(first), &bytes, &len), OK);
    assert_int_equal(len, 16);
    assert_non_null(strchr("AQgw", first[21])); /* the bits after the 16th byte are 0 */
    assert_string_not_equal(first, second);
    sched_finish(&sched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_to_a_key_is_that_of_the_rfc),
        cmocka_unit_test(a_key_longer_than_any_other_is_cut),
        cmocka_unit_test(a_fresh_key_is_16_bytes_and_differs_from_the_last),
    };
    return cmocka_run_group_tests_name("http/websocket_key", tests, NULL, NULL);
}
