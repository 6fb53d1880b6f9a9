/* tests/unit/resolver/step_block_test.c - what a file of others keeps beside its bytes */
#include "resolver/step.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

#define BEFORE "127.0.0.1 localhost\n"
#define LINES "127.5.1.1 web.shop.svc.cluster.local\n"
#define ACCESS_LIST "system.posix_acl_access"

static const struct machine here = { "" };
static char folder[] =
    "/var/tmp/kube-tunnel-block-XXXXXX"; /* /tmp may have no attributes */
static char *path, *other;

static int setup(void **state)
{
    (void)state;
    strcpy(folder + sizeof(folder) - 7, "XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    path = xasprintf("%s/hosts", folder);
    other = xasprintf("%s/other", folder);
    FILE *f = fopen(path, "w");
    return f && fputs(BEFORE, f) >= 0 && fclose(f) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    unlink(other);
    free(path);
    free(other);
    return rmdir(folder); /* it fails if anything is left beside the file */
}

static void assert_text(const char *file, const char *text)
{
    AUTO_FREE char *found = NULL;
    size_t len;

    assert_int_equal(file_read(file, 4096, &found, &len, NULL), OK);
    assert_string_equal(found, text);
}

static void assert_attribute(const char *name, const void *value, size_t len)
{
    char found[256];

    assert_int_equal(getxattr(path, name, found, sizeof(found)), len);
    assert_memory_equal(found, value, len);
}

static struct step lines(void)
{
    return (struct step){ STEP_BLOCK, xstrdup(path), NULL, xstrdup(LINES) };
}

static void apply(struct step *s)
{
    struct diag why = { "" };

    assert_int_equal(step_prepare(&here, s, &why), OK);
    if (step_apply(&here, s, &why))
        fail_msg("%s", why.text);
    assert_int_equal(step_look(&here, s, NULL), STEP_DONE);
}

static void undo(struct step *s)
{
    assert_int_equal(step_undo(&here, s, NULL), OK);
    assert_text(path, BEFORE);
}

static void attributes_stay(void **state)
{
    AUTO(step_finish) struct step s = lines();
    (void)state;

    assert_int_equal(setxattr(path, "user.note", "by hand", 7, 0), 0);
    assert_int_equal(setxattr(path, "user.empty", "", 0, 0), 0);
    apply(&s);
    assert_attribute("user.note", "by hand", 7);
    assert_attribute("user.empty", "", 0);
    undo(&s);
    assert_attribute("user.note", "by hand", 7);
    assert_attribute("user.empty", "", 0);
}

/* struct posix_acl_xattr_entry, little-endian: tag, permissions, identity.  The owner rw, the
 * user 12345 rw, the group r, the mask rw, others nothing. */
static const unsigned char list[] = {
    2,    0, 0, 0,                         /* version */
    0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* owner */
    0x02, 0, 6, 0, 0x39, 0x30, 0,    0,    /* 12345 */
    0x04, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /* group */
    0x10, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* mask */
    0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* others */
};

static void an_access_control_list_stays(void **state)
{
    AUTO(step_finish) struct step s = lines();
    struct stat before, after;
    (void)state;

    assert_int_equal(setxattr(path, ACCESS_LIST, list, sizeof(list), 0), 0);
    assert_int_equal(stat(path, &before), 0);
    apply(&s);
    assert_attribute(ACCESS_LIST, list, sizeof(list));
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    undo(&s);
    assert_attribute(ACCESS_LIST, list, sizeof(list));
}

static void a_default_of_the_folder_is_not_taken_over(void **state)
{
    AUTO(step_finish) struct step s = lines();
    (void)state;

    assert_int_equal(setxattr(folder, "system.posix_acl_default", list, sizeof(list), 0),
                     0);
    apply(&s);
    assert_int_equal(getxattr(path, ACCESS_LIST, NULL, 0), -1);
    undo(&s);
}

static void a_second_name_is_refused(void **state)
{
    AUTO(step_finish) struct step s = lines();
    struct diag why = { "" };
    (void)state;

    assert_int_equal(link(path, other), 0);
    assert_int_equal(step_prepare(&here, &s, &why), ERR_IN_USE);
    assert_non_null(strstr(why.text, "has a second name (a hard link)"));
    assert_int_equal(step_apply(&here, &s, &why), ERR_IN_USE);
    assert_text(path, BEFORE);
    unlink(other);
    apply(&s);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(step_undo(&here, &s, &why), ERR_IN_USE);
    assert_int_equal(step_look(&here, &s, NULL), STEP_DONE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(attributes_stay),
        TEST(an_access_control_list_stays),
        TEST(a_default_of_the_folder_is_not_taken_over),
        TEST(a_second_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
