/* addresses/problems.c - ports that could not be opened, and why */
#include "addresses/problems.h"

#include "base/log.h"
#include "base/own.h"

LOG_MODULE(addresses);

static struct problem *find_problem(const struct problems *p, uint16_t port,
                                    enum err error)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].port == port && p->at[i].error == error)
            return &p->at[i];
    return NULL;
}

void problems_note(struct problems *p, uint64_t now, uint16_t port, enum err error,
                   const struct diag *why)
{
    struct problem *there = find_problem(p, port, error);

    if (there) {
        there->seen_at = now;
        there->why = *why;
        return;
    }
    if (p->count == PROBLEMS_MAX)
        return;
    p->at = xrealloc(p->at, (p->count + 1) * sizeof(*p->at));
    p->at[p->count++] =
        (struct problem){ .port = port, .error = error, .seen_at = now, .why = *why };
    log_warn(NO_ID, "a port of a service is not listened on at its address",
             LOG_U("port", port), LOG_S("reason", diag_text(why, error)));
}

static void remove_problem(struct problems *p, size_t i)
{
    p->at[i] = p->at[--p->count];
}

void problems_end(struct problems *p, uint16_t port)
{
    for (size_t i = p->count; i-- > 0;)
        if (p->at[i].port == port)
            remove_problem(p, i);
}

void problems_expire(struct problems *p, uint64_t before)
{
    for (size_t i = p->count; i-- > 0;)
        if (p->at[i].seen_at < before)
            remove_problem(p, i);
}

void problems_finish(struct problems *p)
{
    free(p->at);
    *p = (struct problems){ 0 };
}
