/* tests/unit/kube/credentials_test.c - the credential of requests, and when it is
 * renewed */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "base/log.h"
#include "base/own.h"
#include "folder.h"
#include "kube/credentials.h"
#include "kube/exec_plugin.h"
#include "kube/kubeconfig.h"

static struct loop *loop;
static struct folder folder;
static struct kube_target target;
static struct exec_plugins *plugins;
static struct credentials *credentials;
static struct credentials_want want;
static struct task wake;
static unsigned wakes;

static void on_wake(struct task *t)
{
    (void)t;
    wakes++;
}

static int begin(void **state)
{
    (void)state;
    loop = loop_create();
    folder_create(&folder);
    plugins = exec_plugins_create(
        loop, &(struct exec_settings){ .run_ms = 5000, .terminal_ms = 10000 });
    task_init(&wake, loop_sched(loop), RANK_WORK, on_wake);
    target = (struct kube_target){ .tls = true };
    want = (struct credentials_want){ .wake = &wake };
    wakes = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    credentials_leave(&want);
    credentials_destroy(TAKE(credentials));
    exec_plugins_destroy(plugins);
    task_cancel(&wake);
    folder_destroy(&folder);
    loop_destroy(loop);
    return 0;
}

static uint64_t expect_fields(const char *first, const char *second)
{
    struct credential *got = NULL;
    struct diag why;

    assert_int_equal(credentials_get(credentials, &want, &got, &why), OK);
    uint64_t generation = got->generation;
    if (first)
        assert_string_equal(got->fields[0], first);
    else
        assert_null(got->fields[0]);
    if (first && second)
        assert_string_equal(got->fields[1], second);
    else if (first)
        assert_null(got->fields[1]);
    credential_unref(got);
    return generation;
}

static void a_token_becomes_a_bearer_field(void **state)
{
    (void)state;
    target.token = (char *)"abc";
    credentials = credentials_create(loop, &target, plugins);
    uint64_t first = expect_fields("Authorization: Bearer abc", NULL);
    assert_false(credentials_reject(credentials, first));
    assert_int_equal(expect_fields("Authorization: Bearer abc", NULL), first);
}

/* The queue of a connection would hold only part of the request, and the server would
 * wait for the rest. */
static void token_that_fits_into_no_request_is_refused(void **state)
{
    (void)state;
    struct credential *got = NULL;
    struct diag why;
    target.token = xmalloc(CREDENTIAL_MAX + 1);
    memset(target.token, 'a', CREDENTIAL_MAX);
    target.token[CREDENTIAL_MAX] = '\0';
    credentials = credentials_create(loop, &target, plugins);
    assert_int_equal(credentials_get(credentials, &want, &got, &why), ERR_CREDENTIALS);
    assert_non_null(strstr(why.text, "too long for a request"));
    free(target.token);
}

static void user_and_password_become_a_basic_field(void **state)
{
    (void)state;
    target.username = (char *)"Aladdin";
    target.password = (char *)"open sesame";
    credentials = credentials_create(loop, &target, plugins);
    expect_fields("Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", NULL);
}

static void a_user_without_credentials_sends_none(void **state)
{
    (void)state;
    credentials = credentials_create(loop, &target, plugins);
    uint64_t first = expect_fields(NULL, NULL);
    assert_false(credentials_reject(credentials, first));
}

/* As in client-go, the name of an extra may be empty. */
static void impersonation_accepts_an_extra_with_an_empty_name(void **state)
{
    (void)state;
    struct kubeconfig *kc = NULL;
    struct diag why;
    assert_int_equal(kubeconfig_parse(STR("users: [{name: u, user: {as: jane, "
                                          "as-user-extra: {'': [x]}}}]"),
                                      "f", &kc, &why),
                     OK);
    target.user = kc_user_copy(kubeconfig_user(kc, "u"));
    kubeconfig_destroy(kc);
    credentials = credentials_create(loop, &target, plugins);
    expect_fields("Impersonate-User: jane", "Impersonate-Extra-: x");
    kc_user_destroy(target.user);
}

static void changed_token_file_is_another_generation(void **state)
{
    (void)state;
    target.token_file = xstrdup(folder_put(&folder, "token", "one\n"));
    credentials = credentials_create(loop, &target, plugins);
    uint64_t first = expect_fields("Authorization: Bearer one", NULL);
    folder_put(&folder, "token", "two\n");
    assert_int_equal(expect_fields("Authorization: Bearer one", NULL), first);

    /* A hundred requests failed with the first token: the file is read once, and the
     * second token stays valid. */
    for (int i = 0; i < 100; i++)
        assert_true(credentials_reject(credentials, first));
    uint64_t second = expect_fields("Authorization: Bearer two", NULL);
    assert_int_not_equal(second, first);
    folder_put(&folder, "token", "three\n");
    assert_true(credentials_reject(credentials, first));
    assert_int_equal(expect_fields("Authorization: Bearer two", NULL), second);
    folder_put(&folder, "token", "not a token\n");
    assert_true(credentials_reject(credentials, second));
    assert_int_equal(expect_fields("Authorization: Bearer two", NULL), second);
    free(target.token_file);
}

