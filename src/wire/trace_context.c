/* wire/trace_context.c - the field traceparent of W3C Trace Context */
#include "wire/trace_context.h"

#define FLAG_SAMPLED 0x01
#define FLAG_RANDOM 0x02

/* "00-" trace id "-" span id "-" flags */
#define AT_TRACE_ID 3
#define AT_SPAN_ID 36
#define AT_FLAGS 53

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_read(const char *text, size_t count, uint8_t *ret)
{
    for (size_t i = 0; i < count; i++) {
        int high = digit_value(text[2 * i]), low = digit_value(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;

    for (size_t i = 0; i < len; i++)
        any |= bytes[i];
    return !any;
}

static bool has_dashes(struct str text)
{
    return text.at[AT_TRACE_ID - 1] == '-' && text.at[AT_SPAN_ID - 1] == '-' &&
           text.at[AT_FLAGS - 1] == '-';
}

/* Version 00 ends here; what a later one adds begins with a dash. */
static bool ends_well(struct str text, uint8_t version)
{
    if (text.len == TRACEPARENT_LENGTH)
        return true;
    return version && text.at[TRACEPARENT_LENGTH] == '-';
}

bool traceparent_read(struct str text, struct trace_context *ret)
{
    struct trace_context c = { 0 };
    uint8_t version, flags;

    if (text.len < TRACEPARENT_LENGTH || !has_dashes(text) ||
        !hex_read(text.at, 1, &version) || version == 0xff || !ends_well(text, version))
        return false;
    if (!hex_read(text.at + AT_TRACE_ID, TRACE_ID_SIZE, c.trace_id) ||
        !hex_read(text.at + AT_SPAN_ID, SPAN_ID_SIZE, c.span_id) ||
        !hex_read(text.at + AT_FLAGS, 1, &flags))
        return false;
    if (is_zero(c.trace_id, TRACE_ID_SIZE) || is_zero(c.span_id, SPAN_ID_SIZE))
        return false;
    c.sampled = flags & FLAG_SAMPLED;
    c.random = flags & FLAG_RANDOM;
    *ret = c;
    return true;
}

void hex_write(const uint8_t *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 0xf];
    }
}

void traceparent_write(const struct trace_context *c, char out[static TRACEPARENT_LENGTH])
{
    uint8_t flags =
        (uint8_t)((c->sampled ? FLAG_SAMPLED : 0) | (c->random ? FLAG_RANDOM : 0));

    memset(out, '-', TRACEPARENT_LENGTH);
    out[0] = out[1] = '0';
    hex_write(c->trace_id, TRACE_ID_SIZE, out + AT_TRACE_ID);
    hex_write(c->span_id, SPAN_ID_SIZE, out + AT_SPAN_ID);
    hex_write(&flags, 1, out + AT_FLAGS);
}
