/* wire/http1_chars.c - the character classes of HTTP/1.1 */
#include "wire/http1_chars.h"

/* clang-format off */
#define O 0
#define X HTTP1_TEXT
#define T (HTTP1_TEXT | HTTP1_TOKEN)
const uint8_t http1_class[256] = {
    O,O,O,O,O,O,O,O,O,X,O,O,O,O,O,O, O,O,O,O,O,O,O,O,O,O,O,O,O,O,O,O,
    X,T,X,T,T,T,T,T,X,X,T,T,X,T,T,X, /*  !"#$%&'()*+,-./ */
    T,T,T,T,T,T,T,T,T,T,X,X,X,X,X,X, /* 0123456789:;<=>? */
    X,T,T,T,T,T,T,T,T,T,T,T,T,T,T,T, /* @ABCDEFGHIJKLMNO */
    T,T,T,T,T,T,T,T,T,T,T,X,X,X,T,T, /* PQRSTUVWXYZ[\]^_ */
    T,T,T,T,T,T,T,T,T,T,T,T,T,T,T,T, /* `abcdefghijklmno */
    T,T,T,T,T,T,T,T,T,T,T,X,T,X,T,O, /* pqrstuvwxyz{|}~  */
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
    X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X, X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,X,
};
#undef O
#undef X
#undef T
/* clang-format on */
