/* serve/reply.h - pages in place of a pod's response
 *
 * Makes the page of a refusal, which it logs, or one of our own.  Free of framing.
 * Private to serve/.
 */
#pragma once

#include "base/log.h"
#include "http/page.h"
#include "serve/refusal.h"
#include "serve/target.h"

struct admin;
struct cluster;

/* The body of a page is *ret_body, owned by the caller.  `request` is NULL where its head was
 * not parsed, `cluster` where none was found. */
void reply_refusal(struct log_id id, const struct refusal *refusal,
                   const struct http1_head *request, const struct cluster *cluster,
                   struct page *ret, char **ret_body);
void reply_own_page(struct admin *admin, const struct http1_head *request,
                    const struct target *target, struct page *ret, char **ret_body);
