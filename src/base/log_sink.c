/* base/log_sink.c - gather lines and write them without blocking the program
 *
 * A flush writes all that is gathered in one call where the sink is a file.  The reader of a pipe,
 * socket or terminal may have stopped.  These are polled first and get at most PIPE_BUF bytes at
 * a time, which a writable one takes without blocking, whatever its O_NONBLOCK is (all processes
 * that share the descriptor share that flag, so it is not set here).  What such a sink does not
 * take stays gathered; when the buffer is full, lines are dropped and counted.
 */
#include "base/log_sink.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_ready(const struct log_sink *sink)
{
    struct pollfd p = { .fd = sink->fd, .events = POLLOUT };
    return sink->regular || poll(&p, 1, 0) != 0;
}

static void drop_gathered(struct log_sink *sink, size_t from)
{
    for (size_t i = from; i < sink->len; i++)
        sink->dropped += sink->gathered[i] == '\n';
    sink->len = 0;
}

void log_sink_drain(struct log_sink *sink)
{
    size_t done = 0;

    while (done < sink->len && is_ready(sink)) {
        size_t n = sink->len - done;
        if (!sink->regular && n > PIPE_BUF)
            n = PIPE_BUF;
        ssize_t written = write(sink->fd, sink->gathered + done, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN)
            break;
        if (written < 0) {
            drop_gathered(sink, done);
            return;
        }
        done += (size_t)written;
    }
    sink->len -= done;
    memmove(sink->gathered, sink->gathered + done, sink->len);
}

void log_sink_add(struct log_sink *sink, const char *line, size_t len)
{
    if (len > LOG_GATHER_SIZE - sink->len)
        log_sink_drain(sink);
    if (len > LOG_GATHER_SIZE - sink->len) {
        sink->dropped++;
        return;
    }
    memcpy(sink->gathered + sink->len, line, len);
    sink->len += len;
}

void log_sink_set_fd(struct log_sink *sink, int fd)
{
    struct stat st;

    sink->fd = fd;
    sink->terminal = isatty(fd);
    sink->regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}
