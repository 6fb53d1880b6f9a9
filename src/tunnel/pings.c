#include "tunnel/pings.h"

#include <assert.h>

#include "tunnel/workers.h"
#include "wire/spdy.h"

void pings_init(struct pings *p)
{
    *p = (struct pings){ .next = 1 };
}

bool pings_send(struct pings *p, uint32_t *ret_id)
{
    uint8_t frame[SPDY_PING_SIZE];

    spdy_ping_encode(p->next, frame);
    if (!bufq_put(&p->transport->out, frame, sizeof(frame)))
        return false;
    *ret_id = p->next;
    p->next += 2;
    p->unanswered++;
    if (p->credit)
        credit_on_ping(p->credit);
    return true;
}

bool pings_send_round(struct pings *p, uint32_t *ret_first)
{
    uint32_t id;

    if (bufq_room(&p->transport->out) < WORKERS * SPDY_PING_SIZE)
        return false;
    *ret_first = p->next;
    for (int i = 0; i < WORKERS; i++) {
        bool sent = pings_send(p, &id);
        assert(sent);
        (void)sent;
    }
    return true;
}

void pings_on_pong(struct pings *p, uint32_t id)
{
    if (p->unanswered)
        p->unanswered--;
    if (p->credit)
        credit_on_pong(p->credit, ping_number(id));
}
