/* tests/unit/catalog/pod_check_test.c - does a pod still exist?
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "catalog/pod_check.h"
#include "fake_api.h"

#define PATH "/api/v1/namespaces/shop/pods/web-1"

static struct sched sched;
static struct api *api;
static struct task wake;
static struct pod_check check;
static unsigned wakes;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    sched_init(&sched, 1);
    sched_run(&sched, 1000);
    api = fake_create();
    task_init(&wake, &sched, RANK_WORK, on_wake);
    check = (struct pod_check){ 0 };
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    pod_check_finish(&check);
    pod_check_finish(&check);
    fake_destroy(api);
    task_cancel(&wake);
    sched_finish(&sched);
    return 0;
}

static void start(const char *uid)
{
    pod_check_start(&check, &sched, api, "shop", "web-1", uid, &wake);
    assert_int_equal(check.result, ERR_AGAIN);
    assert_int_equal(fake_waiting(api, PATH), 1);
}

static void answer(const char *pod)
{
    const char *const objects[] = { pod, NULL };

    fake_answer(api, PATH, objects);
    sched_run(&sched, sched.now);
    assert_int_equal(wakes, 1);
}

static void pod_of_that_uid_exists(void **state)
{
    (void)state;
    start("u1");
    answer("{'metadata':{'name':'web-1','uid':'u1'}}");
    assert_int_equal(check.result, OK);
}

static void pod_of_another_uid_means_it_is_gone(void **state)
{
    (void)state;
    start("u1");
    answer("{'metadata':{'name':'web-1','uid':'u2'}}");
    assert_int_equal(check.result, ERR_NOT_FOUND);
}

static void any_uid_will_do_where_none_is_known(void **state)
{
    (void)state;
    start("");
    answer("{'metadata':{'name':'web-1','uid':'u2'}}");
    assert_int_equal(check.result, OK);
}

static void object_without_a_uid_is_no_pod(void **state)
{
    (void)state;
    start("");
    answer("{'metadata':{'name':'web-1'}}");
    assert_int_equal(check.result, ERR_NOT_FOUND);
}

static void only_the_404_of_the_api_server_means_it_is_gone(void **state)
{
    (void)state;
    static const struct {
        enum err code, expected;
        bool proxied;
    } cases[] = {
        { ERR_NOT_FOUND, ERR_NOT_FOUND, false }, { ERR_NOT_FOUND, ERR_UNAVAILABLE, true },
        { ERR_FORBIDDEN, ERR_FORBIDDEN, false }, { ERR_SERVER, ERR_SERVER, false },
        { ERR_CONNECT, ERR_CONNECT, true },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start("u1");
        if (cases[i].proxied)
            fake_refuse_proxied(api, PATH, cases[i].code);
        else
            fake_refuse(api, PATH, cases[i].code, "because");
        sched_run(&sched, sched.now);
        assert_int_equal(check.result, cases[i].expected);
    }
}

static void finishing_cancels_the_call(void **state)
{
    (void)state;
    start("u1");
    pod_check_finish(&check);
    assert_int_equal(fake_waiting(api, PATH), 0);
    sched_run(&sched, sched.now);
    assert_int_equal(wakes, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pod_of_that_uid_exists),
        TEST(pod_of_another_uid_means_it_is_gone),
        TEST(any_uid_will_do_where_none_is_known),
        TEST(object_without_a_uid_is_no_pod),
        TEST(only_the_404_of_the_api_server_means_it_is_gone),
        TEST(finishing_cancels_the_call),
    };
    return cmocka_run_group_tests_name("catalog/pod_check", tests, NULL, NULL);
}
