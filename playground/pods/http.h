/* playground/pods/http.h - the HTTP/1.1 server in every pod
 *
 * Fast enough for benchmarks: requests are parsed in place, responses are written into
 * the stream's chunks, and no request allocates memory.  pages.c has the table of pages.
 */
#pragma once

#include "playground/pods/pod.h"

void http_serve(struct loop *l, struct pod *pod, struct stream *s);

/* Responds to each request with its own head, byte for byte as received. */
void http_serve_heads(struct loop *l, struct pod *pod, struct stream *s);
