/* bench/load/plan.c - the settings of a run, and its results */
#include "bench/load/plan.h"

#include "base/own.h"
#include "base/str.h"

static void add_step(struct plan *p, char *send, size_t send_len, const char *expect,
                     size_t expect_len)
{
    struct step *s = &p->steps[p->step_count++];

    s->send = send;
    s->send_len = send_len;
    s->expect = xmalloc(expect_len);
    memcpy(s->expect, expect, expect_len);
    s->expect_len = expect_len;
}

static void add_connect(struct plan *p, const char *target)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    char *request = xasprintf("CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n", target, target);

    add_step(p, request, strlen(request), established, sizeof(established) - 1);
}

static void add_socks5(struct plan *p, struct str host, uint16_t port)
{
    char *request = xmalloc(7 + host.len);
    char *end = request + 5 + host.len;

    memcpy(request, "\5\1\0\3", 4);
    request[4] = (char)host.len;
    memcpy(request + 5, host.at, host.len);
    end[0] = (char)(port >> 8);
    end[1] = (char)port;
    add_step(p, xstrdup("\5\1"), 3, "\5\0", 2); /* its NUL is the method */
    add_step(p, request, 7 + host.len, "\5\0\0\1\0\0\0\0\0\0", 10);
}

bool plan_proxy(struct plan *p, const char *proxy, const char *target)
{
    struct str host;
    uint64_t port;
    struct str rest = str_cut_last(str_of(target), ':', &host);

    if (str_to_uint(rest, UINT16_MAX, &port) || str_empty(host) || host.len > 255)
        return false;
    if (strcmp(proxy, "connect") == 0)
        add_connect(p, target);
    else if (strcmp(proxy, "socks5") == 0)
        add_socks5(p, host, (uint16_t)port);
    return p->step_count > 0;
}

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
