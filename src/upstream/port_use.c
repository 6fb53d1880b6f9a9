/* upstream/port_use.c - the key of a port of a pod, and of how it is spoken to */
#include "upstream/port_use.h"

#include <stdio.h>

struct str pool_key(const struct endpoint *e, struct port_use use,
                    char room[POOL_KEY_ROOM])
{
    char digits[] = { ':', '0', '0', '0', '0', '0' };
    unsigned port = use.port;

    for (size_t i = sizeof(digits); port; port /= 10)
        digits[--i] = (char)('0' + port % 10);
    size_t len = str_append(room, POOL_KEY_ROOM, 0, str_of(e->key));
    len = str_append(room, POOL_KEY_ROOM, len, (struct str){ digits, sizeof(digits) });
    if (use.tls)
        len += (size_t)snprintf(room + len, POOL_KEY_ROOM - len, "+%u", use.tls);
    return (struct str){ room, len };
}
