/* tests/unit/serve/proxy_users_test.c - users and passwords of proxy clients */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "serve/proxy_users.h"

#include "base/base64.h"
#include "base/own.h"

static enum err read_text(const char *text, struct proxy_users **ret, struct diag *why)
{
    char path[] = "/tmp/kube-tunnel-users-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    enum err e = proxy_users_read(path, ret, why);
    unlink(path);
    return e;
}

static struct proxy_users *users_of(const char *text)
{
    struct proxy_users *users;
    struct diag why = { "" };

    assert_int_equal(read_text(text, &users, &why), OK);
    assert_non_null(users);
    return users;
}

static void only_listed_pairs_are_accepted(void **state)
{
    (void)state;
    AUTO(proxy_users_destroyp)
    struct proxy_users *users =
        users_of("# comment\n\nme:secret\r\nyou:with:colon and blank\n");
    static const struct {
        const char *user, *password;
        bool accepted;
    } cases[] = {
        { "me", "secret", true },
        { "you", "with:colon and blank", true },
        { "me", "secret2", false },
        { "me", "secre", false },
        { "me", "", false },
        { "", "", false },
        { "me", "with:colon and blank", false },
        { "you", "secret", false },
        { "# comment", "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (proxy_users_accept(users, str_of(cases[i].user), str_of(cases[i].password)) !=
            cases[i].accepted)
            fail_msg("%s:%s", cases[i].user, cases[i].password);
}

static void texts_of_any_length_are_compared(void **state)
{
    (void)state;
    char longest[PROXY_USER_TEXT_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[PROXY_USER_TEXT_MAX] = '\0';
    AUTO_FREE char *line = xasprintf("%s:%s", longest, longest);
    AUTO(proxy_users_destroyp) struct proxy_users *users = users_of(line);

    assert_true(proxy_users_accept(users, str_of(longest), str_of(longest)));
    struct str over = { longest, sizeof(longest) };
    assert_false(proxy_users_accept(users, over, str_of(longest)));
    struct str padded = { "x\0", 2 };
    assert_false(proxy_users_accept(users, padded, padded));
}

static void basic_credentials_are_decoded(void **state)
{
    (void)state;
    AUTO(proxy_users_destroyp) struct proxy_users *users = users_of("me:se:cret");
    AUTO_FREE char *encoded = base64_encode(STR("me:se:cret"));
    AUTO_FREE char *wrong = base64_encode(STR("me:se"));
    AUTO_FREE char *no_colon = base64_encode(STR("me"));
    const struct {
        const char *before, *text, *after;
        bool accepted;
    } cases[] = {
        { "Basic ", encoded, "", true },   { "basic   ", encoded, " ", true },
        { "Basic ", wrong, "", false },    { "Basic ", no_colon, "", false },
        { "Bearer ", encoded, "", false }, { "Basic", encoded, "", false },
        { "Basic =", encoded, "", false }, { "", "", "", false },
        { "Basic", "", "", false },        { "Basic ", "", "", false },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO_FREE char *given =
            xasprintf("%s%s%s", cases[i].before, cases[i].text, cases[i].after);
        if (proxy_users_accept_basic(users, str_of(given)) != cases[i].accepted)
            fail_msg("\"%s\"", given);
    }
}

static void errors_name_the_line_and_no_text_of_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place;
    } cases[] = {
        { "me:secret\nhunter2\n", ":2: " },
        { "me:\n", ":1: " },
        { ":hunter2", ":1: " },
        { "", "no line has a user" },
        { "# a\n", "no line has a user" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct proxy_users *users;
        struct diag why = { "" };
        assert_int_equal(read_text(cases[i].text, &users, &why), ERR_CONFIG);
        assert_null(users);
        if (!strstr(why.text, cases[i].place) || strstr(why.text, "hunter2"))
            fail_msg("%zu: %s", i, why.text);
    }
}

static void a_missing_file_is_an_error_and_no_file_means_no_users(void **state)
{
    (void)state;
    struct proxy_users *users;
    struct diag why = { "" };

    assert_int_not_equal(proxy_users_read("/nonexistent/users", &users, &why), OK);
    assert_non_null(strstr(why.text, "proxy-users: "));
    assert_int_equal(proxy_users_read(NULL, &users, &why), OK);
    assert_null(users);
}

static void the_number_of_users_is_limited(void **state)
{
    (void)state;
    char text[16 * (PROXY_USERS_MAX + 1)] = "";
    struct proxy_users *users;
    struct diag why = { "" };
    size_t len = 0;

    for (int i = 0; i < PROXY_USERS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "u%d:p%d\n", i, i);
    assert_int_equal(read_text(text, &users, &why), OK);
    proxy_users_destroy(users);
    snprintf(text + len, sizeof(text) - len, "one:more\n");
    assert_int_equal(read_text(text, &users, &why), ERR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_listed_pairs_are_accepted),
        cmocka_unit_test(texts_of_any_length_are_compared),
        cmocka_unit_test(basic_credentials_are_decoded),
        cmocka_unit_test(errors_name_the_line_and_no_text_of_it),
        cmocka_unit_test(a_missing_file_is_an_error_and_no_file_means_no_users),
        cmocka_unit_test(the_number_of_users_is_limited),
    };
    return cmocka_run_group_tests_name("serve/proxy_users", tests, NULL, NULL);
}
