/* tests/fuzz/corefile_fuzz.c - any text as a Corefile: what is found is a domain */
#include <assert.h>

#include "catalog/corefile.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    char zone[ZONE_ROOM];

    if (!corefile_zone((struct str){ (const char *)bytes, len }, zone))
        return 0;
    size_t n = strnlen(zone, sizeof(zone));
    assert(n > 0 && n <= 253 && zone[n - 1] != '.' && zone[0] != '.');
    for (size_t i = 0; i < n; i++)
        assert((zone[i] >= 'a' && zone[i] <= 'z') || (zone[i] >= '0' && zone[i] <= '9') ||
               zone[i] == '-' || zone[i] == '.');
    return 0;
}
