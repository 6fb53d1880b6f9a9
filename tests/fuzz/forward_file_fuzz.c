/* tests/fuzz/forward_file_fuzz.c - any bytes as a file of port-forward
 *
 * An accepted file has targets with ports, and no address that is not loopback.
 */
#include <assert.h>
#include <string.h>

#include "base/address.h"
#include "base/own.h"
#include "forward/spec.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_spec(const struct forward_spec *s)
{
    assert(s->name && s->name[0] && s->port_count && s->addresses.count);
    for (size_t i = 0; i < s->addresses.count; i++)
        assert(host_is_loopback(str_of(s->addresses.at[i])));
    for (size_t i = 0; i < s->port_count; i++)
        assert(s->ports[i].remote[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    AUTO(forward_specs_finish) struct forward_specs specs = { 0 };
    struct str text = { (const char *)bytes, len };
    struct texts none = { 0 };
    struct diag why = { "" };

    if (forward_file_parse(text, "team.yaml", &none, &specs, &why)) {
        assert(strncmp(why.text, "team.yaml:", 10) == 0);
        return 0;
    }
    assert(specs.count);
    for (size_t i = 0; i < specs.count; i++)
        check_spec(&specs.at[i]);
    return 0;
}
