/* tests/unit/addresses/state_test.c - the state file, and what is refused as one */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addresses/state_file.h"
#include "addresses/state_text.h"
#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"

static struct address_table table;
static struct diag why;
static char *root, *path;

static int begin(void **state)
{
    (void)state;
    char template[] = "/tmp/addresses-XXXXXX";

    root = xstrdup(mkdtemp(template));
    setenv("XDG_STATE_HOME", root, 1);
    path = state_file_path("default");
    address_table_init(&table, 7);
    why = (struct diag){ "" };
    return 0;
}

static int finish(void **state)
{
    (void)state;
    AUTO_FREE char *command = xasprintf("chmod -R u+w %s && rm -rf %s", root, root);
    assert_int_equal(system(command), 0);
    address_table_finish(&table);
    free(TAKE(root));
    free(TAKE(path));
    return 0;
}

#define GOOD                                                                             \
    "kube-tunnel addresses 1\nseed 00000000000000ff\n127.9.8.7 a/b:c shop web -\n"       \
    "127.9.8.8 %20x%25 shop - db-0\nend 2\n"

static enum err read_text(const char *text)
{
    address_table_finish(&table);
    address_table_init(&table, 7);
    return state_text_read(str_of(text), &table, &why);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    assert_int_equal(read_text(GOOD), OK);
    assert_int_equal(table.seed, 255);
    assert_int_equal(table.kept, 2);
    const struct address_entry *e = address_table_at(&table, 0x7f090808);
    const struct key_parts key = address_entry_key(e);
    assert_true(str_eq(key.context, STR(" x%")));
    assert_true(str_eq(key.ns, STR("shop")));
    assert_true(str_empty(key.service));
    assert_true(str_eq(key.pod, STR("db-0")));
    AUTO_FREE char *again = state_text_write(&table);
    assert_string_equal(again, GOOD);
}

static void any_context_name_is_read_as_it_was(void **state)
{
    (void)state;
    char name[256] = "";

    for (int i = 1; i < 256; i++)
        name[i - 1] = (char)i;
    const struct key_parts odd = { str_of(name), STR("-"), STR("a%b"), STR("") };
    assert_int_equal(address_table_keep(&table, &odd, 0x7f020202), OK);
    AUTO_FREE char *text = state_text_write(&table);
    struct address_table later;
    address_table_init(&later, 0);
    assert_int_equal(state_text_read(str_of(text), &later, &why), OK);
    assert_non_null(address_table_find(&later, &odd));
    address_table_finish(&later);
}

static void a_text_that_is_cut_anywhere_is_damaged(void **state)
{
    (void)state;
    for (size_t n = 0; n < strlen(GOOD); n++) {
        AUTO_FREE char *cut = xstrndup(GOOD, n);
        enum err e = read_text(cut);
        assert_true(e == ERR_PROTO || (e == ERR_VERSION && n == 22));
        assert_true(why.text[0] != '\0');
    }
}

static void assert_damaged(const char *text, const char *reason)
{
    assert_int_equal(read_text(text), ERR_PROTO);
    assert_string_equal(why.text, reason);
}

#define HEAD "kube-tunnel addresses 1\nseed 00000000000000ff\n"
static void damage_is_named_with_its_line(void **state)
{
    (void)state;
    assert_damaged("", "line 1: not a state file of kube-tunnel");
    assert_damaged("kube-tunnel addresses 1\nseed 00ff\n", "line 2: no seed");
    assert_damaged("kube-tunnel addresses 1\nseed 00000000000000fF\nend 0\n",
                   "line 2: no seed");
    assert_damaged(HEAD "127.9.8 c n s -\nend 1\n", "line 3: no address");
    assert_damaged(HEAD "127.0.0.1 c n s -\nend 1\n",
                   "line 3: an address or key that cannot be given twice");
    assert_damaged(HEAD "127.9.8.7 c n s\nend 1\n", "line 3: not a key of four parts");
    assert_damaged(HEAD "127.9.8.7 c n s %00\nend 1\n",
                   "line 3: not a key of four parts");
    assert_damaged(HEAD "127.9.8.7 c n s %4\nend 1\n", "line 3: not a key of four parts");
    assert_damaged(HEAD "127.9.8.7 c n s \x7f\nend 1\n",
                   "line 3: not a key of four parts");
    assert_damaged(HEAD "127.9.8.7 c n s - -\nend 1\n", "line 3: more than four parts");
    assert_damaged(HEAD "127.9.8.7 c n s -\nend 2\n",
                   "line 4: the end does not match the entries");
    assert_damaged(HEAD "end 0\nmore\n", "line 3: the end does not match the entries");
    assert_damaged(HEAD "127.9.8.7 c n s -\n127.9.8.7 c n t -\nend 2\n",
                   "line 4: an address or key that cannot be given twice");
}

