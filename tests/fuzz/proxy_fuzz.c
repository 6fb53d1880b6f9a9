/* tests/fuzz/proxy_fuzz.c - any NO_PROXY list, for any host
 *
 * The input is two bytes of port, the host up to a line feed, and the list.  A list excludes
 * what one of its entries excludes, in any case of the letters, and everything with a "*".
 * The environment means the same as the function: a proxy, or none.
 */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/str.h"
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void to_upper(char *text)
{
    for (; *text; text++)
        *text = (char)toupper((unsigned char)*text);
}

static bool any_entry_excludes(const char *list, const char *host, uint16_t port)
{
    struct str rest = str_of(list), entry;
    bool any = false;

    do {
        rest = str_cut(rest, ',', &entry);
        AUTO_FREE char *one = str_dup(entry);
        any = any || proxy_excludes(one, host, port);
    } while (rest.at);
    return any;
}

static void check_choice(const char *list, const char *host, uint16_t port, bool excluded)
{
    AUTO_FREE char *chosen = NULL;

    setenv("NO_PROXY", list, 1);
    setenv("HTTPS_PROXY", "socks5://proxy.test:1080", 1);
    chosen = proxy_choose(NULL, true, host, port);
    assert(str_empty(str_of(chosen)) ||
           str_eq(str_of(chosen), STR("socks5h://proxy.test:1080")));
    /* An empty NO_PROXY gives way to no_proxy, which is not set. */
    assert(!excluded || str_empty(str_of(chosen)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    uint16_t port = (uint16_t)(bytes[0] << 8 | bytes[1]);
    struct str rest = { (const char *)bytes + 2, len - 2 }, host_text;
    rest = str_cut(rest, '\n', &host_text);
    AUTO_FREE char *host = str_dup(host_text);
    AUTO_FREE char *list = str_dup(rest);
    AUTO_FREE char *with_all = xasprintf("%s,*", list);

    unsetenv("no_proxy");
    bool excluded = proxy_excludes(list, host, port);
    assert(excluded == any_entry_excludes(list, host, port));
    assert(proxy_excludes(with_all, host, port));
    check_choice(list, host, port, excluded);
    to_upper(list);
    assert(excluded == proxy_excludes(list, host, port));
    to_upper(host);
    assert(excluded == proxy_excludes(list, host, port));
    return 0;
}
