/* tests/unit/daemon/service_rules_test.c - the rules of services, from the settings and the files
 * that they name */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "config/setting.h"
#include "daemon/service_rules.h"
#include "playground/ca.h"
#include "upstream/tls_rules.h"

static char good[] = "/tmp/service-rules-XXXXXX", bad[] = "/tmp/service-rules-XXXXXX";

static int write_file(char *path, const char *text)
{
    int fd = mkstemp(path);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

    if (!file || fputs(text, file) < 0)
        return -1;
    return fclose(file);
}

static int write_files(void **state)
{
    (void)state;
    struct local_ca *ca;
    struct diag why;

    if (local_ca_create("test authority", &ca, &why))
        return -1;
    int failed = write_file(good, local_ca_certificate(ca)) || write_file(bad, "no PEM");
    local_ca_destroy(ca);
    return failed;
}

static int remove_files(void **state)
{
    (void)state;
    return remove(good) || remove(bad);
}

static struct config *with(const char *tls_ca, const char *tls)
{
    struct config *c = config_default();
    struct diag why = { 0 };

    if (setting_apply(&settings[SETTING_tls_ca], str_of(tls_ca), c, &why) ||
        setting_apply(&settings[SETTING_tls], str_of(tls), c, &why))
        fail_msg("%s", why.text);
    return c;
}

static void every_key_of_a_service_is_in_its_rule(void **state)
{
    (void)state;
    AUTO_FREE char *text = xasprintf(
        "shop/none,verify=none,shop/ca,ca=%s,server-name=a.example,shop/pin,pin="
        "0a0b0c0d00000000000000000000000000000000000000000000000000000000",
        good);
    AUTO(config_unrefp) struct config *c = with(good, text);
    AUTO(tls_rules_unrefp) struct tls_rules *rules = NULL;
    struct diag why = { 0 };

    if (service_rules_of(c, &rules, &why))
        fail_msg("%s", why.text);
    const struct tls_rule *none = tls_rules_find(rules, "shop", "none");
    const struct tls_rule *ca = tls_rules_find(rules, "shop", "ca");
    const struct tls_rule *pin = tls_rules_find(rules, "shop", "pin");
    assert_true(none && none->unverified && !none->trust && !none->has_pin);
    assert_true(ca && !ca->unverified && ca->trust);
    assert_string_equal(ca->server_name, "a.example");
    assert_true(pin && pin->has_pin && !pin->trust);
    assert_int_equal(pin->pin[0], 0x0a);
    assert_int_equal(pin->pin[3], 0x0d);
    assert_null(tls_rules_find(rules, "shop", "other"));
}

static void a_file_without_a_certificate_is_named_with_its_setting(void **state)
{
    (void)state;
    AUTO_FREE char *text = xasprintf("shop/web,ca=%s", bad);
    AUTO(config_unrefp) struct config *of_all = with(bad, "");
    AUTO(config_unrefp) struct config *of_one = with("", text);
    struct tls_rules *rules = NULL;
    struct diag why = { 0 };

    assert_int_equal(service_rules_of(of_all, &rules, &why), ERR_CONFIG);
    AUTO_FREE char *all =
        xasprintf("tls-ca (default): %s: holds no PEM (no \"-----BEGIN\" line)", bad);
    assert_string_equal(why.text, all);
    assert_int_equal(service_rules_of(of_one, &rules, &why), ERR_CONFIG);
    AUTO_FREE char *one = xasprintf(
        "tls (default): shop/web: ca: %s: holds no PEM (no \"-----BEGIN\" line)", bad);
    assert_string_equal(why.text, one);
    assert_null(rules);
}

static void a_file_that_is_gone_since_the_settings_were_read_is_named(void **state)
{
    (void)state;
    char path[] = "/tmp/service-rules-XXXXXX";
    assert_int_equal(write_file(path, "text"), 0);
    AUTO(config_unrefp) struct config *c = with(path, "");
    struct tls_rules *rules = NULL;
    struct diag why = { 0 };

    assert_int_equal(remove(path), 0);
    assert_int_equal(service_rules_of(c, &rules, &why), ERR_CONFIG);
    assert_non_null(strstr(why.text, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_of_a_service_is_in_its_rule),
        cmocka_unit_test(a_file_without_a_certificate_is_named_with_its_setting),
        cmocka_unit_test(a_file_that_is_gone_since_the_settings_were_read_is_named),
    };
    return cmocka_run_group_tests_name("daemon/service_rules", tests, write_files,
                                       remove_files);
}
