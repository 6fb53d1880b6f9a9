/* detect/request_line.c - are a connection's first bytes an HTTP/1 request line? */
#include "detect/request_line.h"

#include <string.h>

enum place { IN_START, IN_METHOD, IN_TARGET_START, IN_TARGET, IN_VERSION };

static const char version[] = "HTTP/1.#\r\n"; /* #: a digit */
static const char connect[] = "CONNECT";

/* RFC 9110, section 5.6.2. */
static bool is_token_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_target_byte(uint8_t c)
{
    return c > ' ' && c != 0x7f;
}

static enum line in_method(struct request_line *l, uint8_t c)
{
    if (c == ' ' && l->state == IN_METHOD) {
        if (l->connecting && l->at == sizeof(connect) - 1)
            return LINE_OTHER;
        l->state = IN_TARGET_START;
        return LINE_MORE;
    }
    if (!is_token_byte(c))
        return LINE_OTHER;
    l->connecting = (l->state == IN_START || l->connecting) &&
                    l->at < sizeof(connect) - 1 && c == (uint8_t)connect[l->at];
    l->at += l->connecting;
    l->state = IN_METHOD;
    return LINE_MORE;
}

static enum line in_target(struct request_line *l, uint8_t c)
{
    if (c == ' ' && l->state == IN_TARGET) {
        l->state = IN_VERSION;
        l->at = 0;
        return LINE_MORE;
    }
    l->state = IN_TARGET;
    return is_target_byte(c) ? LINE_MORE : LINE_OTHER;
}

static enum line in_version(struct request_line *l, uint8_t c)
{
    char wanted = version[l->at++];

    if (wanted == '#' ? c < '0' || c > '9' : c != (uint8_t)wanted)
        return LINE_OTHER;
    return version[l->at] ? LINE_MORE : LINE_HTTP1;
}

static enum line feed_byte(struct request_line *l, uint8_t c)
{
    switch ((enum place)l->state) {
    case IN_START:
    case IN_METHOD:
        return in_method(l, c);
    case IN_TARGET_START:
    case IN_TARGET:
        return in_target(l, c);
    case IN_VERSION:
        return in_version(l, c);
    }
    return LINE_OTHER;
}

enum line request_line_feed(struct request_line *l, const uint8_t *in, size_t len)
{
    enum line line = LINE_MORE;

    for (size_t i = 0; i < len && line == LINE_MORE; i++)
        line = feed_byte(l, in[i]);
    return line;
}

bool request_line_is_word(const struct request_line *l)
{
    return l->state == IN_METHOD;
}
