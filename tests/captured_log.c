#include "captured_log.h"

#include <assert.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"

static int ends[2];
static char lines[1 << 16];

void captured_log_begin(void)
{
    int failed = pipe2(ends, O_NONBLOCK);

    assert(!failed);
    log_set_level(LEVEL_INFO);
    log_set_format(LOG_TEXT);
    log_set_fd(ends[1], false);
}

const char *captured_log(void)
{
    size_t len = 0;
    ssize_t n;

    log_flush();
    while ((n = read(ends[0], lines + len, sizeof(lines) - 1 - len)) > 0) {
        len += (size_t)n;
        log_flush();
    }
    lines[len] = '\0';
    return lines;
}

void captured_log_end(void)
{
    captured_log();
    log_set_fd(STDERR_FILENO, false);
    close(ends[0]);
    close(ends[1]);
}
