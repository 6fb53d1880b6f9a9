/* addresses/problems.c - ports that could not be opened, and why */
#include "addresses/problems.h"

#include "base/log.h"
#include "base/own.h"
#include "listen/service_socket.h"

LOG_MODULE(addresses);

static struct problem *find_problem(const struct problems *p, const struct problem *like)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].port == like->port && p->at[i].error == like->error &&
            p->at[i].address == like->address)
            return &p->at[i];
    return NULL;
}

static void name_program(struct problem *p, struct in_addr at)
{
    p->named_at = p->seen_at;
    if (p->error == ERR_IN_USE)
        service_port_explain(at, p->port, &p->why);
}

void problems_note(struct problems *p, const struct problem *found, struct in_addr at)
{
    struct problem *there = find_problem(p, found);

    if (there) {
        there->seen_at = found->seen_at;
        if (there->seen_at - there->named_at < PROBLEM_NAME_MS)
            return;
        there->why = found->why;
        name_program(there, at);
        return;
    }
    if (p->count == PROBLEMS_MAX)
        return;
    p->at = xrealloc(p->at, (p->count + 1) * sizeof(*p->at));
    there = &p->at[p->count++];
    *there = *found;
    name_program(there, at);
    log_warn(NO_ID, "a port of a service is not listened on at its address",
             LOG_U("port", there->port),
             LOG_S("reason", diag_text(&there->why, there->error)));
}

static void remove_problem(struct problems *p, size_t i)
{
    p->at[i] = p->at[--p->count];
}

void problems_end(struct problems *p, uint16_t port, struct in_addr at)
{
    for (size_t i = p->count; i-- > 0;)
        if (p->at[i].port == port && (!p->at[i].address || p->at[i].address == at.s_addr))
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
