/* tests/unit/base/log_test.c - the format of log lines, and sinks that are blocked or
 * broken
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/partition.h"

LOG_MODULE(tunnel);

#define TIME "2[0-9]{3}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

/* As other folders have theirs; two files of one folder register once. */
static struct log_module log_module_serve = { .name = "serve" },
                         log_module_net = { .name = "net" };

static const struct log_id t7 = { 't', 7, 0 }, s41_3 = { 's', 41, 3 };

/* The sink is a pipe; read_log returns what was logged since the last call. */
static int ends[2];
static char logged[1 << 18];

static const char *read_log(void)
{
    ssize_t n;
    size_t len = 0;

    log_flush();
    while ((n = read(ends[0], logged + len, sizeof(logged) - 1 - len)) > 0) {
        len += (size_t)n;
        log_flush();
    }
    logged[len] = '\0';
    return logged;
}

static int setup(void **state)
{
    (void)state;
    log_set_level(LEVEL_INFO);
    log_set_format(LOG_TEXT);
    if (pipe2(ends, O_NONBLOCK))
        return -1;
    log_set_fd(ends[1], false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    read_log();
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static void assert_log(const char *pattern)
{
    regex_t re;
    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    const char *text = read_log();
    int found = regexec(&re, text, 0, NULL, 0);
    regfree(&re);
    if (found != 0)
        fail_msg("\"%s\" is not \"%s\"", text, pattern);
}

static size_t count_lines(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Throttling counts within one second of the coarse clock: begin early in one. */
static void wait_for_a_new_second(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    usleep((useconds_t)(1000000 - now.tv_nsec / 1000 + 20000));
}

static void a_line_has_time_level_module_id_text_and_fields(void **state)
{
    (void)state;
    log_info(t7, "opened", LOG_S("pod", "shop/web-1"), LOG_U("ms", 20));
    assert_log("^" TIME " INFO  tunnel t7 opened pod=shop/web-1 ms=20\n$");
    log_info(NO_ID, "ready");
    assert_log("^" TIME " INFO  tunnel ready\n$");
    log_info(s41_3, "all kinds", LOG_I("i", -5), LOG_U("u", UINT64_MAX), LOG_ID("id", t7),
             LOG_V("v", str_first(STR("abc"), 2)));
    assert_log(" s41.3 all kinds i=-5 u=18446744073709551615 id=t7 v=ab\n$");
}

static void every_level_has_its_name(void **state)
{
    (void)state;
    log_set_level(LEVEL_DEBUG);
    log_debug(t7, "d");
    log_info(t7, "i");
    log_warn(t7, "w");
    log_error(t7, "e");
    assert_log("Z DEBUG tunnel t7 d\n.*Z INFO  tunnel t7 i\n"
               ".*Z WARN  tunnel t7 w\n.*Z ERROR tunnel t7 e\n$");
}

static void a_line_has_the_current_time(void **state)
{
    (void)state;
    char earliest[32], latest[32];
    time_t now = time(NULL);
    strftime(earliest, sizeof(earliest), "%FT%T", gmtime(&now));
    log_info(t7, "tick");
    now = time(NULL);
    strftime(latest, sizeof(latest), "%FT%T", gmtime(&now));

    const char *text = read_log();
    assert_true(strncmp(text, earliest, 19) >= 0 && strncmp(text, latest, 19) <= 0);
}

static void colour_marks_the_level_only_and_only_when_enabled(void **state)
{
    (void)state;
    log_set_fd(ends[1], true);
    log_warn(t7, "w", LOG_S("k", "v"));
    assert_log("Z \033\\[33mWARN \033\\[0m tunnel t7 w k=v\n$");
}

static void values_cannot_forge_lines(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        { "", "k=\"\"\n" },
        { "a b", "k=\"a b\"\n" },
        { "a=b", "k=a=b\n" },
        { "say \"hi\"", "k=\"say \\\"hi\\\"\"\n" },
        { "a\\b", "k=\"a\\\\b\"\n" },
        { "x\nERROR y\r\t", "k=\"x\\nERROR y\\r\\t\"\n" },
        { "\033[2J\x7f", "k=\"\\x1b[2J\\x7f\"\n" },
        { "\xc3\xa9\xff", "k=\"\\xc3\\xa9\\xff\"\n" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_info(t7, "v", LOG_S("k", cases[i].value));
        const char *text = read_log();
        assert_string_equal(strstr(text, "k="), cases[i].expected);
    }
    log_info(t7, "two\nlines \"quoted\"");
    assert_log(" t7 two\\\\nlines \"quoted\"\n$");
}

static void json_has_one_object_per_line(void **state)
{
    (void)state;
    log_set_format(LOG_JSON);
    log_info(t7, "opened", LOG_S("pod", "shop/web-1"), LOG_U("ms", 20), LOG_I("i", -1),
             LOG_ID("s", s41_3));
    assert_log(
        "^\\{\"time\":\"" TIME "\",\"level\":\"info\",\"module\":\"tunnel\","
        "\"id\":\"t7\",\"msg\":\"opened\",\"pod\":\"shop/web-1\",\"ms\":20,\"i\":-1,"
        "\"s\":\"s41.3\"\\}\n$");
    log_info(NO_ID, "a \"b\"\n");
    assert_log("\"module\":\"tunnel\",\"msg\":\"a \\\\\"b\\\\\"\\\\u000a\"\\}\n$");
}

static void json_strings_are_valid_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        { "", "\"k\":\"\"}\n" },
        { "\\\"\x01\x7f", "\"k\":\"\\\\\\\"\\u0001\\u007f\"}\n" },
        { "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\x80",
          "\"k\":\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x9a\x80\"}\n" },
        { "\xff", "\"k\":\"\\ufffd\"}\n" },
        { "\xc2\x9b", "\"k\":\"\\u009b\"}\n" },
        { "\xe2\x80\xae", "\"k\":\"\\u202e\"}\n" },
        { "\xc3", "\"k\":\"\\ufffd\"}\n" },
        { "\xc3x", "\"k\":\"\\ufffdx\"}\n" },
        { "\xc0\x80", "\"k\":\"\\ufffd\\ufffd\"}\n" },
        { "\xe0\x80\x80", "\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n" },
        { "\xed\xa0\x80", "\"k\":\"\\ufffd\\ufffd\\ufffd\"}\n" },
        { "\xf4\x90\x80\x80", "\"k\":\"\\ufffd\\ufffd\\ufffd\\ufffd\"}\n" },
    };

    log_set_format(LOG_JSON);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        log_info(t7, "v", LOG_S("k", cases[i].value));
        const char *text = read_log();
        assert_string_equal(strstr(text, "\"k\""), cases[i].expected);
    }
}

