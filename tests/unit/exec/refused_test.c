/* tests/unit/exec/refused_test.c - variables by which a Deployment's author could run code */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "base/own.h"
#include "exec/proxies.h"
#include "exec/quantity.h"
#include "exec/refused.h"

static void names_that_programs_act_on_are_refused(void **state)
{
    static const char *const names[] = { "LD_PRELOAD",
                                         "LD_LIBRARY_PATH",
                                         "LD_AUDIT",
                                         "DYLD_INSERT_LIBRARIES",
                                         "GLIBC_TUNABLES",
                                         "GCONV_PATH",
                                         "BASH_ENV",
                                         "ENV",
                                         "IFS",
                                         "PS4",
                                         "PROMPT_COMMAND",
                                         "SHELLOPTS",
                                         "PYTHONPATH",
                                         "PYTHONSTARTUP",
                                         "PYTHONHOME",
                                         "NODE_OPTIONS",
                                         "NODE_PATH",
                                         "npm_config_script_shell",
                                         "PERL5OPT",
                                         "PERL5LIB",
                                         "RUBYOPT",
                                         "RUBYLIB",
                                         "JAVA_TOOL_OPTIONS",
                                         "_JAVA_OPTIONS",
                                         "JDK_JAVA_OPTIONS",
                                         "CLASSPATH",
                                         "MAVEN_OPTS",
                                         "GIT_SSH_COMMAND",
                                         "GIT_CONFIG_COUNT",
                                         "GIT_EXEC_PATH",
                                         "SSH_AUTH_SOCK",
                                         "SSH_ASKPASS",
                                         "SUDO_ASKPASS",
                                         "EDITOR",
                                         "VISUAL",
                                         "PAGER",
                                         "MANPAGER",
                                         "LESSOPEN",
                                         "BROWSER",
                                         "PSQL_EDITOR",
                                         "PSQLRC",
                                         "LUA_INIT",
                                         "PHPRC",
                                         "R_PROFILE",
                                         "GOFLAGS",
                                         "DOTNET_STARTUP_HOOKS",
                                         "OPENSSL_CONF",
                                         "SSL_CERT_FILE",
                                         "SSLKEYLOGFILE",
                                         "CURL_HOME",
                                         "AWS_CONFIG_FILE",
                                         "DOCKER_CONFIG",
                                         "TAR_OPTIONS",
                                         "MAKEFLAGS",
                                         "GTK_MODULES",
                                         "QT_PLUGIN_PATH",
                                         "VK_LAYER_PATH",
                                         "PATH",
                                         "HOME",
                                         "USER",
                                         "TMPDIR",
                                         "KUBECONFIG",
                                         "XDG_CONFIG_HOME",
                                         "XDG_RUNTIME_DIR",
                                         "http_proxy",
                                         "HTTPS_PROXY",
                                         "no_proxy",
                                         "ALL_PROXY",
                                         "KUBERNETES_SERVICE_HOST",
                                         "KTUN_LISTEN",
                                         "LISTEN_FDS",
                                         "BASH_FUNC_ls",
                                         "TERM",
                                         "HOSTALIASES",
                                         "MYSQL_HOME",
                                         "TF_CLI_CONFIG_FILE" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!refused_because(str_of(names[i])))
            fail_msg("%s is taken", names[i]);
}

