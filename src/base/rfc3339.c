#include "base/rfc3339.h"

#include <stdio.h>
#include <time.h>

#define MS ((int64_t)1000)

/* Removes `count` digits from the front of *s; their number is in *ret. */
static bool take_digits(struct str *s, size_t count, unsigned *ret)
{
    uint64_t n;

    if (s->len < count || str_to_uint(str_first(*s, count), 9999, &n))
        return false;
    *s = str_skip(*s, count);
    *ret = (unsigned)n;
    return true;
}

static bool take_char(struct str *s, const char *accepted, char *ret)
{
    if (str_empty(*s) || !strchr(accepted, s->at[0]) || !s->at[0])
        return false;
    *ret = s->at[0];
    *s = str_skip(*s, 1);
    return true;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const unsigned days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01: Howard Hinnant's days_from_civil, for years from 0 on. */
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    int64_t y = (int64_t)year - (month <= 2);
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static bool take_date(struct str *s, int64_t *ret_days)
{
    unsigned year, month, day;
    char dash;

    if (!take_digits(s, 4, &year) || !take_char(s, "-", &dash) ||
        !take_digits(s, 2, &month) || !take_char(s, "-", &dash) ||
        !take_digits(s, 2, &day))
        return false;
    if (month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    *ret_days = days_since_1970(year, month, day);
    return true;
}

/* Removes the digits of a fraction of a second; those after milliseconds are ignored. */
static bool take_fraction(struct str *s, int64_t *ret_ms)
{
    int64_t unit = 100;
    size_t digits = 0;
    char c;

    *ret_ms = 0;
    if (!take_char(s, ".,", &c))
        return true;
    for (; take_char(s, "0123456789", &c); digits++, unit /= 10)
        *ret_ms += unit * (c - '0');
    return digits > 0;
}

static bool take_clock(struct str *s, int64_t *ret_ms)
{
    unsigned hour, minute, second;
    int64_t fraction;
    char colon;

    if (!take_digits(s, 2, &hour) || !take_char(s, ":", &colon) ||
        !take_digits(s, 2, &minute) || !take_char(s, ":", &colon) ||
        !take_digits(s, 2, &second) || !take_fraction(s, &fraction))
        return false;
    *ret_ms = (int64_t)(hour * 3600 + minute * 60 + second) * MS + fraction;
    return hour < 24 && minute < 60 && second < 60;
}

static bool take_zone(struct str *s, int64_t *ret_ms)
{
    unsigned hour, minute;
    char sign, colon;

    *ret_ms = 0;
    if (take_char(s, "Z", &sign))
        return true;
    if (!take_char(s, "+-", &sign) || !take_digits(s, 2, &hour) ||
        !take_char(s, ":", &colon) || !take_digits(s, 2, &minute) || hour > 23 ||
        minute > 59)
        return false;
    *ret_ms = (int64_t)(hour * 3600 + minute * 60) * MS * (sign == '-' ? -1 : 1);
    return true;
}

enum err rfc3339_parse(struct str text, int64_t *ret_ms)
{
    int64_t days, clock, zone;
    char t;

    if (!take_date(&text, &days) || !take_char(&text, "T", &t) ||
        !take_clock(&text, &clock) || !take_zone(&text, &zone) || !str_empty(text))
        return ERR_PROTO;
    *ret_ms = days * 86400 * MS + clock - zone;
    return OK;
}

void rfc3339_write(int64_t ms, char out[static RFC3339_ROOM])
{
    time_t seconds = (time_t)(ms / MS - (ms % MS < 0));
    char date[20] = "?"; /* 16 bytes are used */
    struct tm utc = { 0 };

    if (gmtime_r(&seconds, &utc)) /* glibc's %Y has no leading zeros */
        strftime(date, sizeof(date), "-%m-%dT%H:%M:%SZ", &utc);
    snprintf(out, RFC3339_ROOM, "%04d%s", utc.tm_year % 10000 + 1900, date);
}

int64_t wall_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * MS + t.tv_nsec / 1000000;
}