/* Lengths around the limit, so that every piece of a line is once the one that is cut. */
static void long_lines_are_cut_and_marked(void **state)
{
    (void)state;
    char value[4096];

    for (size_t n = 1900; n < 2100; n++) {
        memset(value, 'v', n);
        value[n] = '\0';
        log_info(t7, "long", LOG_S("k", value), LOG_U("ms", 20), LOG_S("b", "a b"));
        const char *text = read_log();
        size_t len = strlen(text);
        assert_in_range(len, 1900, 2048);
        bool whole = strstr(text, " ms=20 b=\"a b\"\n");
        assert_true(whole || strcmp(text + len - 4, "...\n") == 0);
        assert_int_equal(count_lines(text), 1);
    }
}

/* Every quote is closed and the line ends with its brace. */
static void assert_json_shape(const char *text)
{
    bool in_string = false;
    size_t len = strlen(text);
    for (const char *at = text; *at; at++) {
        if (in_string && *at == '\\')
            at++;
        else if (*at == '"')
            in_string = !in_string;
    }
    assert_false(in_string);
    assert_string_equal(text + len - 2, "}\n");
    assert_true(text[len - 3] == '"' || text[len - 3] == '0');
}

static void a_cut_line_is_still_json(void **state)
{
    (void)state;
    char value[4096];

    log_set_format(LOG_JSON);
    for (size_t n = 1900; n < 2100; n++) {
        memset(value, n % 2 ? 'v' : '\n', n);
        value[n] = '\0';
        log_info(t7, "long", LOG_S("k", value), LOG_U("ms", 20), LOG_S("b", "a b"));
        const char *text = read_log();
        assert_in_range(strlen(text), 1900, 2048);
        assert_json_shape(text);
    }
}

static void register_two(void)
{
    log_register(&log_module_serve);
    log_register(&log_module_net);
}

