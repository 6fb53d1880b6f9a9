/* exec/quantity.c - amounts of resources, as Kubernetes writes them */
#include "exec/quantity.h"

#include "base/own.h"

/* In thousandths: the first two are less than one. */
static const struct {
    const char *suffix;
    long double factor;
} suffixes[] = {
    { "n", 1e-6L },
    { "u", 1e-3L },
    { "m", 1 },
    { "", 1e3L },
    { "k", 1e6L },
    { "M", 1e9L },
    { "G", 1e12L },
    { "T", 1e15L },
    { "P", 1e18L },
    { "E", 1e21L },
    { "Ki", 1024e3L },
    { "Mi", 1048576e3L },
    { "Gi", 0x1p30L * 1000 },
    { "Ti", 0x1p40L * 1000 },
    { "Pi", 0x1p50L * 1000 },
    { "Ei", 0x1p60L * 1000 },
};

/* Digits with at most one point; the rest is the suffix. */
static enum err read_number(struct str *text, long double *ret)
{
    long double number = 0, place = 1;
    size_t digits = 0, i = 0;
    bool after_point = false;

    for (; i < text->len && i < 64; i++) {
        char c = text->at[i];
        if (c == '.' && !after_point) {
            after_point = true;
            continue;
        }
        if (c < '0' || c > '9')
            break;
        digits++;
        if (after_point)
            place /= 10;
        number = after_point ? number + place * (c - '0') : number * 10 + (c - '0');
    }
    *text = str_skip(*text, i);
    *ret = number;
    return digits ? OK : ERR_PROTO;
}

static enum err read_exponent(struct str text, long double *ret_factor)
{
    bool negative = str_starts(text, STR("-"));
    uint64_t exponent;
    enum err e = str_to_uint(str_skip(text, negative || str_starts(text, STR("+"))), 18,
                             &exponent);

    for (*ret_factor = 1e3L; !e && exponent; exponent--)
        *ret_factor = negative ? *ret_factor / 10 : *ret_factor * 10;
    return e;
}

static enum err read_factor(struct str suffix, long double *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (!str_eq(suffix, str_of(suffixes[i].suffix)))
            continue;
        *ret = suffixes[i].factor;
        return OK;
    }
    if (str_starts(suffix, STR("e")) || str_starts(suffix, STR("E")))
        return read_exponent(str_skip(suffix, 1), ret);
    return ERR_PROTO;
}

enum err quantity_parse(struct str text, uint64_t *ret_thousandths)
{
    long double number, factor;

    if (str_starts(text, STR("+")))
        text = str_skip(text, 1);
    enum err e = read_number(&text, &number);
    if (!e)
        e = read_factor(text, &factor);
    if (e)
        return e;
    number *= factor;
    if (number >= 0x1p63L)
        return ERR_LIMIT;
    *ret_thousandths = (uint64_t)number;
    if ((long double)*ret_thousandths < number)
        (*ret_thousandths)++;
    return OK;
}
