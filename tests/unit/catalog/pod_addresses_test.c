/* tests/unit/catalog/pod_addresses_test.c - which addresses of pods may be dialled */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/log.h"
#include "base/own.h"
#include "catalog/pod_addresses.h"
#include "fake_api.h"

#define PATH "/api/v1/namespaces/shop/pods/web-0"
#define OTHER_PATH "/api/v1/namespaces/shop/pods/web-1"
#define POD(uid, network, phase, ips)                                                    \
    "{'metadata': {'namespace': 'shop', 'name': 'web-0', 'uid': '" uid                   \
    "'}, 'spec': {'nodeName': 'n1', 'hostNetwork': " network                             \
    "}, 'status': {'phase': '" phase "', 'podIPs': [" ips "]}}"
#define IP(ip) "{'ip': '" ip "'}"
#define GOOD POD("uid-0", "false", "Running", IP("10.1.0.7") "," IP("fd00::7"))

static struct sched sched;
static struct api *api;
static struct pod_addresses *addresses;
static struct pod_address found;
static struct task wake;
static unsigned wakes;
static const struct endpoint web = { .ns = "shop",
                                     .pod = "web-0",
                                     .uid = "uid-0",
                                     .key = "shop/web-0/uid-0",
                                     .ip = "10.1.0.7" };

static void on_wake(struct task *task)
{
    (void)task;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    log_set_level(LEVEL_ERROR);
    sched_init(&sched, 1);
    api = fake_create();
    addresses = pod_addresses_create(&sched, api, 10000);
    task_init(&wake, &sched, RANK_WORK, on_wake);
    found = (struct pod_address){ 0 };
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    pod_address_finish(&found);
    pod_addresses_destroy(addresses);
    fake_destroy(api);
    task_cancel(&wake);
    sched_finish(&sched);
    return 0;
}

static void pass(uint64_t ms)
{
    sched_run(&sched, sched.now + ms);
}

static void find(const struct endpoint *e)
{
    pod_address_finish(&found);
    pod_address_find(addresses, e, &found, &wake);
}

static void answer(const char *pod)
{
    fake_answer(api, PATH, (const char *const[]){ pod, NULL });
    pass(0);
}

static void address_is_the_endpoints_where_the_pod_has_it(void **state)
{
    (void)state;
    struct endpoint e = web;

    find(&e);
    assert_int_equal(found.result, ERR_AGAIN);
    answer(GOOD);
    assert_int_equal(found.result, OK);
    assert_string_equal(found.address, "10.1.0.7");
    assert_int_equal(wakes, 1);
    e.ip = "fd00::7";
    find(&e);
    assert_int_equal(found.result, OK);
    assert_string_equal(found.address, "fd00::7");
    e.ip = NULL;
    find(&e);
    assert_string_equal(found.address, "10.1.0.7");
    assert_int_equal(fake_call_count(api), 1);
}

/* Whatever an author of EndpointSlices writes, only an address of the pod itself is
 * used. */
static void no_slice_chooses_an_address(void **state)
{
    (void)state;
    static const struct {
        const char *what, *ip, *uid, *pod;
        enum err result;
    } cases[] = {
        { "a foreign address", "10.1.0.8", "uid-0", GOOD, ERR_ACCESS },
        { "the node's", "192.168.0.1", "uid-0", GOOD, ERR_ACCESS },
        { "another pod of that name", "10.1.0.7", "uid-9", GOOD, ERR_NOT_FOUND },
        { "no UID", "10.1.0.7", "", GOOD, ERR_ACCESS },
        { "the host's network", "10.1.0.7", "uid-0",
          POD("uid-0", "true", "Running", IP("10.1.0.7")), ERR_ACCESS },
        { "a pod that has ended", "10.1.0.7", "uid-0",
          POD("uid-0", "false", "Succeeded", IP("10.1.0.7")), ERR_NOT_FOUND },
        { "a pod that has failed", "10.1.0.7", "uid-0",
          POD("uid-0", "false", "Failed", IP("10.1.0.7")), ERR_NOT_FOUND },
        { "a pod without an address", "10.1.0.7", "uid-0",
          POD("uid-0", "false", "Pending", ""), ERR_UNAVAILABLE },
        { "the same in another spelling", "::ffff:10.1.0.7", "uid-0", GOOD, ERR_ACCESS },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct endpoint e = web;
        e.ip = cases[i].ip;
        e.uid = cases[i].uid;
        pod_addresses_forget(addresses, e.key);
        find(&e);
        answer(cases[i].pod);
        if (found.result != cases[i].result || found.address[0])
            fail_msg("%s: %s \"%s\"", cases[i].what, err_text(found.result),
                     found.address);
    }
}

