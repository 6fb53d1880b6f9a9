/* playground/drop.h - the ways in which a connection can be lost */
#pragma once

#include "net/stream.h"

enum drop {
    /* close_notify and FIN, as when a relay passes on the end of the other side */
    DROP_ORDERLY,
    DROP_KILLED, /* FIN only, as when the process was killed */
    DROP_RESET,
};

/* The descriptor below all layers of an accepted stream. */
int drop_fd(struct stream *s);

/* Closes the stream.  fd: its descriptor, as drop_fd found it. */
void drop_stream(struct stream *s, int fd, enum drop how);

/* Has the client closed a connection that is not being read at present? */
bool drop_was_left(int fd);
