/* tests/unit/kube/watched_file_test.c - a token file on a file system that hangs */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/own.h"
#include "base/file.h"
#include "kube/watched_file.h"

#define MINUTE ((uint64_t)60000)

/* Linked instead of base/file.c: a file whose read blocks while its file system hangs. */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hangs;
static const char *content;
static unsigned begun, ended;

enum err file_read_regular(const char *path, size_t max, char **ret_text, size_t *ret_len,
                           struct diag *why)
{
    (void)max;
    enum err e = OK;

    pthread_mutex_lock(&lock);
    begun++;
    pthread_cond_broadcast(&changed);
    while (hangs)
        pthread_cond_wait(&changed, &lock);
    if (content) {
        *ret_text = xstrdup(content);
        *ret_len = strlen(content);
    } else {
        e = diag_set(why, ERR_NOT_FOUND, "%s: missing", path);
    }
    ended++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
    return e;
}

enum err file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                   struct diag *why)
{
    return file_read_regular(path, max, ret_text, ret_len, why);
}

char *file_beside(const char *from, const char *path)
{
    (void)from;
    return xstrdup(path);
}

static void set_file(const char *text, bool hanging)
{
    pthread_mutex_lock(&lock);
    content = text;
    hangs = hanging;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static unsigned await_reads(unsigned n)
{
    pthread_mutex_lock(&lock);
    while (begun < n)
        pthread_cond_wait(&changed, &lock);
    unsigned all = begun;
    pthread_mutex_unlock(&lock);
    return all;
}

/* Waits until the threads of all reads have finished with the file. */
static void await_all_reads(void)
{
    pthread_mutex_lock(&lock);
    while (ended < begun)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

/* A thread publishes its result after it has read. */
static struct watched_file file;

static const char *text_at(uint64_t now)
{
    watched_file_look(&file, now);
    return file.text ? file.text : "";
}

static void await_text(uint64_t now, const char *expected)
{
    for (int i = 0; i < 1000 && strcmp(text_at(now), expected) != 0; i++)
        poll(NULL, 0, 10);
    assert_string_equal(text_at(now), expected);
}

static uint64_t real_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int begin(void **state)
{
    (void)state;
    alarm(30); /* a read on this thread hangs for ever */
    begun = ended = 0;
    set_file("one\n", false);
    watched_file_init(&file, "tokenFile", "/mount/token", NULL, 100);
    return 0;
}

static int end(void **state)
{
    (void)state;
    AUTO_FREE char *text = NULL;
    size_t len;

    set_file("one\n", false);
    if (file.reader)
        assert_int_not_equal(file_reader_wait(file.reader, 20000, &text, &len, NULL),
                             ERR_AGAIN);
    watched_file_finish(&file);
    await_all_reads();
    return 0;
}

static void token_that_is_read_in_time_serves_the_call_at_hand(void **state)
{
    (void)state;
    assert_string_equal(text_at(1), "one\n");
    set_file("two\n", false);
    assert_string_equal(text_at(1 + MINUTE), "two\n");
    set_file("three\n", false);
    assert_string_equal(text_at(2 + MINUTE), "two\n");
    assert_true(watched_file_recheck(&file));
    assert_string_equal(text_at(3 + MINUTE), "three\n");
    set_file(NULL, false);
    assert_string_equal(text_at(4 + 2 * MINUTE), "three\n");
    assert_true(file.unreadable);
}

/* Of a hundred calls, also after refusals, only one waits, for a tenth of a second. */
static void hung_token_file_keeps_the_old_token_and_the_loop_running(void **state)
{
    (void)state;
    assert_string_equal(text_at(1), "one\n");
    set_file("two\n", true);
    uint64_t began = real_ms();
    for (uint64_t i = 0; i < 100; i++) {
        assert_string_equal(text_at(1 + MINUTE + i), "one\n");
        assert_true(watched_file_recheck(&file));
    }
    assert_true(real_ms() - began < 3000);
    assert_int_equal(await_reads(2), 2);
    assert_false(file.unreadable);
    text_at(1 + MINUTE + FILE_READ_MS);
    assert_true(file.unreadable);
    set_file("two\n", false);
    await_text(2 + MINUTE + FILE_READ_MS, "two\n");
    assert_false(file.unreadable);
}

/* With a call per second, reads are repeated after 1, 2, 4, 8, 16 and 32 minutes. */
static void hung_reads_are_abandoned_and_repeated_with_growing_pauses(void **state)
{
    (void)state;
    assert_string_equal(text_at(1), "one\n");
    set_file("two\n", true);
    uint64_t began = real_ms();
    for (uint64_t ms = 1; ms < 60 * MINUTE; ms += 1000)
        assert_string_equal(text_at(ms), "one\n");
    assert_true(real_ms() - began < 3000);
    assert_in_range(file.hang_ms, 32 * MINUTE, 64 * MINUTE);
    set_file("two\n", false);
    await_text(61 * MINUTE, "two\n");
    assert_int_equal(await_reads(8), 8);
    await_all_reads();
    assert_int_equal(file.hang_ms, MINUTE);
}

static void destroyed_reader_outlives_its_caller(void **state)
{
    (void)state;
    char path[] = "/mount/token", *text = NULL;
    size_t len;
    struct diag why;

    set_file("one\n", true);
    struct file_reader *r = file_reader_create(path, 100);
    assert_int_equal(file_reader_wait(r, 0, &text, &len, &why), ERR_AGAIN);
    assert_int_equal(file_reader_wait(r, 1, &text, &len, &why), ERR_AGAIN);
    assert_int_equal(await_reads(1), 1);
    file_reader_destroy(r);
    file_reader_destroy(NULL);
    memset(path, 'x', sizeof(path) - 1);
}

static void hung_read_does_not_keep_the_process(void **state)
{
    (void)state;
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        alarm(20);
        set_file("two\n", true);
        text_at(1 + MINUTE);
        await_reads(2);
        watched_file_finish(&file);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static int begin_with_a_text(void **state)
{
    begin(state);
    text_at(1);
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(token_that_is_read_in_time_serves_the_call_at_hand),
        TEST(hung_token_file_keeps_the_old_token_and_the_loop_running),
        TEST(hung_reads_are_abandoned_and_repeated_with_growing_pauses),
        TEST(destroyed_reader_outlives_its_caller),
        cmocka_unit_test_setup_teardown(hung_read_does_not_keep_the_process,
                                        begin_with_a_text, end),
    };
    log_set_level(LEVEL_ERROR);
    return cmocka_run_group_tests_name("kube/watched_file", tests, NULL, NULL);
}
