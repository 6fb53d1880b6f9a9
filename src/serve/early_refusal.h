/* serve/early_refusal.h - the reply to a client that gets no exchange
 *
 * The client uses an unknown protocol, the limit on clients is reached, or its user may not
 * connect.  Pure: writes bytes.
 */
#pragma once

#include "base/bufq.h"
#include "net/peer.h"

/* 400: the protocol is not known. */
void early_refuse_protocol(struct bufq *out);
/* 503: the limit on clients is reached. */
void early_refuse_too_many(struct bufq *out);
/* 403: the user of this machine may not connect, unless `flag` is given ("--clients ..."). */
void early_refuse_user(const struct peer *peer, const char *flag, struct bufq *out);
