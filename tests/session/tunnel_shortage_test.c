/* tests/session/tunnel_shortage_test.c - openings that wait because a limit is reached */
#include "tunnel_rig.h"

#include <string.h>
#include <stdio.h>

#define TUNNELS_MAX 4 /* of the rig's settings */

/* The connections of clients: `stalled` of them may be ended, which frees their
 * tunnel. */
static struct user users[TUNNELS_MAX];
static size_t stalled, ended, asked, descriptors;
static char full_pod[32];

static bool free_tunnel(void *owner, const char *pod_key)
{
    (void)owner;
    asked++;
    snprintf(full_pod, sizeof(full_pod), "%s", pod_key);
    if (ended == stalled)
        return false;
    user_finish(&users[ended++]);
    return true;
}

static void free_descriptor(void *owner)
{
    (void)owner;
    descriptors++;
}

static int begin(void **state)
{
    rig_begin(state);
    tunnels_destroy(rig.tunnels);
    rig.settings.room = (struct tunnel_room){ free_tunnel, free_descriptor, users };
    stalled = ended = asked = descriptors = 0;
    struct diag why;
    assert_int_equal(
        tunnels_create(rig.loop, NULL, NULL, &rig.settings, &rig.tunnels, &why), OK);
    return 0;
}

static void open_as_many_as_may_be(void)
{
    for (size_t i = 0; i < TUNNELS_MAX; i++)
        user_open(&users[i], "uid-1", 80);
    for (size_t i = 0; i < TUNNELS_MAX; i++)
        server_switch(server_connect(i));
    rig_run();
    for (size_t i = 0; i < TUNNELS_MAX; i++)
        user_stream(&users[i]);
    assert_int_equal(asked, 0);
}

static void finish_rest(void)
{
    for (size_t i = ended; i < TUNNELS_MAX; i++)
        user_finish(&users[i]);
}

static void an_opening_beyond_tunnels_max_ends_one_connection(void **state)
{
    (void)state;
    struct user late;

    open_as_many_as_may_be();
    stalled = 2;
    user_open(&late, "uid-1", 80);
    assert_int_equal(asked, 0); /* not from within connector_open */
    rig_run();
    assert_string_equal(full_pod, "uid-1");
    assert_int_equal(late.opening.result, OK);
    rig_advance(1000);
    assert_int_equal(asked, 1);
    user_finish(&late);
    finish_rest();
}

static void an_opening_looks_again_while_no_connection_has_stalled(void **state)
{
    (void)state;
    struct user first, second;

    open_as_many_as_may_be();
    user_open(&first, "uid-1", 80);
    user_open(&second, "uid-1", 80);
    rig_run();
    assert_int_equal(asked, 1);
    rig_advance(250);
    assert_int_equal(asked, 2);
    assert_int_equal(first.opening.result, ERR_AGAIN);
    stalled = 4;
    rig_advance(250);
    assert_int_equal(ended, 2); /* one for each */
    assert_int_equal(first.opening.result, OK);
    assert_int_equal(second.opening.result, OK);
    user_finish(&first);
    user_finish(&second);
    finish_rest();
}

static void a_cancelled_opening_ends_no_connection(void **state)
{
    (void)state;
    struct user late;

    open_as_many_as_may_be();
    user_open(&late, "uid-1", 80);
    rig_run();
    user_finish(&late);
    stalled = 4;
    rig_advance(1000);
    assert_int_equal(ended, 0);
    finish_rest();
}

static void dial_without_descriptor_frees_one_before_the_next(void **state)
{
    (void)state;
    struct user u;

    user_open(&u, "uid-1", 80);
    server_refuse(0, ERR_NO_FILES, "out of file descriptors");
    rig_run();
    assert_int_equal(descriptors, 1);
    assert_int_equal(u.opening.result, ERR_NO_FILES);
    assert_int_equal(rig.dials, 1);
    user_finish(&u);
    rig_advance(1000);
    user_open(&u, "uid-1", 80);
    server_refuse(1, ERR_CONNECT, "refused");
    rig_run();
    assert_int_equal(descriptors, 1);
    user_finish(&u);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_opening_beyond_tunnels_max_ends_one_connection),
        TEST(an_opening_looks_again_while_no_connection_has_stalled),
        TEST(a_cancelled_opening_ends_no_connection),
        TEST(dial_without_descriptor_frees_one_before_the_next),
    };
    return cmocka_run_group_tests_name("session/tunnel_shortage", tests, NULL, NULL);
}
