/* bench/load/burst_test.c - bursts against a server of each kind, on loopback */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/own.h"
#include "bench/load/burst.h"

#define COUNT 8
#define TIMES 3

enum manner { ECHOES, ECHOES_WRONGLY, CLOSES, SAYS_NOTHING };

struct server {
    int fd;
    enum manner manner;
    int taken[COUNT * TIMES]; /* -1 where there is none */
    pthread_t thread;
};

static void serve_one(const struct server *s, int fd)
{
    char byte;

    if (s->manner == SAYS_NOTHING)
        return;
    if (recv(fd, &byte, 1, 0) == 1 && s->manner != CLOSES) {
        byte = (char)(byte + (s->manner == ECHOES_WRONGLY));
        assert_int_equal(send(fd, &byte, 1, MSG_NOSIGNAL), 1);
    }
    if (s->manner == CLOSES)
        shutdown(fd, SHUT_RDWR);
}

/* Until its listening socket is shut down. */
static void *serve(void *owner)
{
    struct server *s = owner;

    for (size_t i = 0; i < ARRAY_LEN(s->taken); i++) {
        s->taken[i] = accept(s->fd, NULL, NULL);
        if (s->taken[i] < 0)
            break;
        serve_one(s, s->taken[i]);
    }
    return NULL;
}

static struct plan start(struct server *s, enum manner manner)
{
    struct sockaddr_in a = { .sin_family = AF_INET };
    struct plan p = { .address_len = sizeof(a), .patience_ns = 300 * 1000000 };

    memset(s->taken, 0xff, sizeof(s->taken));
    s->manner = manner;
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(s->fd, COUNT), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &p.address_len), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
    memcpy(&p.address, &a, sizeof(a));
    return p;
}

static void stop(struct server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < ARRAY_LEN(s->taken); i++)
        if (s->taken[i] >= 0)
            close(s->taken[i]);
    close(s->fd);
}

static void times_each_burst(void **state)
{
    (void)state;
    struct server s;
    struct plan p = start(&s, ECHOES);
    uint64_t ns[TIMES] = { 0 };

    assert_int_equal(burst_run(&p, COUNT, TIMES, ns), OK);
    for (size_t i = 0; i < TIMES; i++)
        assert_in_range(ns[i], 1000, p.patience_ns);
    stop(&s);
}

static void is_spoilt_by_one_connection_that_fails(void **state)
{
    (void)state;
    static const struct {
        enum manner manner;
        enum err result;
    } cases[] = {
        { ECHOES_WRONGLY, ERR_RESET },
        { CLOSES, ERR_RESET },
        { SAYS_NOTHING, ERR_TIMEOUT },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct server s;
        struct plan p = start(&s, cases[i].manner);
        uint64_t ns[TIMES];
        assert_int_equal(burst_run(&p, COUNT, TIMES, ns), cases[i].result);
        stop(&s);
    }
}

static void needs_somebody_who_listens(void **state)
{
    (void)state;
    struct server s;
    struct plan p = start(&s, ECHOES);
    uint64_t ns;

    stop(&s);
    assert_int_equal(burst_run(&p, 1, 1, &ns), ERR_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_each_burst),
        cmocka_unit_test(is_spoilt_by_one_connection_that_fails),
        cmocka_unit_test(needs_somebody_who_listens),
    };
    return cmocka_run_group_tests_name("bench/load/burst", tests, NULL, NULL);
}
