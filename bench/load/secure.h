/* bench/load/secure.h - TLS on the connections of the load
 *
 * The server's certificate is not verified: that would be work of the client's.  No session
 * is resumed, so each connection makes a full handshake.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct secure;

/* On a connected, non-blocking socket; `name` is the server's, for SNI. */
struct secure *secure_open(int fd, const char *name);
void secure_close(struct secure *s);

/* As send and recv: -1 with errno, which is EAGAIN while the handshake goes on. */
ssize_t secure_send(struct secure *s, const void *bytes, size_t n);
ssize_t secure_recv(struct secure *s, void *bytes, size_t n);
