/* tests/unit/listen/clients_test.c - which users may connect, by setting and by start */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/own.h"
#include "listen/clients.h"

static const struct start of_person = { .uid = 1000, .login_uid = UID_NONE };

static struct clients *clients_of(const char *word, const struct start *start)
{
    char *words[] = { (char *)(uintptr_t)word };
    struct string_list list = { words, 1 };
    struct clients *c;

    assert_int_equal(clients_create(&list, start, &c, NULL), OK);
    return c;
}

static bool allows(const struct clients *c, uint32_t uid)
{
    struct peer peer = { .kind = PEER_LOCAL, .uid = uid };
    return clients_allow(c, &peer);
}

static void a_start_is_personal_when_a_person_made_it(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        struct start start;
        bool personal;
    } cases[] = {
        /* clang-format off */
        { "a user", { .uid = 1000, .login_uid = UID_NONE }, true },
        { "a user of a directory", { .uid = 812345678, .login_uid = UID_NONE }, true },
        { "a system account", { .uid = 999, .login_uid = UID_NONE }, false },
        { "DynamicUser", { .uid = 61184, .login_uid = UID_NONE }, false },
        { "nobody", { .uid = 65534, .login_uid = UID_NONE }, false },
        { "an image's nonroot", { .uid = 65532, .login_uid = UID_NONE }, false },
        { "root at boot", { .uid = 0, .login_uid = UID_NONE }, false },
        { "root by sudo", { .uid = 0, .login_uid = 1000 }, true },
        { "root at a terminal", { .uid = 0, .login_uid = UID_NONE, .has_terminal = true }, true },
        { "a unit with User=", { .uid = 1000, .login_uid = UID_NONE, .is_service = true }, false },
        { "socket activation", { .uid = 1000, .login_uid = UID_NONE, .inherited = true }, false },
        { "a pod", { .uid = 1000, .login_uid = UID_NONE, .in_pod = true }, false },
    }; /* clang-format on */

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (start_is_personal(&cases[i].start) != cases[i].personal)
            fail_msg("%s", cases[i].what);
}

static void auto_is_the_same_user_for_a_person_and_any_for_a_service(void **state)
{
    (void)state;
    struct start service = { .uid = 999, .login_uid = UID_NONE };
    AUTO(clients_destroyp) struct clients *own = clients_of("auto", &of_person);
    AUTO(clients_destroyp) struct clients *any = clients_of("auto", &service);

    assert_string_equal(clients_text(own), "same-user");
    assert_string_equal(clients_text(any), "any");
    assert_true(allows(own, 1000));
    assert_true(allows(own, 0));
    assert_false(allows(own, 1001));
    assert_true(allows(any, 1001));
}

/* curl is run by the person, not by root. */
static void root_by_sudo_serves_the_user_that_called_sudo(void **state)
{
    (void)state;
    struct start sudo = { .uid = 0, .login_uid = 1000 };
    AUTO(clients_destroyp) struct clients *c = clients_of("same-user", &sudo);

    assert_true(allows(c, 1000));
    assert_true(allows(c, 0));
    assert_false(allows(c, 1001));
}

static void an_unknown_user_is_allowed_by_any_only(void **state)
{
    (void)state;
    struct peer unknown = { .kind = PEER_UNKNOWN };
    AUTO(clients_destroyp) struct clients *own = clients_of("same-user", &of_person);
    AUTO(clients_destroyp) struct clients *any = clients_of("any", &of_person);

    assert_false(clients_allow(own, &unknown));
    assert_true(clients_allow(any, &unknown));
}

static void clients_on_other_machines_are_not_affected(void **state)
{
    (void)state;
    struct peer remote = { .kind = PEER_REMOTE };
    AUTO(clients_destroyp) struct clients *c = clients_of("same-user", &of_person);

    assert_true(clients_allow(c, &remote));
}

static void users_are_given_by_name_or_number_and_groups_with_an_at_sign(void **state)
{
    (void)state;
    AUTO(clients_destroyp) struct clients *number = clients_of("4711", &of_person);
    AUTO(clients_destroyp) struct clients *name = clients_of("daemon", &of_person);
    AUTO(clients_destroyp) struct clients *group = clients_of("@daemon", &of_person);

    assert_true(allows(number, 4711));
    assert_false(allows(number, 1000));
    assert_true(allows(name, 1));
    assert_true(allows(group, 1));
    assert_false(allows(group, 1000));
}

static void a_user_or_group_that_does_not_exist_is_an_error(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        { "no-such-user", "clients: there is no user \"no-such-user\"" },
        { "@no-such-group", "clients: there is no group \"no-such-group\"" },
        { "65534", "clients: \"65534\" stands for every user of another user namespace" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *words[] = { (char *)(uintptr_t)cases[i][0] };
        struct string_list list = { words, 1 };
        struct clients *c = NULL;
        struct diag why = { 0 };

        assert_int_equal(clients_create(&list, &of_person, &c, &why), ERR_CONFIG);
        assert_string_equal(why.text, cases[i][1]);
        assert_null(c);
    }
}

static void the_flag_that_would_allow_a_client_keeps_what_is_allowed(void **state)
{
    (void)state;
    struct peer local = { .kind = PEER_LOCAL, .uid = 1001 };
    struct peer unknown = { .kind = PEER_UNKNOWN };
    AUTO(clients_destroyp) struct clients *c = clients_of("auto", &of_person);
    AUTO_FREE char *for_local = clients_that_allow(c, &local);
    AUTO_FREE char *for_unknown = clients_that_allow(c, &unknown);

    assert_string_equal(for_local, "same-user,1001");
    assert_string_equal(for_unknown, "any");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_start_is_personal_when_a_person_made_it),
        cmocka_unit_test(auto_is_the_same_user_for_a_person_and_any_for_a_service),
        cmocka_unit_test(root_by_sudo_serves_the_user_that_called_sudo),
        cmocka_unit_test(an_unknown_user_is_allowed_by_any_only),
        cmocka_unit_test(clients_on_other_machines_are_not_affected),
        cmocka_unit_test(users_are_given_by_name_or_number_and_groups_with_an_at_sign),
        cmocka_unit_test(a_user_or_group_that_does_not_exist_is_an_error),
        cmocka_unit_test(the_flag_that_would_allow_a_client_keeps_what_is_allowed),
    };
    return cmocka_run_group_tests_name("listen/clients", tests, NULL, NULL);
}
