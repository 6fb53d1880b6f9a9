#include "playground/drop.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/tcp.h"
#include "net/tls.h"

int drop_fd(struct stream *s)
{
    return tcp_fd(s);
}

/* Sends a FIN without close_notify.  stream_abort sets the socket to send a reset when it
 * is closed; a duplicate descriptor keeps it open until that option is undone. */
static void kill_stream(struct stream *s, int fd)
{
    struct linger linger = { .l_onoff = 0 };
    int kept = dup(fd);

    stream_abort(s);
    setsockopt(kept, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(kept);
}

void drop_stream(struct stream *s, int fd, enum drop how)
{
    switch (how) {
    case DROP_ORDERLY:
        stream_close(s);
        break;
    case DROP_KILLED:
        kill_stream(s, fd);
        break;
    case DROP_RESET:
        stream_abort(s);
        break;
    }
}

bool drop_was_left(int fd)
{
    struct tcp_info info = { .tcpi_state = TCP_CLOSE };
    socklen_t len = sizeof(info);
    getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len);
    return info.tcpi_state != TCP_ESTABLISHED;
}
