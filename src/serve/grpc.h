/* serve/grpc.h - what a proxy has to know of gRPC
 *
 * A gRPC call is a POST over HTTP/2 that expects its status in trailers; an answer without
 * grpc-status is no answer to it.  Pure.
 */
#pragma once

#include "http/page.h"
#include "wire/http1.h"

bool grpc_is_request(const struct http1_head *head);

/* How long the caller waits, by grpc-timeout, at least 1; UINT64_MAX: for ever. */
uint64_t grpc_timeout_ms(const struct http1_head *head);

#define GRPC_TRAILERS_ROOM 1200
/* Trailers of a call whose pod was lost in the middle of the answer. */
struct str grpc_unavailable(const char *problem, char room[GRPC_TRAILERS_ROOM]);

#define GRPC_MESSAGE_ROOM 1024
/* The page as a gRPC status: its code by the page's HTTP status, `text` (one line) its message,
 * which is written to `room`. */
void grpc_page(struct page *page, struct str text, char room[GRPC_MESSAGE_ROOM]);
