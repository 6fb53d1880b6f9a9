/* tests/unit/addresses/addresses_test.c - addresses of keys, and their state file */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#include "addresses/addresses.h"
#include "base/file.h"
#include "base/file_write.h"
#include "base/own.h"
#include "config/config.h"
#include "net/loop.h"
#include "captured_log.h"

static struct loop *loop;
static struct addresses *addresses;
static char *root, *path;

static void start(void)
{
    struct config *config = config_default();

    addresses = addresses_create(
        &(struct addresses_parts){ .loop = loop, .config = config, .path = path });
    config_unref(config);
}

static void restart(void)
{
    addresses_destroy(addresses);
    start();
}

static int begin(void **state)
{
    (void)state;
    char template[] = "/tmp/addresses-XXXXXX";

    root = xstrdup(mkdtemp(template));
    path = xasprintf("%s/deep/default.addresses", root);
    loop = loop_create();
    captured_log_begin();
    start();
    return 0;
}

static int finish(void **state)
{
    (void)state;
    AUTO_FREE char *command = xasprintf("rm -rf %s", root);

    addresses_destroy(addresses);
    loop_destroy(loop);
    captured_log_end();
    assert_int_equal(system(command), 0);
    free(TAKE(root));
    free(TAKE(path));
    return 0;
}

static struct in_addr assign(const char *cluster, const char *service)
{
    const struct address_key key = { str_of(cluster), STR("shop"), str_of(service),
                                     STR("") };
    struct in_addr ret = { 0 };
    struct diag why = { "" };

    assert_int_equal(addresses_assign(addresses, &key, &ret, &why), OK);
    return ret;
}

static void an_address_leads_back_to_its_key(void **state)
{
    (void)state;
    struct address_key key;
    struct in_addr web = assign("blue", "web");
    struct in_addr none = { .s_addr = htonl(0x7f000001) };

    assert_int_equal(ntohl(web.s_addr) >> 24, 127);
    assert_int_not_equal(web.s_addr, assign("green", "web").s_addr);
    assert_true(addresses_owner(addresses, web, &key));
    assert_true(str_eq(key.cluster, STR("blue")));
    assert_true(str_eq(key.ns, STR("shop")));
    assert_true(str_eq(key.service, STR("web")));
    assert_true(str_empty(key.pod));
    assert_false(addresses_owner(addresses, none, &key));
}

static void an_address_is_the_same_after_a_restart(void **state)
{
    (void)state;
    struct in_addr web = assign("", "web");

    restart();
    assert_int_equal(assign("", "web").s_addr, web.s_addr);
}

static void another_file_has_another_seed(void **state)
{
    (void)state;
    struct in_addr web = assign("", "web");

    assert_null(addresses_summary(addresses).state);
    assert_int_equal(unlink(path), 0);
    restart();
    assert_int_not_equal(assign("", "web").s_addr, web.s_addr);
}

/* Names are looked up until two of them collide, then in the other order. */
static void a_collision_is_remembered_after_a_restart(void **state)
{
    (void)state;
    char name[32], text[INET_ADDRSTRLEN];
    char *file = NULL;
    size_t len;
    struct diag why;
    struct in_addr last = { 0 };

    for (unsigned i = 0; i < 60000; i++) {
        snprintf(name, sizeof(name), "web-%u", i);
        last = assign("", name);
    }
    restart();
    assert_int_equal(file_read(path, 1 << 20, &file, &len, &why), OK);
    const char *line = strchr(strchr(file, '\n') + 1, '\n') + 1;
    assert_int_equal(sscanf(line, "%15s - shop %31s", text, name), 2);
    assert_int_equal(inet_pton(AF_INET, text, &last), 1);
    assert_int_equal(assign("", name).s_addr, last.s_addr);
    free(file);
}

static void refused_file_stays_and_is_logged(const char *text, const char *reason,
                                             bool has_seed)
{
    char *after = NULL;
    size_t len;
    struct diag why = { "" };

    assign("", "web"); /* makes the folder */
    assert_int_equal(file_replace(path, str_of(text), 0600, &why), OK);
    restart();
    struct in_addr web = assign("", "web");
    assert_non_null(strstr(captured_log(), reason));
    assert_non_null(strstr(addresses_summary(addresses).state, reason));
    restart();
    assert_int_equal(assign("", "web").s_addr == web.s_addr, has_seed);
    assert_int_equal(file_read(path, 1 << 20, &after, &len, &why), OK);
    assert_string_equal(after, text);
    free(after);
}

static void a_damaged_file_is_refused_and_left(void **state)
{
    (void)state;
    refused_file_stays_and_is_logged("kube-tunnel addresses 1\nseed 00",
                                     "line 2: no seed", false);
    refused_file_stays_and_is_logged("kube-tunnel addresses 1\nseed 00000000000000fg\n",
                                     "line 2: no seed", false);
    refused_file_stays_and_is_logged("kube-tunnel addresses 1\nseed 00000000000000ff\n",
                                     "line 3: the end is missing", true);
}

