/* tests/fuzz/yaml_edit_fuzz.c - any bytes as a kubeconfig whose tokens are replaced
 *
 * What is changed reads as it should, or is recognised as what it should not be: an edit of
 * the result with the same values changes nothing but quotes that are there already.
 */
#include <assert.h>

#include "base/own.h"
#include "yaml/edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const struct yaml_step steps[] = {
    { "users", "u" }, { "user", NULL }, { "auth-provider", NULL }, { "config", NULL }
};
static const struct yaml_edit edits[] = { { "id-token", "aaa" },
                                          { "refresh-token", "bbb" } };

static enum err edit(struct str text, char **ret)
{
    struct diag why = { "" };
    enum err e =
        yaml_edit(text, steps, ARRAY_LEN(steps), edits, ARRAY_LEN(edits), ret, &why);
    assert(!e || why.text[0]);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO_FREE char *once = NULL, *twice = NULL;

    if (edit((struct str){ (const char *)bytes, len }, &once))
        return 0;
    assert(strstr(once, "\"aaa\"") && strstr(once, "\"bbb\""));
    if (edit(str_of(once), &twice) == OK)
        assert(strcmp(once, twice) == 0);
    return 0;
}
