/* bench/load/plan.c - what a run shall do, and what came of it */
#include "bench/load/plan.h"

#include "base/own.h"

char *plan_request(const char *host, const char *path, const char *header,
                   uint64_t upload)
{
    AUTO_FREE char *length =
        upload ? xasprintf("Content-Length: %llu\r\n", (unsigned long long)upload)
               : xstrdup("");
    return xasprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench-load\r\n"
                     "Accept: */*\r\n%s%s%s\r\n",
                     upload ? "POST" : "GET", path, host, length, header ? header : "",
                     header ? "\r\n" : "");
}