static void without_a_file_no_address_can_be_computed(void **state)
{
    (void)state;
    free(TAKE(path));
    restart();
    struct in_addr web = assign("", "web");
    assert_non_null(strstr(addresses_summary(addresses).state, "set HOME"));
    restart();
    assert_int_not_equal(assign("", "web").s_addr, web.s_addr);
}

static void a_file_of_another_version_is_refused_and_left(void **state)
{
    (void)state;
    refused_file_stays_and_is_logged("kube-tunnel addresses 9\n", "its version is 9",
                                     false);
}

static void a_folder_that_cannot_be_written_is_logged(void **state)
{
    (void)state;
    AUTO_FREE char *file = xasprintf("%s/file", root);
    struct diag why = { "" };

    assert_int_equal(file_replace(file, STR("x"), 0600, &why), OK);
    addresses_destroy(addresses);
    free(path);
    path = xasprintf("%s/file/x.addresses", root);
    start();
    assign("", "web");
    assert_non_null(strstr(captured_log(), "were not saved"));
}

static void what_was_not_saved_is_saved_when_the_folder_can_be_written(void **state)
{
    (void)state;
    AUTO_FREE char *file = xasprintf("%s/deep", root);
    const char *text = "were not saved";
    struct diag why = { "" };

    assert_int_equal(file_replace(file, STR("x"), 0600, &why), OK);
    assign("", "web");
    assert_non_null(addresses_summary(addresses).state);
    for (uint64_t end = loop_sched(loop)->now + 1500; loop_sched(loop)->now < end;)
        loop_run_once(loop, 100);
    assert_int_equal(unlink(file), 0);
    for (unsigned i = 0; i < 100 && access(path, F_OK); i++)
        loop_run_once(loop, 100);
    assert_int_equal(access(path, F_OK), 0);
    assert_null(addresses_summary(addresses).state);
    const char *log = strstr(captured_log(), text);
    assert_non_null(log);
    assert_null(strstr(log + 1, text)); /* once, of two attempts */
}

static void a_long_name_is_refused_with_a_sentence(void **state)
{
    (void)state;
    char name[2000];
    struct diag why = { "" };
    struct in_addr any;

    memset(name, 'a', sizeof(name));
    const struct address_key key = {
        STR(""), STR("shop"), { name, sizeof(name) }, STR("")
    };
    assert_int_equal(addresses_assign(addresses, &key, &any, &why), ERR_LIMIT);
    assert_non_null(strstr(why.text, "too long"));
}

static void a_name_with_a_dot_is_refused(void **state)
{
    (void)state;
    struct address_key key = { STR(""), STR("shop"), STR("db"), STR("x.tcp") };
    struct diag why = { "" };
    struct in_addr any;

    assert_int_equal(addresses_assign(addresses, &key, &any, &why), ERR_PROTO);
    key = (struct address_key){ STR(""), STR("shop"), STR("a.b"), STR("") };
    assert_int_equal(addresses_assign(addresses, &key, &any, &why), ERR_PROTO);
    key = (struct address_key){ STR(""), STR("shop.x"), STR("a"), STR("") };
    assert_int_equal(addresses_assign(addresses, &key, &any, &why), ERR_PROTO);
    assert_int_equal(addresses_summary(addresses).known, 0);
}

static void without_a_look_up_no_file_is_made(void **state)
{
    (void)state;
    restart();
    assert_int_equal(access(path, F_OK), -1);
    assign("", "web");
    assert_int_equal(access(path, F_OK), 0);
}

static void a_closed_namespace_has_no_addresses(void **state)
{
    (void)state;
    const struct config_flag flag = { "deny-namespace", "shop" };
    struct config *config = NULL;
    struct diag why = { "" };
    const struct address_key key = { STR(""), STR("shop"), STR("web"), STR("") };
    struct in_addr any;

    assert_int_equal(
        config_load(&(struct config_input){ .flags = &flag, .flag_count = 1 }, &config,
                    &why),
        OK);
    addresses_configure(addresses, config);
    config_unref(config);
    assert_int_equal(addresses_assign(addresses, &key, &any, &why), ERR_CLOSED);
    assert_non_null(strstr(why.text, "namespace shop is closed"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, finish)
    const struct CMUnitTest tests[] = {
        TEST(an_address_leads_back_to_its_key),
        TEST(an_address_is_the_same_after_a_restart),
        TEST(another_file_has_another_seed),
        TEST(a_collision_is_remembered_after_a_restart),
        TEST(a_damaged_file_is_refused_and_left),
        TEST(a_file_of_another_version_is_refused_and_left),
        TEST(a_folder_that_cannot_be_written_is_logged),
        TEST(a_name_with_a_dot_is_refused),
        TEST(without_a_file_no_address_can_be_computed),
        TEST(what_was_not_saved_is_saved_when_the_folder_can_be_written),
        TEST(without_a_look_up_no_file_is_made),
        TEST(a_closed_namespace_has_no_addresses),
        TEST(a_long_name_is_refused_with_a_sentence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
