/* tests/fuzz/address_state_fuzz.c - any text as a state file: what is read is written the same */
#include <assert.h>

#include "addresses/state_text.h"
#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_again(const struct table *t)
{
    AUTO_FREE char *text = state_text_write(t);
    struct table again;
    struct diag why = { "" };

    table_init(&again, 0);
    enum err e = state_text_read(str_of(text), &again, &why);
    assert(e == OK && again.kept == t->kept && again.seed == t->seed);
    list_for_each (entry, &t->recent, struct entry, recent) {
        const struct entry *same = table_find(&again, &entry->key);
        assert(table_may_give(entry->address));
        assert(same && same->address == entry->address);
    }
    table_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct table t;
    struct diag why = { "" };

    table_init(&t, 0);
    enum err e = state_text_read((struct str){ (const char *)bytes, len }, &t, &why);
    assert(e == OK || why.text[0]);
    if (!e)
        check_again(&t);
    table_finish(&t);
    return 0;
}
