#include "catalog/note.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/own.h"

#define NOTE_SIZE 512
#define NOTE_PODS 5

bool pod_is_running(const struct pod *p)
{
    return strcmp(p->phase, "Running") == 0;
}

struct note {
    char text[NOTE_SIZE];
    size_t len;
};

PRINTF_LIKE(2, 3) static void note_add(struct note *n, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    int wanted = vsnprintf(n->text + n->len, sizeof(n->text) - n->len, format, args);
    va_end(args);
    if (wanted > 0)
        n->len += (size_t)wanted;
    if (n->len >= sizeof(n->text))
        n->len = sizeof(n->text) - 1;
}

bool pod_is_over(const struct pod *p)
{
    return strcmp(p->phase, "Succeeded") == 0 || strcmp(p->phase, "Failed") == 0;
}

/* "web-1 Pending (ImagePullBackOff)" */
static void note_add_pod(struct note *n, const struct pod *p)
{
    const char *state = p->terminating                   ? "terminating"
                        : pod_is_running(p) && !p->ready ? "not ready"
                                                         : p->phase;

    note_add(n, "%s %s", p->name, state);
    if (p->reason)
        note_add(n, " (%s)", p->reason);
}

static void note_add_pods(struct note *n, const struct pod_list *pods,
                          const char *selector)
{
    bool running = false;

    if (pods->count == 0) {
        note_add(n, "no pod matches selector %s", selector);
        return;
    }
    for (size_t i = 0; i < pods->count; i++)
        running = running || pod_is_running(pods->at[i]);
    note_add(n, "%zu pod%s selector %s, none is %s: ", pods->count,
             pods->count == 1 ? " matches" : "s match", selector,
             running ? "ready" : "running");
    for (size_t i = 0; i < pods->count && i < NOTE_PODS; i++) {
        note_add(n, "%s", i ? ", " : "");
        note_add_pod(n, pods->at[i]);
    }
    if (pods->count > NOTE_PODS)
        note_add(n, " and %zu more", pods->count - NOTE_PODS);
}

char *note_of_service(const struct service *s, const char *selector,
                      const struct pod_list *pods, size_t not_pods)
{
    struct note n = { .len = 0 };

    if (pods && selector)
        note_add_pods(&n, pods, selector);
    if (not_pods)
        note_add(&n, "%s%zu endpoint%s no pod%s, which a port-forward cannot reach",
                 n.len ? "; " : "", not_pods, not_pods == 1 ? " is" : "s are",
                 not_pods == 1 ? "" : "s");
    if (not_pods && s->by_address)
        note_add(&n, " (an address counts when exactly one pod of the namespace has it)");
    return n.len ? xstrdup(n.text) : NULL;
}

char *note_of_pod(const struct pod *p)
{
    struct note n = { .len = 0 };

    note_add(&n, "pod ");
    note_add_pod(&n, p);
    return xstrdup(n.text);
}
