/* tests/unit/ca/folder_test.c - the files of local authorities, and whether they may be used */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"
#include "ca/authority.h"
#include "ca/folder.h"

#define DOMAIN "cluster.local"

static char *root, *folder, *key_file, *certificate_file;

static int begin(void **state)
{
    (void)state;
    char template[] = "/tmp/ca-folder-XXXXXX";

    root = xstrdup(mkdtemp(template));
    setenv("XDG_DATA_HOME", root, 1);
    folder = ca_folder_path();
    key_file = xasprintf("%s/" DOMAIN ".pem", folder);
    certificate_file = ca_folder_certificate(folder, DOMAIN);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    AUTO_FREE char *command = xasprintf("rm -rf %s", root);
    assert_int_equal(system(command), 0);
    free(TAKE(root));
    free(TAKE(folder));
    free(TAKE(key_file));
    free(TAKE(certificate_file));
    return 0;
}

static enum err open_here(struct authority **ret, bool *ret_made, struct diag *why)
{
    *why = (struct diag){ "" };
    return ca_folder_open(folder, DOMAIN, ret, ret_made, why);
}

static char *make_one(void)
{
    AUTO(authority_destroyp) struct authority *a = NULL;
    struct diag why;
    bool made;

    assert_int_equal(open_here(&a, &made, &why), OK);
    assert_true(made);
    return xstrdup(authority_fingerprint(a));
}

static unsigned mode_of(const char *path)
{
    struct stat facts;

    assert_int_equal(stat(path, &facts), 0);
    return facts.st_mode & 07777;
}

static void the_folder_is_where_xdg_has_it(void **state)
{
    (void)state;
    AUTO_FREE char *expected = xasprintf("%s/kube-tunnel/ca", root);
    assert_string_equal(folder, expected);
    unsetenv("XDG_DATA_HOME");
    setenv("HOME", "/home/someone", 1);
    AUTO_FREE char *at_home = ca_folder_path();
    assert_string_equal(at_home, "/home/someone/.local/share/kube-tunnel/ca");
    setenv("XDG_DATA_HOME", "relative", 1);
    AUTO_FREE char *again = ca_folder_path();
    assert_string_equal(again, at_home);
    unsetenv("HOME");
    assert_null(ca_folder_path());
}

static void only_the_owner_can_read_the_key(void **state)
{
    (void)state;
    umask(0);
    free(make_one());
    umask(022);
    assert_int_equal(mode_of(folder), 0700);
    assert_int_equal(mode_of(key_file), 0600);
    assert_int_equal(mode_of(certificate_file), 0644);
    char *text;
    size_t len;
    struct diag why;
    assert_int_equal(file_read(certificate_file, 65536, &text, &len, &why), OK);
    assert_null(strstr(text, "PRIVATE"));
    free(text);
}

static void the_second_opening_reads_what_the_first_made(void **state)
{
    (void)state;
    AUTO_FREE char *first = make_one();
    AUTO(authority_destroyp) struct authority *a = NULL;
    struct diag why;
    bool made;

    assert_int_equal(open_here(&a, &made, &why), OK);
    assert_false(made);
    assert_string_equal(authority_fingerprint(a), first);
}

static void a_new_domain_gets_a_new_authority(void **state)
{
    (void)state;
    AUTO_FREE char *first = make_one();
    AUTO(authority_destroyp) struct authority *a = NULL;
    struct texts domains = { 0 };
    struct diag why;
    bool made;

    assert_int_equal(ca_folder_open(folder, "corp.internal", &a, &made, &why), OK);
    assert_true(made);
    assert_string_not_equal(authority_fingerprint(a), first);
    ca_folder_list(folder, &domains);
    assert_int_equal(domains.count, 2);
    assert_string_equal(domains.at[0], DOMAIN);
    assert_string_equal(domains.at[1], "corp.internal");
    texts_finish(&domains);
}

static void expect_refused(const char *path, const char *words)
{
    struct authority *none = NULL;
    struct diag why;
    bool made;

    assert_int_equal(open_here(&none, &made, &why), ERR_ACCESS);
    assert_null(none);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, words));
    assert_int_equal(ca_folder_read(folder, DOMAIN, &none, &why), ERR_ACCESS);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    (void)state;
    free(make_one());
    chmod(key_file, 0640);
    expect_refused(key_file, "chmod 600");
    chmod(key_file, 0604);
    expect_refused(key_file, "0604");
}

