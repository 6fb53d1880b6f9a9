/* tests/unit/wire/json_items_test.c - lists and watches, whole and split at every byte */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "wire/json_items.h"

#define OBJECT_MAX 4096

static void json_items_freep(struct json_items **c)
{
    json_items_destroy(*c);
}

/* Appends a line "I:" or "M:" to `out` for each finished piece. */
static void drain(struct json_items *c, char *out, size_t room)
{
    enum json_piece kind;
    struct str text;
    while (!json_items_next(c, &kind, &text)) {
        size_t n = strlen(out);
        snprintf(out + n, room - n, "%c:%.*s\n", kind == JSON_ITEM ? 'I' : 'M',
                 STR_ARG(text));
    }
}

/* Feed `in` cut before byte `cut`; returns the error and all pieces as text. */
static enum err cut_at(enum json_items_mode mode, struct str in, size_t cut, char *out,
                       size_t room, bool *ret_complete)
{
    AUTO(json_items_freep) struct json_items *c = json_items_create(mode, OBJECT_MAX);

    out[0] = '\0';
    enum err e = json_items_feed(c, in.at, cut);
    drain(c, out, room);
    if (!e)
        e = json_items_feed(c, in.at + cut, in.len - cut);
    drain(c, out, room);
    *ret_complete = json_items_complete(c);
    return e;
}

/* However the input is cut in two, the pieces are these and the end is legal. */
static void assert_pieces(enum json_items_mode mode, struct str in, const char *expected)
{
    for (size_t cut = 0; cut <= in.len; cut++) {
        char out[4096];
        bool complete = false;

        assert_int_equal(cut_at(mode, in, cut, out, sizeof(out), &complete), OK);
        assert_string_equal(out, expected);
        assert_true(complete);
    }
}

static void cuts_a_list_into_its_items_and_metadata(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{\"kind\":\"PodList\",\"apiVersion\":\"v1\","
                      "\"metadata\":{\"resourceVersion\":\"42\",\"continue\":\"abc\"},"
                      "\"items\":[{\"a\":1},{\"b\":[1,{}]}]}\n"),
                  "M:{\"resourceVersion\":\"42\",\"continue\":\"abc\"}\n"
                  "I:{\"a\":1}\n"
                  "I:{\"b\":[1,{}]}\n");
}

static void metadata_after_the_items_is_read(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{ \"items\" : [ {} , {\"a\":\t2} ] ,\r\n\"metadata\" : { } }"),
                  "I:{}\nI:{\"a\":\t2}\nM:{ }\n");
}

static void an_empty_list_has_no_items(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST, STR("{\"items\":[],\"metadata\":{}}"), "M:{}\n");
    assert_pieces(JSON_LIST, STR("{\"metadata\":{},\"items\":null}"), "M:{}\n");
    assert_pieces(JSON_LIST, STR("{\"metadata\":null,\"items\":[ ]}"), "");
    assert_pieces(JSON_LIST, STR("  {}  "), "");
}

static void only_the_outermost_items_count(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{\"other\":{\"items\":[{\"x\":1}],\"metadata\":{}},"
                      "\"list\":[{\"items\":[{}]},\"items\",[[{}]]],"
                      "\"s\":\"\\\"items\\\":[{}]\","
                      "\"items\":[{\"items\":[{\"metadata\":{}}]}]}"),
                  "I:{\"items\":[{\"metadata\":{}}]}\n");
}

static void keys_that_look_alike_are_ignored(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{\"item\":[{}],\"itemss\":[{}],\"Items\":[{}],\"it\\\"ems\":[{}],"
                      "\"\":[{}],\"itemsitemsitemsitems\":[{}],\"metadatametadata\":{}}"),
                  "");
}

static void brackets_and_quotes_in_strings_are_ignored(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{\"items\":[{\"a\":\"}]\\\"{[\\\\\",\"b\":\"\\\\\\\"}\"},"
                      "{\"\\u007d\":\"\\\\\"}]}"),
                  "I:{\"a\":\"}]\\\"{[\\\\\",\"b\":\"\\\\\\\"}\"}\n"
                  "I:{\"\\u007d\":\"\\\\\"}\n");
}

static void skips_values_of_every_kind(void **state)
{
    (void)state;
    assert_pieces(JSON_LIST,
                  STR("{\"a\":-1.5E+3,\"b\":true , \"c\":false,\"d\":null,\"e\":\"\\\"\","
                      "\"f\":[[],[1,[2]]],\"g\":{\"h\":{}},\"items\":[{}],\"i\":0}"),
                  "I:{}\n");
}

