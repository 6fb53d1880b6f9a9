/* serve/strangers.h - a word for clients that get no exchange
 *
 * Those that speak another protocol are told so in it, where it has a way to say so, and
 * those that are one too many are turned away.  Pure: writes bytes.
 */
#pragma once

#include "base/bufq.h"
#include "detect/detect.h"
#include "net/peer.h"

void stranger_refuse(enum detected protocol, struct bufq *out);
/* 503: as many clients as there may be are connected. */
void stranger_turn_away(struct bufq *out);
/* 403: the user of this machine may not connect, unless `flag` is given ("--clients ..."). */
void stranger_refuse_user(const struct peer *peer, const char *flag, struct bufq *out);