static void names_of_commands_and_modules_are_refused(void **state)
{
    static const char *const names[] = { "UWSGI_EXEC_ASAP",
                                         "RESTIC_PASSWORD_COMMAND",
                                         "BORG_PASSCOMMAND",
                                         "RCLONE_PASSWORD_COMMAND",
                                         "RCLONE_CONFIG",
                                         "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_CMD",
                                         "AIRFLOW__CORE__FERNET_KEY_CMD",
                                         "TOX_TESTENV_PASSENV",
                                         "XDEBUG_CONFIG",
                                         "JVMFLAGS",
                                         "CLIENT_JVMFLAGS",
                                         "SERVER_JVMFLAGS",
                                         "LDSHARED",
                                         "LDCXXSHARED",
                                         "ARFLAGS",
                                         "RANLIB",
                                         "JAVACMD",
                                         "PYSPARK_PYTHON",
                                         "SPARK_CLASSPATH",
                                         "HADOOP_CLASSPATH",
                                         "GUNICORN_CMD_ARGS",
                                         "BOTO_CONFIG",
                                         "CC_x86_64_unknown_linux_gnu",
                                         "CXX_aarch64",
                                         "HOST_CC",
                                         "TARGET_CC",
                                         "SDL_DYNAMIC_API",
                                         "LIBXSLT_PLUGINS_PATH",
                                         "FI_PROVIDER_PATH",
                                         "TRITON_PTXAS_PATH",
                                         "PASSWORD_STORE_EXTENSIONS_DIR",
                                         "SCONSFLAGS",
                                         "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES",
                                         "SOME_PLUGIN_DIR",
                                         "GIT_SSH_COMMAND",
                                         "ANY_SSH_COMMAND" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (!refused_because(str_of(names[i])))
            fail_msg("%s is taken", names[i]);
}

static void names_of_applications_are_taken(void **state)
{
    static const char *const names[] = { "PGHOST",
                                         "PGUSER",
                                         "PGPASSWORD",
                                         "PGDATABASE",
                                         "DATABASE_URL",
                                         "REDIS_URL",
                                         "MYSQL_HOST",
                                         "MYSQL_PWD",
                                         "PORT",
                                         "NODE_ENV",
                                         "RAILS_ENV",
                                         "DJANGO_SETTINGS_MODULE",
                                         "LOG_LEVEL",
                                         "RUST_LOG",
                                         "RUST_BACKTRACE",
                                         "MODE",
                                         "ENVIRONMENT",
                                         "ENV_NAME",
                                         "AWS_REGION",
                                         "AWS_ACCESS_KEY_ID",
                                         "API_KEY",
                                         "MANAGER_URL",
                                         "LISTEN_ADDR",
                                         "MAILER",
                                         "STORAGE_BUCKET",
                                         "SASL_USERNAME",
                                         "GITHUB_TOKEN",
                                         "TZ",
                                         "LANG",
                                         "POD_NAME",
                                         "SPRING_PROFILES_ACTIVE",
                                         "GOMAXPROCS",
                                         "OTEL_SERVICE_NAME",
                                         "MAKER",
                                         "COMMAND",
                                         "CMD",
                                         "CCACHE",
                                         "SPARKLE_URL",
                                         "PLUGIN_DIRECTORY",
                                         "COMMANDER",
                                         "AIRFLOW__CORE__EXECUTOR",
                                         "KAFKA_BROKERS" };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (refused_because(str_of(names[i])))
            fail_msg("%s is refused: %s", names[i], refused_because(str_of(names[i])));
    assert_null(refused_because(STR("")));
}

static void expect_amount(const char *text, uint64_t expected)
{
    uint64_t amount = 99;

    assert_int_equal(quantity_parse(str_of(text), &amount), OK);
    if (amount != expected)
        fail_msg("%s: got %llu", text, (unsigned long long)amount);
}

static void quantities_are_read_as_kubernetes_writes_them(void **state)
{
    static const char *const bad[] = {
        "",   "m",  "x",    "1x", "-1",  "1.2.3", ".",
        "1 ", "1e", "1e99", "Ki", "1KI", "0x10",  "1e-99"
    };
    uint64_t amount = 99;

    (void)state;
    expect_amount("0", 0);
    expect_amount("+1", 1000);
    expect_amount("100m", 100);
    expect_amount("0.1", 100);
    expect_amount("1.5", 1500);
    expect_amount("1n", 1);
    expect_amount("1500u", 2);
    expect_amount("2k", 2000000);
    expect_amount("64Mi", 67108864000);
    expect_amount("1e3", 1000000);
    expect_amount("5E-1", 500);
    expect_amount("3Ti", 3298534883328000);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (quantity_parse(str_of(bad[i]), &amount) != ERR_PROTO &&
            quantity_parse(str_of(bad[i]), &amount) != ERR_LIMIT)
            fail_msg("\"%s\" is taken", bad[i]);
    assert_int_equal(quantity_parse(STR("9999999999999999999E"), &amount), ERR_LIMIT);
    assert_int_equal(amount, 99);
}

static void clear_proxies(void)
{
    static const char *const names[] = { "http_proxy",  "HTTP_PROXY", "https_proxy",
                                         "HTTPS_PROXY", "all_proxy",  "ALL_PROXY",
                                         "no_proxy",    "NO_PROXY" };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unsetenv(names[i]);
}

static void proxies_leave_this_machine_and_https_alone(void **state)
{
    (void)state;
    clear_proxies();
    assert_false(proxies_are_set());
    setenv("HTTPS_PROXY", "", 1);
    assert_false(proxies_are_set());
    clear_proxies();
    proxies_set("127.0.0.1:8080", false);
    assert_true(proxies_are_set());
    assert_string_equal(getenv("http_proxy"), "http://127.0.0.1:8080");
    assert_string_equal(getenv("HTTP_PROXY"), "http://127.0.0.1:8080");
    assert_null(getenv("https_proxy"));
    assert_null(getenv("all_proxy"));
    assert_string_equal(getenv("no_proxy"),
                        "localhost,.localhost,127.0.0.1,127.0.0.0/8,::1");
    proxies_set("127.0.0.1:8080", true);
    assert_string_equal(getenv("https_proxy"), "http://127.0.0.1:8080");
    assert_string_equal(getenv("NO_PROXY"), getenv("no_proxy"));
}

static void names_are_added_to_no_proxy_once(void **state)
{
    struct texts names = { 0 };

    (void)state;
    clear_proxies();
    texts_add(&names, xstrdup(".svc.c"));
    texts_add(&names, xstrdup("web"));
    setenv("NO_PROXY", "corp, WEB", 1);
    proxies_exclude(&names);
    assert_string_equal(getenv("NO_PROXY"), "corp, WEB,.svc.c");
    assert_string_equal(getenv("no_proxy"), "corp, WEB,.svc.c");
    proxies_exclude(&names);
    assert_string_equal(getenv("no_proxy"), "corp, WEB,.svc.c");
    clear_proxies();
    setenv("no_proxy", "*", 1);
    proxies_exclude(&names);
    assert_string_equal(getenv("no_proxy"), "*");
    clear_proxies();
    proxies_exclude(&names);
    assert_string_equal(getenv("no_proxy"), ".svc.c,web");
    texts_finish(&names);
    clear_proxies();
    proxies_exclude(&names);
    assert_null(getenv("no_proxy"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_programs_act_on_are_refused),
        cmocka_unit_test(names_of_commands_and_modules_are_refused),
        cmocka_unit_test(names_of_applications_are_taken),
        cmocka_unit_test(quantities_are_read_as_kubernetes_writes_them),
        cmocka_unit_test(proxies_leave_this_machine_and_https_alone),
        cmocka_unit_test(names_are_added_to_no_proxy_once),
    };
    return cmocka_run_group_tests_name("exec/refused", tests, NULL, NULL);
}
