/* net/http_date.c - dates of HTTP fields, read by curl */
#include "net/http_date.h"

#include <curl/curl.h>

enum err http_date_parse(const char *text, int64_t *ret)
{
    time_t seconds = curl_getdate(text, NULL);

    if (seconds < 0)
        return ERR_PROTO;
    *ret = seconds;
    return OK;
}
