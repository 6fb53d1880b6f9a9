#include "base/own.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static void *checked(void *p)
{
    if (p)
        return p;
    static const char last_words[] = "kube-tunnel: out of memory\n";
    fwrite(last_words, 1, sizeof(last_words) - 1, stderr);
    abort();
}

void *xmalloc(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *xcalloc(size_t count, size_t n)
{
    return checked(calloc(count ? count : 1, n ? n : 1));
}

void *xrealloc(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1));
}

void *xpages(size_t n)
{
    void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return checked(p == MAP_FAILED ? NULL : p);
}

char *xstrdup(const char *s)
{
    return checked(strdup(s));
}

char *xstrndup(const char *s, size_t n)
{
    return checked(strndup(s, n));
}

char *xstrdup_or_null(const char *s)
{
    return s ? xstrdup(s) : NULL;
}

char *xasprintf(const char *format, ...)
{
    char *ret = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&ret, format, args);
    va_end(args);
    return checked(n < 0 ? NULL : ret);
}
