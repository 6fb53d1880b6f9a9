/* base/address.h - socket addresses and hosts that are numeric addresses
 *
 * An IPv4 address mapped to IPv6 (::ffff:127.0.0.1) counts as the IPv4 address: a socket that
 * serves both families has such peers.  Nothing is looked up.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/str.h"

/* The same address, as IPv4 where it is IPv4. */
struct sockaddr_storage address_plain(const struct sockaddr *sa);

/* 127.0.0.0/8 or ::1.  A Unix socket is none. */
bool address_is_loopback(const struct sockaddr *sa);

/* In the order of the host; 0 for a Unix socket. */
uint16_t address_port(const struct sockaddr *sa);

/* The 4 or 16 bytes of the IP address, without its port; borrowed of sa.  Empty for a Unix
 * socket. */
struct str address_bytes(const struct sockaddr *sa);

/* "127.0.0.1:80", "[::1]:80", "unix". */
#define ADDRESS_TEXT 64
void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT]);

/* "127.0.0.1", "::1"; not mapped.  False and "" for a Unix socket. */
bool address_ip_text(const struct sockaddr *sa, char out[static INET6_ADDRSTRLEN]);

/* "10.0.0.1" or "::1", without brackets, zone and port; the port of *ret is 0.  *ret is written
 * only when it is an address. */
bool address_parse(struct str text, struct sockaddr_storage *ret);

/* Is it text that address_parse accepts? */
bool host_is_address(struct str host);

/* The same, and also the forms of IPv4 that resolvers take: 127.1, 0x7f.1, 2130706433. */
bool host_is_number(struct str host);

/* "localhost", or a number of loopback; IPv6 with or without brackets. */
bool host_is_loopback(struct str host);
