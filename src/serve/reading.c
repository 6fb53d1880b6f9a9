/* serve/reading.c - the text of a request's head, out of the queue and into one piece */
#include "serve/exchange.h"
#include "serve/session.h"

#include "base/own.h"

#define TEXT_FIRST 1024 /* room for a head at first */
#define TEXT_STEP 1024  /* a head is copied in steps: a body may follow it */

static void text_grow(struct exchange *x, size_t need)
{
    if (x->text_room >= need)
        return;
    while (x->text_room < need)
        x->text_room = x->text_room ? x->text_room * 2 : TEXT_FIRST;
    x->text = xrealloc(x->text, x->text_room);
}

enum err reading_run(struct exchange *x)
{
    struct bufq *in = &x->client->in;
    size_t max = (size_t)x->serve->config->max_head_size;

    while (!bufq_empty(in) && x->text_len < max) {
        size_t n = max - x->text_len, end;
        n = n < TEXT_STEP ? n : TEXT_STEP;
        text_grow(x, x->text_len + n);
        n = bufq_copy(in, 0, x->text + x->text_len, n);
        if (!http1_head_end(x->text, x->text_len + n, &x->scanned, &end)) {
            bufq_skip(in, end - x->text_len);
            x->text_len = end;
            return OK;
        }
        bufq_skip(in, n);
        x->text_len += n;
    }
    return x->text_len >= max ? ERR_LIMIT : ERR_AGAIN;
}
