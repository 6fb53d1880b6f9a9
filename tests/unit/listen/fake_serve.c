/* tests/unit/listen/fake_serve.c - what listen/ calls of serve/ and these tests do not look at */
#include "net/stream.h"
#include "serve/serve.h"

void serve_turn_away(struct serve *s, struct stream *client)
{
    (void)s;
    stream_close(client);
}

void serve_close_clients(struct serve *s,
                         bool (*allowed)(void *owner, const struct peer *peer),
                         void *owner)
{
    (void)s;
    (void)allowed;
    (void)owner;
}

bool serve_free_descriptor(struct serve *s)
{
    (void)s;
    return false;
}
