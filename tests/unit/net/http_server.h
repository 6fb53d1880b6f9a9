/* tests/unit/net/http_server.h - a server for tests: plain sockets, one thread per
 * connection
 *
 * The test writes what happens on a connection as straight-line code in a function.  Only
 * loopback, only random ports, no TLS.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define REQUEST_MAX 8192

struct http_server;

/* Serves one connection: reads with http_request, writes with http_write; it is closed
 * when the function returns.  `nth` counts connections from 0. */
typedef void serve_fn(int fd, unsigned nth, void *owner);

struct http_server *http_server_create(serve_fn *serve, void *owner);
uint16_t http_server_port(const struct http_server *s);
/* Waits for all connections to end: the client closes its own first. */
void http_server_destroy(struct http_server *s);

/* The next request's head and body as text into `out`; false, and nothing written, when
 * the client has gone. */
bool http_request(int fd, char out[static REQUEST_MAX]);
void http_write(int fd, const char *format, ...) PRINTF_LIKE(2, 3);
/* A whole answer with Content-Length. */
void http_answer(int fd, int status, const char *more_headers, const char *body);
/* One chunk of a chunked body. */
void http_chunk(int fd, const char *text);
