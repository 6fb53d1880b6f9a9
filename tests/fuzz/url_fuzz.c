/* tests/fuzz/url_fuzz.c - any bytes as a URL that is to be shown
 *
 * A password is what stands between the first colon after "://" and the last "@".
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "base/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The same, with a password that is known. */
static void check_password(struct str host)
{
    AUTO_FREE char *url = xasprintf("https://user:hunter2@%.*s", STR_ARG(host));
    AUTO_FREE char *wanted = xasprintf("https://user:xxxxx@%.*s", STR_ARG(host));
    AUTO_FREE char *shown = url_redacted(str_of(url));

    assert(str_eq(str_of(shown), str_of(wanted)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str url = { (const char *)bytes, len };
    AUTO_FREE char *shown = url_redacted(url);
    AUTO_FREE char *place = url_host_port(url, 80);
    struct str scheme = url_scheme(url);

    assert(shown && strchr(place, ':'));
    assert(!memchr(place, '@', strlen(place)));
    assert(scheme.len <= len);
    if (!memchr(bytes ? bytes : (const uint8_t *)"", '@', len) &&
        !memchr(bytes ? bytes : (const uint8_t *)"", '\0', len))
        check_password(url);
    return 0;
}
