/* tests/unit/base/file_test.c - reading whole files, limits and errors */
#include "base/file.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/own.h"

#define MAX 10000 /* larger than the first size of the buffer */

static char folder[] = "/tmp/kube-tunnel-test-XXXXXX";
static char *path;

static int setup(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    path = xasprintf("%s/file", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    free(path);
    return rmdir(folder);
}

static void write_file(size_t len)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < len; i++)
        fputc('#', f);
    assert_int_equal(fclose(f), 0);
}

static enum err read_len(const char *name, size_t *ret_len, struct diag *why)
{
    AUTO_FREE char *text = NULL;
    enum err e = file_read(name, MAX, &text, ret_len, why);

    if (!e)
        assert_int_equal(strlen(text), *ret_len);
    return e;
}

static void reads_files_up_to_the_limit(void **state)
{
    (void)state;
    static const size_t lengths[] = { 0, 1, 4094, 4095, 4096, 8192, MAX - 1, MAX };
    struct diag why = { 0 };
    size_t len = 0;

    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        write_file(lengths[i]);
        assert_int_equal(read_len(path, &len, &why), OK);
        assert_int_equal(len, lengths[i]);
    }
    write_file(MAX + 1);
    assert_int_equal(read_len(path, &len, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "longer than 10000 bytes"));
    assert_non_null(strstr(why.text, path));
    unlink(path);
}

static void standard_input_that_does_not_block_is_waited_for(void **state)
{
    (void)state;
    AUTO_FREE char *text = NULL;
    struct diag why = { "" };
    size_t len = 0;
    int ends[2], before = dup(STDIN_FILENO);

    assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
    close(ends[0]);
    pid_t writer = fork();
    if (!writer) {
        usleep(20000);
        _exit(write(ends[1], "late", 4) != 4);
    }
    close(ends[1]);
    enum err e = file_read_input(MAX, &text, &len, &why);
    assert_int_equal(dup2(before, STDIN_FILENO), STDIN_FILENO);
    close(before);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    assert_int_equal(e, OK);
    assert_string_equal(text, "late");
}

static void an_error_names_the_path_and_its_cause(void **state)
{
    (void)state;
    AUTO_FREE char *below = xasprintf("%s/below", path);
    struct diag why = { 0 };
    size_t len = 0;

    unlink(path);
    assert_int_equal(read_len(path, &len, &why), ERR_NOT_FOUND);
    assert_non_null(strstr(why.text, path));
    write_file(1);
    assert_int_equal(read_len(below, &len, &why), ERR_NOT_FOUND);
    assert_int_equal(read_len("/tmp", &len, &why), ERR_IO);
    assert_string_equal(why.text, "/tmp: Is a directory");
    chmod(path, 0);
    if (geteuid() != 0)
        assert_int_equal(read_len(path, &len, &why), ERR_ACCESS);
    unlink(path);
}

static void a_fifo_is_not_a_regular_file(void **state)
{
    (void)state;
    AUTO_FREE char *text = NULL;
    struct diag why = { 0 };
    size_t len = 0;

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(file_read_regular(path, MAX, &text, &len, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "not a regular file"));
    unlink(path);
    write_file(3);
    assert_int_equal(file_read_regular(path, MAX, &text, &len, &why), OK);
    assert_string_equal(text, "###");
    unlink(path);
}

static void a_path_in_a_file_is_below_its_folder(void **state)
{
    (void)state;
    static const struct {
        const char *from, *path, *expected;
    } cases[] = {
        { "/a/b/config", "ca.pem", "/a/b/ca.pem" },
        { "/a/b/config", "/ca.pem", "/ca.pem" },
        { "config", "ca.pem", "ca.pem" },
        { "../config", "ca.pem", "../ca.pem" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *got = file_beside(cases[i].from, cases[i].path);
        assert_string_equal(got, cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_files_up_to_the_limit),
        cmocka_unit_test(standard_input_that_does_not_block_is_waited_for),
        cmocka_unit_test(an_error_names_the_path_and_its_cause),
        cmocka_unit_test(a_fifo_is_not_a_regular_file),
        cmocka_unit_test(a_path_in_a_file_is_below_its_folder),
    };
    return cmocka_run_group_tests_name("base/file", tests, setup, teardown);
}