static void a_folder_that_others_can_write_is_refused(void **state)
{
    (void)state;
    free(make_one());
    chmod(folder, 0770);
    expect_refused(folder, "chmod 700");
}

static void a_key_of_another_user_is_refused(void **state)
{
    (void)state;
    free(make_one());
    if (chown(key_file, 12345, (gid_t)-1))
        skip(); /* only root can give a file away */
    expect_refused(key_file, "belongs to user 12345");
}

static void a_key_behind_a_link_is_refused(void **state)
{
    (void)state;
    AUTO_FREE char *elsewhere = xasprintf("%s/elsewhere", root);
    struct authority *none = NULL;
    struct diag why;
    bool made;

    free(make_one());
    assert_int_equal(rename(key_file, elsewhere), 0);
    assert_int_equal(symlink(elsewhere, key_file), 0);
    assert_int_not_equal(open_here(&none, &made, &why), OK);
    assert_null(none);
}

static void a_fifo_in_place_of_the_key_does_not_block(void **state)
{
    (void)state;
    free(make_one());
    unlink(key_file);
    assert_int_equal(mkfifo(key_file, 0600), 0);
    expect_refused(key_file, "not a regular file");
}

static void a_damaged_key_is_named(void **state)
{
    (void)state;
    struct authority *none = NULL;
    struct diag why;
    bool made;

    free(make_one());
    assert_int_equal(truncate(key_file, 300), 0);
    assert_int_equal(open_here(&none, &made, &why), ERR_TLS);
    assert_non_null(strstr(why.text, key_file));
}

static void processes_at_once_agree(void **state)
{
    (void)state;
    enum { PROCESSES = 8 };
    int pipes[2];
    char first[17] = "", next[17];

    assert_int_equal(pipe(pipes), 0);
    for (int i = 0; i < PROCESSES; i++) {
        if (fork())
            continue;
        struct authority *a = NULL;
        struct diag why;
        bool made;
        if (open_here(&a, &made, &why) ||
            write(pipes[1], authority_fingerprint(a), 16) != 16)
            _exit(1);
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        wait(&status);
        assert_int_equal(status, 0);
    }
    assert_int_equal(read(pipes[0], first, 16), 16);
    for (int i = 1; i < PROCESSES; i++) {
        assert_int_equal(read(pipes[0], next, 16), 16);
        assert_memory_equal(next, first, 16);
    }
    close(pipes[0]);
    close(pipes[1]);
}

static void deleting_leaves_nothing(void **state)
{
    (void)state;
    struct authority *none;
    struct diag why;

    free(make_one());
    assert_int_equal(ca_folder_delete(folder, DOMAIN, &why), OK);
    assert_int_equal(access(folder, F_OK), -1);
    assert_int_equal(ca_folder_read(folder, DOMAIN, &none, &why), ERR_NOT_FOUND);
    assert_int_equal(ca_folder_delete(folder, DOMAIN, &why), OK);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    (void)state;
    struct authority *none;
    struct diag why;
    bool made;

    assert_int_not_equal(ca_folder_open("/proc/no/such", DOMAIN, &none, &made, &why), OK);
    assert_non_null(strstr(why.text, "/proc/no/such"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(the_folder_is_where_xdg_has_it),
        TEST(only_the_owner_can_read_the_key),
        TEST(the_second_opening_reads_what_the_first_made),
        TEST(a_new_domain_gets_a_new_authority),
        TEST(a_key_that_others_can_read_is_refused),
        TEST(a_folder_that_others_can_write_is_refused),
        TEST(a_key_of_another_user_is_refused),
        TEST(a_key_behind_a_link_is_refused),
        TEST(a_fifo_in_place_of_the_key_does_not_block),
        TEST(a_damaged_key_is_named),
        TEST(processes_at_once_agree),
        TEST(deleting_leaves_nothing),
        TEST(a_folder_that_cannot_be_made_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
