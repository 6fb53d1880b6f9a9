/* bench/load/answer_test.c - what counts as a response, in one piece and in pieces of
 * every size */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/own.h"
#include "bench/load/answer.h"

/* Feeds all of it in pieces of `piece` bytes; the last result, unless one was an error. */
static enum err feed(struct answer *a, const char *text, size_t piece)
{
    size_t len = strlen(text);
    enum err e = ERR_AGAIN;

    answer_init(a);
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        assert_int_equal(e, ERR_AGAIN);
        e = answer_feed(a, text + at, n);
        if (e != OK && e != ERR_AGAIN)
            return e;
    }
    return e;
}

static void reads_an_answer_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char text[] =
        "HTTP/1.1 200 OK\r\nX-Pod: web-1\r\ncontent-length:  5 \r\n"
        "Connection: close\r\n\r\nhello";

    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct answer a;
        assert_int_equal(feed(&a, text, piece), OK);
        assert_int_equal(a.status, 200);
        assert_int_equal(a.body, 5);
        assert_true(a.closes);
    }
}

static void passes_over_interim_answers(void **state)
{
    (void)state;
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n"
                               "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";

    for (size_t piece = 1; piece <= strlen(text); piece++) {
        struct answer a;
        assert_int_equal(feed(&a, text, piece), OK);
        assert_int_equal(a.status, 503);
        assert_false(a.closes);
    }
}

static void is_not_complete_before_the_last_byte(void **state)
{
    (void)state;
    struct answer a;

    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", 7),
                     ERR_AGAIN);
    assert_int_equal(feed(&a, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", 7),
                     ERR_AGAIN);
}

static void refuses_what_cannot_be_counted(void **state)
{
    (void)state;
    static const struct {
        const char *why, *text;
    } cases[] = {
        /* clang-format off */
        { "more than one answer",  "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab" },
        { "chunked",               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" },
        { "no HTTP",               "220 mail.example ESMTP\r\n\r\n" },
        { "a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n" },
        { "a status that is none", "HTTP/1.1 2x0 OK\r\n\r\n" },
        /* clang-format on */
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct answer a;
        enum err e = feed(&a, cases[i].text, strlen(cases[i].text));
        if (e != ERR_PROTO)
            fail_msg("%s: got \"%s\"", cases[i].why, err_text(e));
    }
}

static void refuses_a_head_without_end(void **state)
{
    (void)state;
    struct answer a;
    char line[101];

    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    answer_init(&a);
    enum err e = ERR_AGAIN;
    for (size_t i = 0; i < ANSWER_HEAD_MAX / 100 && e == ERR_AGAIN; i++)
        e = answer_feed(&a, line, 100);
    assert_int_equal(e, ERR_AGAIN);
    assert_int_equal(answer_feed(&a, line, 100), ERR_PROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_an_answer_in_pieces_of_any_size),
        cmocka_unit_test(passes_over_interim_answers),
        cmocka_unit_test(is_not_complete_before_the_last_byte),
        cmocka_unit_test(refuses_what_cannot_be_counted),
        cmocka_unit_test(refuses_a_head_without_end),
    };
    return cmocka_run_group_tests_name("bench/load/answer", tests, NULL, NULL);
}
