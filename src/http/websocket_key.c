#include "http/websocket_key.h"

#include "base/base64.h"
#include "base/own.h"
#include "net/digest.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define TEXT_MAX 256

void websocket_key(struct sched *sched, char ret[static WEBSOCKET_KEY_LEN + 1])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < 21; i++)
        ret[i] = digits[sched_random_below(sched, 64)];
    ret[21] = "AQgw"[sched_random_below(sched, 4)]; /* of its six bits four are zero */
    memcpy(ret + 22, "==", 3);
}

char *websocket_accept(struct str key)
{
    char text[TEXT_MAX];
    uint8_t digest[SHA1_SIZE];
    size_t len = str_append(text, sizeof(text), 0, key);

    len = str_append(text, sizeof(text), len, STR(GUID));
    digest_sha1((struct str){ text, len }, digest);
    return base64_encode((struct str){ (const char *)digest, sizeof(digest) });
}
