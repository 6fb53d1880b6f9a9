/* tests/fuzz/listen_address_fuzz.c - any bytes as an address to listen on or to expose */
#include "base/own.h"
#include "config/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = { (const char *)bytes, len };
    struct listen_address a, again;
    struct expose e;
    char once[LISTEN_TEXT_SIZE], twice[LISTEN_TEXT_SIZE];
    struct diag why;

    if (!expose_parse(text, &e, &why))
        expose_finish(&e);
    if (listen_address_parse(text, &a, &why))
        return 0;
    listen_address_print(&a, once);
    if (listen_address_parse(str_of(once), &again, &why))
        abort();
    listen_address_print(&again, twice);
    if (strcmp(once, twice) != 0)
        abort();
    return 0;
}
