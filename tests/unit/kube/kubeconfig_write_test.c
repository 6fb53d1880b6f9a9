/* tests/unit/kube/kubeconfig_write_test.c - a token is replaced in a kubeconfig
 * atomically
 */
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
#include <unistd.h>

#include "base/own.h"
#include "folder.h"
#include "kube/kubeconfig_write.h"

#define CONFIG(TOKEN)                                                                    \
    "# by hand\nusers:\n- name: u\n  user:\n    auth-provider:\n      name: oidc\n"      \
    "      config:\n        id-token: " TOKEN "\n"

static struct folder folder;
static char path[512];
static struct diag why;

static int setup(void **state)
{
    (void)state;
    folder_create(&folder);
    strcpy(path, folder_put(&folder, "config", CONFIG("old")));
    why = (struct diag){ 0 };
    return chmod(path, 0640);
}

static int teardown(void **state)
{
    (void)state;
    folder_destroy(&folder);
    return 0;
}

static enum err write_as(const char *file, const char *user)
{
    static const struct yaml_edit edit = { "id-token", "new" };

    return kubeconfig_write_provider(file, user, &edit, 1, &why);
}

static void assert_content(const char *expected)
{
    char text[512] = "";
    FILE *in = fopen(path, "r");

    assert_non_null(in);
    fread(text, 1, sizeof(text) - 1, in);
    fclose(in);
    assert_string_equal(text, expected);
}

static size_t count_files(void)
{
    DIR *dir = opendir(folder.path);
    size_t count = 0;

    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2; /* . and .. */
}

static void a_token_is_replaced_and_comments_and_mode_are_kept(void **state)
{
    (void)state;
    struct stat file;

    assert_int_equal(write_as(path, "u"), OK);
    assert_content(CONFIG("\"new\""));
    assert_int_equal(stat(path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    assert_int_equal(count_files(), 1);
}

static void a_symbolic_link_is_followed_and_kept(void **state)
{
    (void)state;
    AUTO_FREE char *link = xasprintf("%s/link", folder.path);
    struct stat file;

    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(write_as(link, "u"), OK);
    assert_content(CONFIG("\"new\""));
    assert_int_equal(lstat(link, &file), 0);
    assert_true(S_ISLNK(file.st_mode));
}

static void a_lock_of_another_program_is_respected(void **state)
{
    (void)state;
    AUTO_FREE char *lock = xasprintf("%s.lock", path);

    folder_put(&folder, "config.lock", "");
    assert_int_equal(write_as(path, "u"), ERR_IN_USE);
    assert_non_null(strstr(why.text, "config.lock: another program"));
    assert_content(CONFIG("old"));
    assert_int_equal(unlink(lock), 0); /* a lock of another process is not removed */
    assert_int_equal(write_as(path, "u"), OK);
    assert_int_equal(access(lock, F_OK), -1);
}

static void a_failure_names_the_file_and_leaves_it_as_it_was(void **state)
{
    (void)state;
    AUTO_FREE char *missing = xasprintf("%s/missing", folder.path);

    assert_int_equal(write_as(path, "other"), ERR_CONFIG);
    assert_non_null(strstr(why.text, path));
    assert_non_null(strstr(why.text, "user \"other\""));
    assert_content(CONFIG("old"));
    assert_int_equal(write_as(missing, "u"), ERR_IO);
    assert_non_null(strstr(why.text, "missing"));
    assert_int_equal(count_files(), 1); /* neither a lock nor a copy */
}

/* Of a user given twice the last one counts, which has no provider. */
static void a_change_that_would_not_be_read_back_is_refused(void **state)
{
    (void)state;
    strcpy(path, folder_put(&folder, "config",
                            "users:\n- name: u\n  user: &a\n    auth-provider:\n"
                            "      name: oidc\n      config: {id-token: old}\n"
                            "- name: u\n  user:\n    token: t\n"));
    assert_int_equal(write_as(path, "u"), ERR_CONFIG);
    assert_int_equal(count_files(), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_replaced_and_comments_and_mode_are_kept),
        TEST(a_symbolic_link_is_followed_and_kept),
        TEST(a_lock_of_another_program_is_respected),
        TEST(a_failure_names_the_file_and_leaves_it_as_it_was),
        TEST(a_change_that_would_not_be_read_back_is_refused),
    };
    return cmocka_run_group_tests_name("kube/kubeconfig_write", tests, NULL, NULL);
}
