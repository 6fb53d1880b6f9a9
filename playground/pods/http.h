/* playground/pods/http.h - the HTTP/1.1 server in every pod
 *
 * Fast enough to be measured against: requests are parsed where they lie, answers are
 * written into the stream's own chunks, and no request allocates.  What it can answer
 * with is the table of pages in pages.c.
 */
#pragma once

#include "playground/pods/pod.h"

void http_serve(struct loop *l, struct pod *pod, struct stream *s);

/* Answer every request with its own head, byte for byte as it came. */
void http_serve_heads(struct loop *l, struct pod *pod, struct stream *s);