static void cuts_a_watch_into_events(void **state)
{
    (void)state;
    assert_pieces(JSON_WATCH,
                  STR("{\"type\":\"ADDED\",\"object\":{\"items\":[{}]}}\n"
                      "{\"type\":\"BOOKMARK\"}\r\n\n"
                      "{\"s\":\"two\\nlines }\"}{}\n"),
                  "I:{\"type\":\"ADDED\",\"object\":{\"items\":[{}]}}\n"
                  "I:{\"type\":\"BOOKMARK\"}\n"
                  "I:{\"s\":\"two\\nlines }\"}\n"
                  "I:{}\n");
    assert_pieces(JSON_WATCH, STR(""), "");
}

static void input_may_end_only_after_a_complete_value(void **state)
{
    (void)state;
    static const char list[] = "{\"metadata\":{},\"items\":[{\"a\":\"}\"}]}";
    static const char watch[] = "{\"a\":{}}";

    for (size_t len = 0; len < sizeof(list); len++) {
        AUTO(json_items_freep)
        struct json_items *c = json_items_create(JSON_LIST, OBJECT_MAX);
        assert_int_equal(json_items_feed(c, list, len), OK);
        assert_int_equal(json_items_complete(c), len == sizeof(list) - 1);
    }
    for (size_t len = 0; len < sizeof(watch); len++) {
        AUTO(json_items_freep)
        struct json_items *c = json_items_create(JSON_WATCH, OBJECT_MAX);
        assert_int_equal(json_items_feed(c, watch, len), OK);
        assert_int_equal(json_items_complete(c), len == 0 || len == sizeof(watch) - 1);
    }
}

static void refuses_what_has_another_shape(void **state)
{
    (void)state;
    static const struct {
        enum json_items_mode mode;
        const char *text;
    } cases[] = {
        /* clang-format off */
        { JSON_LIST, "[]" },
        { JSON_LIST, "x" },
        { JSON_LIST, "\"items\"" },
        { JSON_LIST, "<html>" },
        { JSON_LIST, "{}{}" },
        { JSON_LIST, "{,}" },
        { JSON_LIST, "{items:[]}" },
        { JSON_LIST, "{\"a\" 1}" },
        { JSON_LIST, "{\"a\":}" },
        { JSON_LIST, "{\"a\":1 2}" },
        { JSON_LIST, "{\"a\":1,}" },
        { JSON_LIST, "{\"a\":1;\"b\":2}" },
        { JSON_LIST, "{\"a\":*}" },
        { JSON_LIST, "{\"a\":1\"b\":2}" },
        { JSON_LIST, "{\"items\":{}}" },
        { JSON_LIST, "{\"items\":\"x\"}" },
        { JSON_LIST, "{\"items\":[1]}" },
        { JSON_LIST, "{\"items\":[[]]}" },
        { JSON_LIST, "{\"items\":[,{}]}" },
        { JSON_LIST, "{\"items\":[{},]}" },
        { JSON_LIST, "{\"items\":[{}{}]}" },
        { JSON_LIST, "{\"items\":[{}}" },
        { JSON_LIST, "{\"metadata\":[]}" },
        { JSON_LIST, "{\"metadata\":\"x\"}" },
        { JSON_WATCH, "[{}]" },
        { JSON_WATCH, "{},{}" },
        { JSON_WATCH, "{}}" },
        { JSON_WATCH, "null" },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct str in = str_of(cases[i].text);
        char out[64];
        bool complete;

        for (size_t cut = 0; cut <= in.len; cut++) {
            enum err e = cut_at(cases[i].mode, in, cut, out, sizeof(out), &complete);
            if (e != ERR_PROTO || complete)
                fail_msg("%s: got \"%s\"", cases[i].text, err_text(e));
        }
    }
}

static void items_before_an_error_are_returned(void **state)
{
    (void)state;
    AUTO(json_items_freep)
    struct json_items *c = json_items_create(JSON_WATCH, OBJECT_MAX);
    char out[64] = "";

    assert_int_equal(json_items_feed(c, "{\"a\":1}]", 8), ERR_PROTO);
    assert_int_equal(json_items_feed(c, "{}", 2), ERR_PROTO);
    drain(c, out, sizeof(out));
    assert_string_equal(out, "I:{\"a\":1}\n");
    assert_false(json_items_complete(c));
}

