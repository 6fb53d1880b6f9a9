/* serve/request_want.h - what a request needs of a connection to a pod
 *
 * Private to serve/.
 */
#pragma once

#include "serve/client_side.h"
#include "serve/request_side.h"
#include "serve/serve_state.h"
#include "upstream/lease.h"

/* For the next lease, of which there were `attempts`; everything is borrowed. */
struct want request_want(const struct serve *s, const struct client_side *client,
                         const struct request_side *request, const struct target *target,
                         unsigned attempts);
/* May it be sent to a pod in HTTP/2, if the pod's port speaks that? */
bool request_may_go_in_http2(const struct client_side *client,
                             const struct http1_head *head);
