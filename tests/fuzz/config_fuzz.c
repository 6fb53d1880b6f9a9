/* tests/fuzz/config_fuzz.c - any bytes as a configuration file
 *
 * What is accepted must print to text that is accepted again and prints the same.
 */
#include "base/own.h"
#include "config/file.h"
#include "config/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_round_trip(const struct setting *s, const struct config *c)
{
    AUTO(config_unrefp) struct config *again = config_default();
    AUTO_FREE char *once = setting_print(s, c);

    if (setting_apply(s, str_of(once), again, NULL))
        abort();
    AUTO_FREE char *twice = setting_print(s, again);
    if (strcmp(once, twice) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO(config_unrefp) struct config *c = config_default();
    struct str text = { (const char *)bytes, len };
    struct diag why = { 0 };

    enum err e = config_file_apply(c, FROM_FILE, "fuzz.yaml", text, &why);
    if (e && (e != ERR_CONFIG || !why.text[0]))
        abort();
    for (size_t i = 0; i < SETTING_COUNT && !e; i++)
        check_round_trip(&settings[i], c);
    return 0;
}