/* {"a":"xxx"} of `size` bytes, in parts of `step`. */
static enum err feed_object_of(size_t size, size_t limit, size_t step)
{
    AUTO(json_items_freep) struct json_items *c = json_items_create(JSON_WATCH, limit);
    AUTO_FREE char *text = xmalloc(size);
    enum err e = OK;

    memset(text, 'x', size);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + size - 2, "\"}", 2);
    for (size_t at = 0; !e && at < size; at += step)
        e = json_items_feed(c, text + at, size - at < step ? size - at : step);
    return e;
}

static void bounds_one_object_not_their_sum(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 64; step *= 4) {
        assert_int_equal(feed_object_of(99, 100, step), OK);
        assert_int_equal(feed_object_of(100, 100, step), OK);
        assert_int_equal(feed_object_of(101, 100, step), ERR_LIMIT);
    }

    AUTO(json_items_freep) struct json_items *c = json_items_create(JSON_WATCH, 8);
    for (int i = 0; i < 100; i++)
        assert_int_equal(json_items_feed(c, "{\"a\":1} {}", 10), OK);
}

static void skipped_values_have_no_limit(void **state)
{
    (void)state;
    AUTO(json_items_freep) struct json_items *c = json_items_create(JSON_LIST, 8);
    char out[64] = "";

    assert_int_equal(json_items_feed(c, "{\"x\":\"", 6), OK);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(json_items_feed(c, "0123456789", 10), OK);
    assert_int_equal(json_items_feed(c, "\",\"items\":[{}]}", 15), OK);
    drain(c, out, sizeof(out));
    assert_string_equal(out, "I:{}\n");
}

static void items_wait_until_they_are_taken(void **state)
{
    (void)state;
    AUTO(json_items_freep)
    struct json_items *c = json_items_create(JSON_WATCH, OBJECT_MAX);
    enum json_piece kind;
    struct str text;
    char out[1024] = "";

    for (int i = 0; i < 21; i++) {
        assert_int_equal(json_items_feed(c, "{\"n\":1} {\"m", 11), OK);
        if (i % 3 == 0)
            assert_int_equal(json_items_next(c, &kind, &text), OK);
        assert_int_equal(json_items_feed(c, "\":2}", 4), OK);
    }
    drain(c, out, sizeof(out));
    assert_int_equal(strlen(out), (42 - 7) * strlen("I:{\"n\":1}\n"));
}

/* Larger than the buffer that is kept when idle, which is freed, allocated and freed
 * again. */
static void the_memory_of_large_objects_is_released(void **state)
{
    (void)state;
    const size_t size = 200000;
    AUTO_FREE char *object = xmalloc(size);
    AUTO(json_items_freep) struct json_items *c = json_items_create(JSON_WATCH, size);
    enum json_piece kind;
    struct str text;

    memset(object, ' ', size);
    object[0] = '{';
    object[size - 1] = '}';
    for (int i = 0; i < 3; i++) {
        assert_int_equal(json_items_feed(c, object, size / 2), OK);
        assert_int_equal(json_items_next(c, &kind, &text), ERR_AGAIN);
        assert_int_equal(json_items_feed(c, object + size / 2, size - size / 2), OK);
        assert_int_equal(json_items_next(c, &kind, &text), OK);
        assert_true(str_eq(text, (struct str){ object, size }));
        assert_int_equal(json_items_feed(c, "\n", 1), OK);
    }
    json_items_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_a_list_into_its_items_and_metadata),
        cmocka_unit_test(metadata_after_the_items_is_read),
        cmocka_unit_test(an_empty_list_has_no_items),
        cmocka_unit_test(only_the_outermost_items_count),
        cmocka_unit_test(keys_that_look_alike_are_ignored),
        cmocka_unit_test(brackets_and_quotes_in_strings_are_ignored),
        cmocka_unit_test(skips_values_of_every_kind),
        cmocka_unit_test(cuts_a_watch_into_events),
        cmocka_unit_test(input_may_end_only_after_a_complete_value),
        cmocka_unit_test(refuses_what_has_another_shape),
        cmocka_unit_test(items_before_an_error_are_returned),
        cmocka_unit_test(bounds_one_object_not_their_sum),
        cmocka_unit_test(skipped_values_have_no_limit),
        cmocka_unit_test(items_wait_until_they_are_taken),
        cmocka_unit_test(the_memory_of_large_objects_is_released),
    };
    return cmocka_run_group_tests_name("wire/json_items", tests, NULL, NULL);
}