static void only_registered_modules_have_levels(void **state)
{
    (void)state;
    static struct log_module late = { .name = "late", .level = LEVEL_INFO };
    struct diag why = { 0 };

    assert_int_equal(log_set_levels(STR("late=debug"), &why), ERR_CONFIG);
    assert_false(log_has_module(STR("late")));
    log_register(&late);
    log_register(&late);
    assert_true(log_has_module(STR("late")));
    assert_int_equal(log_set_levels(STR("late=debug"), &why), OK);
    assert_true(log_enabled(&late, LEVEL_DEBUG));
    assert_true(log_has_module(STR("tunnel")));
}

static void levels_are_set_for_all_and_for_one(void **state)
{
    (void)state;
    struct diag why = { 0 };

    register_two();
    assert_int_equal(log_set_levels(STR("info,tunnel=debug, serve=WARN"), &why), OK);
    assert_true(log_enabled(&log_module_tunnel, LEVEL_DEBUG));
    assert_true(log_enabled(&log_module_serve, LEVEL_WARN));
    assert_false(log_enabled(&log_module_serve, LEVEL_INFO));
    assert_true(log_enabled(&log_module_net, LEVEL_INFO));
    assert_false(log_enabled(&log_module_net, LEVEL_DEBUG));

    assert_int_equal(log_set_levels(STR("tunnel=debug,error"), &why), OK);
    assert_true(log_enabled(&log_module_tunnel, LEVEL_DEBUG));
    assert_false(log_enabled(&log_module_net, LEVEL_WARN));

    assert_int_equal(log_set_levels(STR("net=error"), &why), OK);
    assert_false(log_enabled(&log_module_net, LEVEL_WARN));
    assert_true(log_enabled(&log_module_tunnel, LEVEL_INFO));
    assert_false(log_enabled(&log_module_tunnel, LEVEL_DEBUG));
}

static void names_the_level_or_module_that_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *spec, *why;
    } cases[] = {
        { "", "no log level in \"\" (error, warn, info or debug)" },
        { "loud", "no log level in \"loud\" (error, warn, info or debug)" },
        { "info,", "no log level in \"\" (error, warn, info or debug)" },
        { "tunnel=", "no log level in \"tunnel=\" (error, warn, info or debug)" },
        { "debug,tunel=info", "no log module \"tunel\"" },
        { "=info", "no log module \"\"" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct diag why = { 0 };
        assert_int_equal(log_set_levels(str_of(cases[i].spec), &why), ERR_CONFIG);
        assert_string_equal(why.text, cases[i].why);
        assert_true(log_enabled(&log_module_tunnel, LEVEL_INFO));
        assert_false(log_enabled(&log_module_tunnel, LEVEL_DEBUG));
    }
}

static void a_disabled_line_is_not_written(void **state)
{
    (void)state;
    log_debug(t7, "quiet");
    assert_string_equal(read_log(), "");
}

static void info_lines_are_gathered_and_warnings_written_at_once(void **state)
{
    (void)state;
    char byte;
    log_info(t7, "one");
    assert_int_equal(read(ends[0], &byte, 1), -1);
    log_warn(t7, "two");
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_log("one\n.*two\n$");
}

static void warnings_of_one_module_are_limited_per_second(void **state)
{
    (void)state;
    wait_for_a_new_second();
    for (int i = 0; i < 60; i++) {
        log_warn(t7, "w");
        log_error(t7, "e");
        log_info(t7, "i");
    }
    log_event(&log_module_serve, LEVEL_ERROR, NO_ID, "another module", LOG_END);
    assert_int_equal(count_lines(read_log()), 50 + 60 + 1);

    wait_for_a_new_second();
    assert_log("^" TIME " WARN  tunnel errors and warnings suppressed lines=70\n$");
    log_warn(t7, "again");
    assert_log("^" TIME " WARN  tunnel t7 again\n$");
}

/* An unread pipe in blocking mode, as a supervisor that hangs would leave it. */
static void a_full_pipe_does_not_block_and_dropped_lines_are_counted(void **state)
{
    (void)state;
    const size_t total = 6000;
    size_t seen = 0, dropped = 0;

    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
    for (size_t i = 0; i < total; i++) {
        log_info(t7, "a line of some length, more than the pipe and the buffer can hold");
        if (i % 7 == 0)
            log_flush();
    }
    char *at = (char *)(uintptr_t)read_log();
    for (char *line; (line = strsep(&at, "\n")) && *line; seen++) {
        const char *lost = strstr(line, "log lines dropped lines=");
        if (lost)
            dropped += strtoul(lost + 24, NULL, 10) - 1;
        else
            assert_non_null(strstr(line, "can hold"));
    }
    assert_true(dropped > 0);
    assert_int_equal(seen + dropped, total);
}