static void another_version_is_named(void **state)
{
    (void)state;
    assert_int_equal(read_text("kube-tunnel addresses 2\nanything\n"), ERR_VERSION);
    assert_string_equal(why.text,
                        "its version is 2, and this kube-tunnel reads version 1");
    assert_int_equal(read_text("kube-tunnel addresses 10\n"), ERR_VERSION);
}

static void the_file_is_private_and_its_folders_too(void **state)
{
    (void)state;
    AUTO_FREE char *folder = xasprintf("%s/kube-tunnel", root);
    AUTO_FREE char *expected = xasprintf("%s/default.addresses", folder);
    struct stat facts;

    assert_string_equal(path, expected);
    assert_int_equal(state_file_read(path, &table, &why), ERR_NOT_FOUND);
    assert_int_equal(state_file_write(path, &table, &why), OK);
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0600);
    assert_int_equal(stat(folder, &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0700);
    table.seed = 0;
    assert_int_equal(state_file_read(path, &table, &why), OK);
    assert_int_equal(table.seed, 7);
}

static void without_the_variable_the_file_is_in_the_home_folder(void **state)
{
    (void)state;
    unsetenv("XDG_STATE_HOME");
    setenv("HOME", root, 1);
    AUTO_FREE char *here = state_file_path("x");
    AUTO_FREE char *expected = xasprintf("%s/.local/state/kube-tunnel/x.addresses", root);
    assert_string_equal(here, expected);
    setenv("XDG_STATE_HOME", "relative", 1);
    AUTO_FREE char *same = state_file_path("x");
    assert_string_equal(same, expected);
    setenv("HOME", "", 1);
    assert_null(state_file_path("x"));
}

static void a_file_that_others_could_have_written_is_refused(void **state)
{
    (void)state;
    AUTO_FREE char *link = xasprintf("%s/link", root);

    assert_int_equal(state_file_write(path, &table, &why), OK);
    assert_int_equal(chmod(path, 0620), 0);
    assert_int_equal(state_file_read(path, &table, &why), ERR_ACCESS);
    assert_non_null(strstr(why.text, "chmod 600"));
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(state_file_read(link, &table, &why), ERR_ACCESS);
    assert_int_equal(state_file_read(root, &table, &why), ERR_ACCESS);
    assert_int_equal(truncate(path, (16 << 20) + 1), 0);
    assert_int_equal(state_file_read(path, &table, &why), ERR_LIMIT);
}

static void a_file_that_cannot_be_written_stays_as_it_is(void **state)
{
    (void)state;
    char *text = NULL;
    size_t len;

    assert_int_equal(state_file_write(path, &table, &why), OK);
    AUTO_FREE char *under = xasprintf("%s/x", path);
    assert_int_equal(state_file_write(under, &table, &why), ERR_IO);
    assert_non_null(strstr(why.text, path));
    assert_int_equal(file_read(path, 1000, &text, &len, &why), OK);
    assert_string_equal(text, "kube-tunnel addresses 1\nseed 0000000000000007\nend 0\n");
    free(text);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),
        TEST(any_context_name_is_read_as_it_was),
        TEST(a_text_that_is_cut_anywhere_is_damaged),
        TEST(damage_is_named_with_its_line),
        TEST(another_version_is_named),
        TEST(the_file_is_private_and_its_folders_too),
        TEST(without_the_variable_the_file_is_in_the_home_folder),
        TEST(a_file_that_others_could_have_written_is_refused),
        TEST(a_file_that_cannot_be_written_stays_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
