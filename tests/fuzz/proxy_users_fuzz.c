/* tests/fuzz/proxy_users_fuzz.c - any bytes as a file of users, and as Proxy-Authorization
 *
 * The input is the file, a NUL, and the value of the field.  Errors have a sentence, and no text
 * of the file.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/own.h"
#include "serve/proxy_users.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static enum err read_users(struct str text, struct proxy_users **ret, struct diag *why)
{
    char path[64];
    int fd = memfd_create("users", 0);

    assert(fd >= 0 && write(fd, text.at, text.len) == (ssize_t)text.len);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum err e = proxy_users_read(path, ret, why);
    close(fd);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str file, rest = { (const char *)bytes, len };
    AUTO(proxy_users_destroyp) struct proxy_users *users = NULL;
    struct diag why = { "" };
    struct str value = str_cut(rest, '\0', &file);

    if (read_users(file, &users, &why)) {
        assert(!users && strstr(why.text, "proxy-users: "));
        return 0;
    }
    if (value.at)
        proxy_users_accept_basic(users, value);
    assert(!proxy_users_accept(users, STR(""), STR("")));
    return 0;
}
