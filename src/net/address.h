/* net/address.h - socket addresses: as text, and whether they are this machine's own
 *
 * An IPv4 address in IPv6's clothes (::ffff:127.0.0.1) is the IPv4 address everywhere: a
 * socket that serves both families has such peers.
 */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"

/* The same address, as IPv4 where it is IPv4. */
struct sockaddr_storage address_plain(const struct sockaddr *sa);

/* 127.0.0.0/8 or ::1.  A Unix socket is none. */
bool address_is_loopback(const struct sockaddr *sa);

/* "localhost", or a numeric address of loopback; IPv6 with or without brackets. */
bool host_is_loopback(struct str host);

/* "127.0.0.1:80", "[::1]:80", "unix". */
#define ADDRESS_TEXT 64
void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT]);
