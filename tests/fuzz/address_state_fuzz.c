/* tests/fuzz/address_state_fuzz.c - any text as a state file: what is read is written the same */
#include <assert.h>

#include "addresses/state_text.h"
#include "base/own.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_again(const struct address_table *t)
{
    AUTO_FREE char *text = state_text_write(t);
    struct address_table again;
    struct diag why = { "" };

    address_table_init(&again, 0);
    enum err e = state_text_read(str_of(text), &again, &why);
    assert(e == OK && again.kept == t->kept && again.seed == t->seed);
    list_for_each (entry, &t->recent, struct address_entry, recent) {
        const struct key_parts key = address_entry_key(entry);
        const struct address_entry *same = address_table_find(&again, &key);
        assert(address_table_may_give(entry->address));
        assert(same && same->address == entry->address);
    }
    address_table_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct address_table t;
    struct diag why = { "" };

    address_table_init(&t, 0);
    enum err e = state_text_read((struct str){ (const char *)bytes, len }, &t, &why);
    assert(e == OK || why.text[0]);
    if (!e)
        check_again(&t);
    address_table_finish(&t);
    return 0;
}
