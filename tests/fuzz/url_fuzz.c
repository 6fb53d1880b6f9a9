/* tests/fuzz/url_fuzz.c - any bytes as a URL
 *
 * A password is what stands between the first colon after "://" and the last "@".  What curl's
 * parser accepts has a scheme and a host.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/own.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The same, with a password that is known. */
static void check_password(struct str host)
{
    AUTO_FREE char *url = xasprintf("https://user:hunter2@%.*s", STR_ARG(host));
    AUTO_FREE char *wanted = xasprintf("https://user:xxxxx@%.*s", STR_ARG(host));
    AUTO_FREE char *shown = url_redacted(str_of(url));

    assert(str_eq(str_of(shown), str_of(wanted)));
}

/* What is found in a URL is found again in what is made of its parts. */
static void check_parts(struct str text)
{
    struct url u, again;
    struct diag why = { "" };

    if (url_parse(text, "http", &u, &why)) {
        assert(why.text[0] && !u.scheme && !u.host);
        return;
    }
    AUTO_FREE char *place = url_host_port(&u, 80);
    AUTO_FREE char *authority = url_authority(text, "http", 80);
    assert(u.scheme[0] && u.host[0] && u.path[0] == '/');
    assert(strrchr(place, ':') && !strchr(u.host, '/') && !strchr(u.host, '@'));
    assert(authority);
    assert(url_parse(str_of(authority), "http", &again, &why) == OK);
    /* curl decodes a host after it has looked for numbers: "4%3434" is a name, "4434" is not */
    assert(memchr(text.at, '%', text.len) || strcmp(u.host, again.host) == 0);
    assert(strcmp(u.scheme, again.scheme) == 0);
    assert(again.port == (u.port ? u.port : 80) && u.v6 == again.v6);
    url_finish(&u);
    url_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str url = { (const char *)bytes, len };
    AUTO_FREE char *shown = url_redacted(url);

    assert(shown);
    check_parts(url);
    if (!memchr(bytes ? bytes : (const uint8_t *)"", '@', len) &&
        !memchr(bytes ? bytes : (const uint8_t *)"", '\0', len))
        check_password(url);
    return 0;
}
