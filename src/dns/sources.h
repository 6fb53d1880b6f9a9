/* dns/sources.h - how many responses an address outside this machine gets
 *
 * A token bucket for each address, or for each network of IPv6 (64 bits).  Above its rate every
 * other question gets an empty truncated response, no larger than the question, so that a real
 * resolver asks again over TCP; the rest gets none.  The table has a fixed size, and the least
 * recently seen address makes room.  Addresses of this machine are not limited.
 */
#pragma once

#include <sys/socket.h>

#include "base/sched.h"

enum source_verdict { SOURCE_ANSWER, SOURCE_TRUNCATE, SOURCE_DROP };

struct sources;

struct sources *sources_create(struct sched *sched, uint32_t per_second);
void sources_set_rate(struct sources *s, uint32_t per_second);
void sources_destroy(struct sources *s); /* NULL accepted */
enum source_verdict sources_take(struct sources *s, const struct sockaddr *peer);
