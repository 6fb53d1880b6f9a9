#include "kube/jwt.h"

#include <jansson.h>
#include <math.h>

#include "base/base64.h"
#include "base/own.h"

#define PAYLOAD_MAX (64u << 10)
#define SECONDS_MAX 253402300800.0 /* the year 10000 */

/* base64url without padding (RFC 7515, section 2) as plain base64. */
static char *to_base64(struct str url)
{
    size_t padding = (4 - url.len % 4) % 4;
    char *plain = xmalloc(url.len + padding + 1);

    for (size_t i = 0; i < url.len; i++)
        plain[i] = url.at[i] == '-' ? '+' : url.at[i] == '_' ? '/' : url.at[i];
    memset(plain + url.len, '=', padding);
    plain[url.len + padding] = '\0';
    return plain;
}

static enum err read_payload(struct str token, json_t **ret)
{
    struct str header, payload, rest = str_cut(token, '.', &header);
    struct str signature = str_cut(rest, '.', &payload);
    AUTO_FREE char *text = NULL;
    size_t len;

    if (!signature.at || str_empty(payload) || payload.len > PAYLOAD_MAX)
        return ERR_PROTO;
    AUTO_FREE char *encoded = to_base64(payload);
    if (base64_decode(str_of(encoded), &text, &len))
        return ERR_PROTO;
    *ret = json_loadb(text, len, 0, NULL);
    return *ret ? OK : ERR_PROTO;
}

enum err jwt_expiry(struct str token, int64_t *ret_ms)
{
    json_auto_t *payload = NULL;

    if (read_payload(token, &payload))
        return ERR_PROTO;
    const json_t *exp = json_object_get(payload, "exp");
    double seconds = json_number_value(exp);
    if (!json_is_number(exp) || !(seconds >= 0 && seconds < SECONDS_MAX))
        return ERR_PROTO;
    *ret_ms = (int64_t)(seconds * 1000);
    return OK;
}
