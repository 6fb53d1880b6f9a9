/* base/own.h - ownership of memory: allocation that cannot fail, scoped cleanup, hand-over
 *
 * Running out of memory aborts.  That is acceptable only because every size a peer can
 * influence is capped before it is allocated
 * (docs/decisions/002-out-of-memory-aborts.md).
 */
#pragma once

#include <stddef.h>
#include <stdlib.h>

__attribute__((malloc, returns_nonnull)) void *xmalloc(size_t n);
__attribute__((malloc, returns_nonnull)) void *xcalloc(size_t count, size_t n);
__attribute__((returns_nonnull)) void *xrealloc(void *p, size_t n);
/* Whole pages of memory; freed by munmap. */
__attribute__((malloc, returns_nonnull)) void *xpages(size_t n);
__attribute__((malloc, returns_nonnull)) char *xstrdup(const char *s); /* s != NULL */
__attribute__((malloc, returns_nonnull)) char *xstrndup(const char *s, size_t n);
/* NULL stays NULL. */
char *xstrdup_or_null(const char *s);
__attribute__((malloc, returns_nonnull, format(printf, 1, 2))) char *
xasprintf(const char *format, ...);

static inline void own_freep(void *p)
{
    free(*(void **)p);
}

/* AUTO(foo_destroyp) struct foo *f: calls foo_destroyp(&f) at the end of the scope. */
/* `unused`: clang warns of a variable that only its cleanup function reads. */
#define AUTO(freep) __attribute__((cleanup(freep), unused))
#define AUTO_FREE AUTO(own_freep)

/* Hand a pointer over: the value, while the variable becomes NULL. */
#define TAKE(p)                                                                          \
    __extension__({                                                                      \
        __typeof__(p) taken_ = (p);                                                      \
        (p) = NULL;                                                                      \
        taken_;                                                                          \
    })

/* The struct around a member; the pointer's type is checked. */
#define container_of(ptr, type, member)                                                  \
    __extension__({                                                                      \
        const __typeof__(((type *)0)->member) *member_ = (ptr);                          \
        (type *)((char *)(__typeof__(((type *)0)->member) *)member_ -                    \
                 offsetof(type, member));                                                \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
