/* serve/client_side.c - the client of an exchange */
#include "serve/client_side.h"

#include "http/message.h"
#include "serve/visitor.h"

LOG_MODULE(serve);

void client_side_take(struct client_side *c, const struct client_loan *loan,
                      struct task *wake)
{
    c->message = loan->message;
    c->stream = loan->message->bytes;
    c->from = loan->from;
    c->holder = loan->holder;
    c->owner = loan->owner;
    c->stream->wake = wake;
    task_wake(wake);
}

void client_side_return(struct client_side *c)
{
    stall_watch(&c->stall, false, 0, 0);
    peer_watch_stop(&c->peer);
    c->stream->wake = c->owner;
    c->stream->paused = false;
    stream_update(c->stream);
    c->stream = NULL;
    c->message = NULL;
    task_wake(c->owner);
}

bool client_side_is_gone(struct client_side *c, struct task *wake)
{
    const struct stream *s = c->stream;

    if (!message_is_alone(c->message))
        return false; /* a connection of HTTP/2 is always read from: its end is seen */
    if (s->in_eof || s->paused || bufq_full(&s->in))
        peer_watch_start(&c->peer, s, wake);
    return c->peer.gone;
}

bool client_is_unread(const struct stream *client)
{
    return client->stuck && !bufq_empty(&client->out);
}

void client_side_watch(struct client_side *c, const struct serve *serve,
                       const struct client_wait *wait)
{
    bool waiting = wait->for_reading || wait->for_body;

    if (waiting || c->stall.waiting)
        stall_watch(&c->stall, waiting,
                    (wait->moved - c->stream->out.len) * 2 + wait->for_reading,
                    wait->for_reading ? stall_send_ms(serve, c->from)
                                      : stall_body_ms(serve, c->from));
}

void client_log_stall(const struct stall *stall, struct log_id id, const char *address,
                      bool unread)
{
    log_info(id, "the client stalled", LOG_S("client", address),
             LOG_S("what", unread ? "does not read its response" : "paused in the body"),
             LOG_U("ms", stall->ms));
}

bool client_side_has_stalled(struct client_side *c, struct log_id id)
{
    const struct stream *connection = c->message->connection;

    if (connection && !stall_look(&c->stall, connection))
        return false;
    client_log_stall(&c->stall, id, c->from->address, client_is_unread(c->stream));
    return true;
}

void client_side_note_waiting(struct client_side *c, const struct stream *pod,
                              size_t held, uint64_t moved)
{
    size_t out = c->stream->out.len + (pod ? pod->out.len : 0);
    size_t in = c->stream->in.len + held + (pod ? pod->in.len : 0);

    holder_wait(c->holder, client_is_unread(c->stream), out + in, moved - out);
}
