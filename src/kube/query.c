#include "kube/query.h"

#include <string.h>

#include "base/own.h"

char *with_query(char *path, const char *key, const char *value)
{
    static const char digits[] = "0123456789ABCDEF";
    AUTO_FREE char *before = path;
    AUTO_FREE char *encoded = xmalloc(3 * strlen(value) + 1);
    char *at = encoded;

    for (const char *v = value; *v; v++) {
        unsigned char c = (unsigned char)*v;
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
            strchr("-._~", c)) {
            *at++ = (char)c;
            continue;
        }
        *at++ = '%';
        *at++ = digits[c >> 4];
        *at++ = digits[c & 15];
    }
    *at = '\0';
    return xasprintf("%s%c%s=%s", before, strchr(before, '?') ? '&' : '?', key, encoded);
}
