/* tests/fuzz/hosts_block_fuzz.c - any hosts file and any nsswitch.conf
 *
 * A block that was put in and taken out leaves each byte as it was, whatever the file is; one
 * that is there is replaced alone.  A line of nsswitch.conf that was mended needs no mending.
 */
#include <assert.h>

#include "base/own.h"
#include "resolver/block.h"
#include "resolver/nsswitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define LINES STR("127.5.1.1 web.shop.svc.cluster.local\n")

static void check_round_trip(struct str text, enum block_place place)
{
    AUTO_FREE char *bare = NULL, *with = NULL, *again = NULL;
    struct diag why = { "" };
    struct str found;

    if (block_remove(text, &bare, &why)) {
        assert(why.text[0]);
        assert(block_put(text, LINES, place, &with, NULL) == ERR_CONFIG);
        return;
    }
    assert(block_put(text, LINES, place, &with, NULL) == OK);
    assert(block_find(str_of(with), &found, NULL) == OK);
    assert(str_eq(found, LINES));
    assert(block_remove(str_of(with), &again, NULL) == OK);
    assert(str_eq(str_of(again), str_of(bare)));
}

static void check_nsswitch(struct str text)
{
    AUTO_FREE char *fixed = NULL;
    char *again = NULL;

    nsswitch_has(text, STR("resolve"));
    if (nsswitch_swallows_local(text, &fixed))
        assert(!nsswitch_swallows_local(str_of(fixed), &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = { (const char *)bytes, len };

    check_nsswitch(text);
    if (memchr(bytes, '\0', len))
        return 0; /* refused before (step_block.c) */
    check_round_trip(text, BLOCK_AT_END);
    check_round_trip(text, BLOCK_AT_TOP);
    return 0;
}