static void token_of_the_kubeconfig_serves_until_the_file_was_read(void **state)
{
    (void)state;
    AUTO_FREE char *path = xasprintf("%s/later", folder.path);
    target.token = (char *)"zero";
    target.token_file = path;
    credentials = credentials_create(loop, &target, plugins);
    uint64_t first = expect_fields("Authorization: Bearer zero", NULL);
    folder_put(&folder, "later", "one");
    assert_true(credentials_reject(credentials, first));
    expect_fields("Authorization: Bearer one", NULL);
}

static void missing_token_file_is_named(void **state)
{
    (void)state;
    struct credential *got = NULL;
    struct diag why;
    target.token_file = (char *)"/nowhere/token";
    credentials = credentials_create(loop, &target, plugins);
    assert_int_equal(credentials_get(credentials, &want, &got, &why), ERR_CREDENTIALS);
    assert_string_equal(why.text, "tokenFile /nowhere/token: it cannot be read");
}

/* The user of a target with a plugin that prints the number of its run. */
static struct kc_user *user_with_plugin(void)
{
    AUTO_FREE char *script = xasprintf(
        "#!/bin/sh\necho >>%s/runs; n=$(wc -l <%s/runs)\n"
        "echo "
        "'{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/"
        "v1\",\"status\":{\"token\":\"'$n'\"}}'\n",
        folder.path, folder.path);
    const char *path = folder_put(&folder, "plugin", script);
    AUTO_FREE char *text =
        xasprintf("users: [{name: u, user: {exec: {command: %s, interactiveMode: Never, "
                  "apiVersion: client.authentication.k8s.io/v1}}}]",
                  path);
    struct kubeconfig *kc = NULL;
    struct diag why;
    assert_int_equal(chmod(path, 0755), 0);
    assert_int_equal(kubeconfig_parse(str_of(text), "f", &kc, &why), OK);
    struct kc_user *user = kc_user_copy(kubeconfig_user(kc, "u"));
    kubeconfig_destroy(kc);
    return user;
}

static enum err get_in_time(struct credentials *c, struct credential **ret)
{
    enum err e = ERR_AGAIN;
    struct diag why;

    for (int i = 0; i < 200 && e == ERR_AGAIN; i++) {
        e = credentials_get(c, &want, ret, &why);
        if (e == ERR_AGAIN)
            loop_run_once(loop, 50);
    }
    credentials_leave(&want);
    return e;
}

/* Two clusters use one plugin: a credential that one of them refuses is still used for
 * the other, also during the renewal or the pause that follows. */
static void a_refusal_by_one_server_does_not_concern_another(void **state)
{
    (void)state;
    struct credential *got = NULL, *of_other = NULL;
    struct diag why;
    target.source = SOURCE_EXEC;
    target.user = user_with_plugin();
    credentials = credentials_create(loop, &target, plugins);
    struct credentials *other = credentials_create(loop, &target, plugins);

    for (int i = 0; i < 3; i++) {
        assert_int_equal(get_in_time(credentials, &got), i < 2 ? OK : ERR_CREDENTIALS);
        if (i == 2)
            break; /* it pauses */
        assert_int_equal(get_in_time(other, &of_other), OK);
        credential_unref(TAKE(of_other));
        assert_true(credentials_reject(credentials, got->generation));
        credential_unref(TAKE(got));
    }
    assert_int_equal(credentials_get(other, &want, &of_other, &why), OK);
    assert_string_equal(of_other->fields[0], "Authorization: Bearer 2");
    assert_false(credentials_are_missing(other, &why));
    assert_true(credentials_are_missing(credentials, &why));
    credential_unref(of_other);
    credentials_destroy(other);
    credentials_destroy(TAKE(credentials));
    kc_user_destroy(target.user);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_token_becomes_a_bearer_field),
        TEST(token_that_fits_into_no_request_is_refused),
        TEST(user_and_password_become_a_basic_field),
        TEST(a_user_without_credentials_sends_none),
        TEST(impersonation_accepts_an_extra_with_an_empty_name),
        TEST(changed_token_file_is_another_generation),
        TEST(token_of_the_kubeconfig_serves_until_the_file_was_read),
        TEST(missing_token_file_is_named),
        TEST(a_refusal_by_one_server_does_not_concern_another),
    };
    log_set_level(LEVEL_ERROR);
    return cmocka_run_group_tests_name("kube/credentials", tests, NULL, NULL);
}
