/* playground/drop.h - the ways in which a connection can be lost */
#pragma once

#include "net/stream.h"

enum drop {
    DROP_ORDERLY, /* close_notify, FIN: a relay saw the other side end */
    DROP_KILLED,  /* FIN alone: the process behind it is gone */
    DROP_RESET,
};

/* The descriptor under all layers of a stream that was accepted here. */
int drop_fd(struct stream *s);

/* Closes the stream.  fd: its descriptor, as drop_fd found it. */
void drop_stream(struct stream *s, int fd, enum drop how);

/* Has the client of a connection that is not being read gone away? */
bool drop_was_left(int fd);
