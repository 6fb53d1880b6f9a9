#include "playground/ws_accept.h"

#include "base/base64.h"
#include "base/own.h"
#include "playground/digest.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

char *ws_accept(struct str key)
{
    AUTO_FREE char *text = xasprintf("%.*s" GUID, STR_ARG(key));
    uint8_t hash[SHA1_SIZE];
    sha1(str_of(text), hash);
    return base64_encode((struct str){ (const char *)hash, sizeof(hash) });
}
