/* exec/hosts.h - the hosts file of a view: the machine's lines, then names of services
 *
 * Programs read the file at any moment, also while it is changed, and it cannot be replaced by
 * another file, because it is mounted.  So no line crosses a boundary of HOSTS_PAGE bytes, and
 * pages are written one at a time: the kernel shows a reader whole lines.  A line is removed by
 * one byte, which makes it a comment.
 *
 * A line has at most HOSTS_LINE bytes, because musl reads 511 at a time; an address with more
 * names has several lines.
 */
#pragma once

#include <netinet/in.h>

#include "base/str.h"

#define HOSTS_PAGE 4096
#define HOSTS_LINE 500

struct hosts;

/* Writes the machine's lines to the file, which is empty.  The descriptor is owned from now
 * on. */
MUST_CHECK enum err hosts_create(int fd, struct str machine, struct hosts **ret,
                                 struct diag *why);
void hosts_destroy(struct hosts *h); /* NULL accepted */
int hosts_fd(const struct hosts *h);

/* A replacement of all names: begin, add for each name, end.  Names of the same address that
 * are added one after another share lines, in their order.  Lines that are as they were stay
 * where they are. */
void hosts_begin(struct hosts *h);
/* False: it is no DNS name, and is left out. */
bool hosts_add(struct hosts *h, struct in_addr address, struct str name);
/* ERR_LIMIT: the file has no room; ERR_IO.  The names that fitted are in it, and the next
 * replacement writes all lines again. */
MUST_CHECK enum err hosts_end(struct hosts *h, struct diag *why);

/* Labels of letters, digits, "-" and "_", without a final dot; at most 253 bytes. */
bool hosts_is_name(struct str name);