/* This is as certain as a 404, so the endpoint is not tried again. */
static void replaced_pod_is_reported_by_name_as_missing(void **state)
{
    (void)state;
    find(&web);
    answer(POD("uid-9", "false", "Running", IP("10.1.0.7")));
    assert_int_equal(found.error.code, ERR_NOT_FOUND);
    assert_true(found.error.is_status);
    assert_non_null(strstr(found.error.why.text, web.pod));
}

static void what_was_read_counts_for_ten_seconds(void **state)
{
    (void)state;
    find(&web);
    answer(GOOD);
    pass(9999);
    find(&web);
    assert_int_equal(found.result, OK);
    pass(1);
    find(&web);
    assert_int_equal(found.result, ERR_AGAIN);
    answer(POD("uid-9", "false", "Running", IP("10.1.0.7")));
    assert_int_equal(found.result, ERR_NOT_FOUND);
}

/* Its sandbox was recreated, and slices may have the new address before the kept pod
 * object. */
static void pod_is_read_again_for_an_address_that_it_did_not_have(void **state)
{
    (void)state;
    struct endpoint moved = web;

    find(&web);
    answer(GOOD);
    pass(1);
    moved.ip = "10.1.0.9";
    find(&moved);
    assert_int_equal(found.result, ERR_AGAIN);
    answer(POD("uid-0", "false", "Running", IP("10.1.0.9")));
    assert_int_equal(found.result, OK);
    assert_string_equal(found.address, "10.1.0.9");
}

static void pod_that_is_gone_is_read_again(void **state)
{
    (void)state;
    find(&web);
    answer(GOOD);
    pod_addresses_forget(addresses, web.key);
    find(&web);
    assert_int_equal(found.result, ERR_AGAIN);
    pod_addresses_forget(addresses, web.key); /* while it is being read */
    answer(GOOD);
    assert_int_equal(found.result, OK);
}

static void one_read_answers_all_that_wait(void **state)
{
    (void)state;
    struct pod_address others[3] = { 0 };

    find(&web);
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        pod_address_find(addresses, &web, &others[i], &wake);
    pod_address_finish(&others[1]);
    assert_int_equal(fake_call_count(api), 1);
    answer(GOOD);
    assert_int_equal(found.result, OK);
    assert_int_equal(others[0].result, OK);
    assert_int_equal(others[2].result, OK);
}

static void namespace_whose_pods_are_forbidden_is_queried_once_a_minute(void **state)
{
    (void)state;
    struct endpoint other = web;

    other.pod = "web-1";
    other.key = "shop/web-1/uid-1";
    find(&web);
    fake_refuse(api, PATH, ERR_FORBIDDEN, "pods is forbidden");
    pass(0);
    assert_int_equal(found.result, ERR_FORBIDDEN);
    find(&other);
    assert_int_equal(found.result, ERR_FORBIDDEN);
    assert_int_equal(found.error.code, ERR_FORBIDDEN);
    assert_non_null(strstr(found.error.why.text, "pods is forbidden"));
    assert_int_equal(fake_call_count(api), 1);
    pass(60000);
    find(&other);
    assert_int_equal(found.result, ERR_AGAIN);
    assert_int_equal(fake_waiting(api, OTHER_PATH), 1);
}

static void failure_is_not_remembered(void **state)
{
    (void)state;
    find(&web);
    fake_refuse(api, PATH, ERR_SERVER, "etcd is away");
    pass(0);
    assert_int_equal(found.result, ERR_SERVER);
    find(&web);
    answer(GOOD);
    assert_int_equal(found.result, OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(address_is_the_endpoints_where_the_pod_has_it),
        TEST(no_slice_chooses_an_address),
        TEST(replaced_pod_is_reported_by_name_as_missing),
        TEST(what_was_read_counts_for_ten_seconds),
        TEST(pod_is_read_again_for_an_address_that_it_did_not_have),
        TEST(pod_that_is_gone_is_read_again),
        TEST(one_read_answers_all_that_wait),
        TEST(namespace_whose_pods_are_forbidden_is_queried_once_a_minute),
        TEST(failure_is_not_remembered),
    };
    return cmocka_run_group_tests_name("catalog/pod_addresses", tests, NULL, NULL);
}