static void a_sink_that_fails_does_not_stop_logging(void **state)
{
    (void)state;
    int full = open("/dev/full", O_WRONLY);
    log_set_fd(full, false);
    for (int i = 0; i < 3; i++) {
        log_info(t7, "lost");
        log_flush();
    }
    log_set_fd(ends[1], false);
    close(full);
    log_info(t7, "back");
    assert_log("t7 back\n.* WARN  log log lines dropped lines=3\n$");
}

static void a_file_receives_every_line(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    log_set_fd(fileno(file), false);
    for (int i = 0; i < 5000; i++)
        log_info(t7, "to a file, which never makes anybody wait");
    log_flush();
    log_set_fd(ends[1], false);

    size_t lines = 0;
    rewind(file);
    while (fgets(logged, sizeof(logged), file))
        lines++;
    fclose(file);
    assert_int_equal(lines, 5000);
}

static void ids_are_printed_as_on_the_dashboard(void **state)
{
    (void)state;
    char out[48];
    const struct log_id longest = { 's', UINT64_MAX, UINT64_MAX };

    assert_int_equal(log_id_text(s41_3, out), 5);
    assert_string_equal(out, "s41.3");
    assert_int_equal(log_id_text(t7, out), 2);
    assert_string_equal(out, "t7");
    assert_int_equal(log_id_text(NO_ID, out), 0);
    assert_string_equal(out, "");
    assert_int_equal(log_id_text(longest, out), 42);
}

#define LOG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

static void lines_of_a_cluster_name_it_while_it_has_a_name(void **state)
{
    (void)state;
    const struct log_id t9 = { .kind = 't', .number = 9, .cluster = 2 };

    log_info(t9, "opened", LOG_U("ms", 20));
    assert_log(" t9 opened ms=20\n$");
    partition_set_name(2, "prod");
    log_info(t9, "opened", LOG_U("ms", 20));
    assert_log(" t9 opened ms=20 cluster=prod\n$");
    log_info(CLUSTER_ID(2), "watching");
    assert_log(" tunnel watching cluster=prod\n$");
    log_info(CLUSTER_ID(1), "watching");
    assert_log(" tunnel watching\n$");
    log_set_format(LOG_JSON);
    log_info(t9, "opened");
    assert_log("\"id\":\"t9\",\"msg\":\"opened\",\"cluster\":\"prod\"}\n$");
    partition_set_name(2, NULL);
    assert_int_equal(partition_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(a_line_has_time_level_module_id_text_and_fields),
        LOG_TEST(lines_of_a_cluster_name_it_while_it_has_a_name),
        LOG_TEST(every_level_has_its_name),
        LOG_TEST(a_line_has_the_current_time),
        LOG_TEST(colour_marks_the_level_only_and_only_when_enabled),
        LOG_TEST(values_cannot_forge_lines),
        LOG_TEST(json_has_one_object_per_line),
        LOG_TEST(json_strings_are_valid_utf8),
        LOG_TEST(long_lines_are_cut_and_marked),
        LOG_TEST(a_cut_line_is_still_json),
        LOG_TEST(only_registered_modules_have_levels),
        LOG_TEST(levels_are_set_for_all_and_for_one),
        LOG_TEST(names_the_level_or_module_that_is_wrong),
        LOG_TEST(a_disabled_line_is_not_written),
        LOG_TEST(info_lines_are_gathered_and_warnings_written_at_once),
        LOG_TEST(warnings_of_one_module_are_limited_per_second),
        LOG_TEST(a_full_pipe_does_not_block_and_dropped_lines_are_counted),
        LOG_TEST(a_sink_that_fails_does_not_stop_logging),
        LOG_TEST(a_file_receives_every_line),
        LOG_TEST(ids_are_printed_as_on_the_dashboard),
    };
    return cmocka_run_group_tests_name("base/log", tests, NULL, NULL);
}
