/* dns/tcp_client.h - DNS over TCP (RFC 7766)
 *
 * Each message follows its length in two bytes.  A connection may have CONNECTION_QUESTIONS
 * questions without a response, and is not read while it has, nor while its responses are not
 * taken, nor for a moment once the address outside this machine has asked SOURCE_RATE questions in
 * a second.  It is closed CONNECTION_IDLE_MS after its last whole question.  Beyond CONNECTIONS_MAX
 * the one that has been idle for longest is closed.
 */
#pragma once

#include <sys/socket.h>

struct tcp_clients;
struct loop;
struct questions;

#define CONNECTIONS_MAX 128
#define CONNECTIONS_PER_SOURCE 16 /* of an address outside this machine */
#define CONNECTION_QUESTIONS 16
#define CONNECTION_IDLE_MS 10000
#define SOURCE_RATE 1000

struct tcp_clients *tcp_clients_create(struct loop *loop, struct questions *questions);
void tcp_clients_destroy(struct tcp_clients *all); /* NULL accepted */
/* Takes over an accepted socket.  `listener` says only which clients tcp_clients_close closes. */
void tcp_clients_accept(struct tcp_clients *all, const void *listener, int fd,
                        const struct sockaddr *peer);
void tcp_clients_close(struct tcp_clients *all, const void *listener);
