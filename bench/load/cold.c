/* bench/load/cold.c - how long a program takes from its start to its first answer */
#include "bench/load/cold.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/answer.h"
#include "bench/load/client.h"

#define STOP_TRIES 1000 /* of 10 ms each, before SIGKILL */

static void sleep_ms(long ms)
{
    struct timespec t = { .tv_nsec = ms * 1000000 };
    nanosleep(&t, NULL);
}

/* A port that was just closed; no other process of the benchmark binds a port before the
 * program does. */
static uint16_t free_port(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bool ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 &&
              getsockname(fd, (struct sockaddr *)&a, &len) == 0;
    if (fd >= 0)
        close(fd);
    return ok ? ntohs(a.sin_port) : 0;
}

static char *with_port(const char *argument, uint16_t port)
{
    const char *mark = strstr(argument, "{port}");
    if (!mark)
        return xstrdup(argument);
    return xasprintf("%.*s%u%s", (int)(mark - argument), argument, port,
                     mark + strlen("{port}"));
}

/* In the child, so nothing is freed. */
static void become(char **argv, uint16_t port, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    for (char **a = argv; *a; a++)
        *a = with_port(*a, port);
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

/* Some answers come in pieces: read until complete, the socket's time limit or its end.
 */
static bool receive_200(int fd)
{
    struct answer a;
    char bytes[16384];
    enum err e = ERR_AGAIN;

    answer_init(&a);
    while (e == ERR_AGAIN) {
        ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
        e = n > 0 ? answer_feed(&a, bytes, (size_t)n) : ERR_EOF;
    }
    return e == OK && a.status == 200;
}

static bool request_once(const struct plan *p, uint16_t port)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval patience = { .tv_sec = 5 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0 &&
              send(fd, p->head, p->head_len, MSG_NOSIGNAL) == (ssize_t)p->head_len &&
              receive_200(fd);
    if (fd >= 0)
        close(fd);
    return ok;
}

static void stop(pid_t pid)
{
    kill(pid, SIGTERM);
    for (int i = 0; i < STOP_TRIES; i++) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return;
        sleep_ms(10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static enum err wait_for_200(const struct plan *p, uint16_t port, pid_t pid,
                             uint64_t began)
{
    while (!request_once(p, port)) {
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return ERR_EOF;
        if (monotonic_ns() - began > p->duration_ns) {
            stop(pid);
            return ERR_TIMEOUT;
        }
        sleep_ms(1);
    }
    return OK;
}

enum err cold_start(const struct plan *p, char **argv, uint64_t *ret_ns)
{
    uint16_t port = free_port();
    if (port == 0)
        return ERR_IO;

    pid_t parent = getpid();
    uint64_t began = monotonic_ns();
    pid_t pid = fork();
    if (pid < 0)
        return ERR_IO;
    if (pid == 0)
        become(argv, port, parent);

    enum err e = wait_for_200(p, port, pid, began);
    if (e)
        return e;
    *ret_ns = monotonic_ns() - began;
    stop(pid);
    return OK;
}
