/* playground/server.h - the listener of the API server: listening, TLS, being restarted */
#pragma once

#include "net/tls.h"
#include "playground/cluster.h"

struct server;

/* address is numeric, "127.0.0.1:0" or "[::1]:6443"; takes a reference to tls (NULL: plain
 * HTTP, without authentication: for the control socket).  Errors as listen_socket. */
MUST_CHECK enum err server_open(struct cluster *c, struct str address,
                                struct tls_context *tls, struct server **ret,
                                struct diag *why);
/* The same on a Unix socket. */
MUST_CHECK enum err server_open_unix(struct cluster *c, const char *path,
                                     struct server **ret, struct diag *why);
void server_close(struct server *s); /* NULL accepted */

/* "127.0.0.1:6443", with the actual port. */
const char *server_address(const struct server *s);

/* After a short delay: closes every connection, does not listen for ms, then listens on
 * the same port again. */
void server_restart(struct server *s, uint64_t ms);
/* paused: no connection is accepted; accepted ones continue. */
void server_pause(struct server *s, bool paused);

/* Numeric "ADDR:PORT".  ERR_CONFIG. */
struct sockaddr_storage;
MUST_CHECK enum err server_address_parse(struct str text, struct sockaddr_storage *ret,
                                         socklen_t *ret_len, struct diag *why);
