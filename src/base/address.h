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

/* The same address; one mapped to IPv6 becomes an IPv4 address. */
struct sockaddr_storage address_plain(const struct sockaddr *sa);

/* 127.0.0.0/8 or ::1.  False for a Unix socket. */
bool address_is_loopback(const struct sockaddr *sa);

/* The port, in host byte order; 0 for a Unix socket. */
uint16_t address_port(const struct sockaddr *sa);

/* The 4 or 16 bytes of the IP address, without its port; they point into *sa.  Empty for
 * a Unix socket. */
struct str address_bytes(const struct sockaddr *sa);

/* "127.0.0.1:80", "[::1]:80", "unix". */
#define ADDRESS_TEXT 64
void address_text(const struct sockaddr *sa, char out[static ADDRESS_TEXT]);

/* "127.0.0.1", "::1"; a mapped address is written as IPv4.  False and "" for a Unix
 * socket. */
bool address_ip_text(const struct sockaddr *sa, char out[static INET6_ADDRSTRLEN]);

/* "10.0.0.1" or "::1", without brackets, zone and port; the port of *ret is 0.  *ret is written
 * only when it is an address. */
bool address_parse(struct str text, struct sockaddr_storage *ret);

/* Is it text that address_parse accepts? */
bool host_is_address(struct str host);

/* Like host_is_address, but true also for the IPv4 forms that resolvers accept: 127.1,
 * 0x7f.1, 2130706433. */
bool host_is_number(struct str host);

/* "localhost", or an address that address_is_loopback accepts; IPv6 with or without
 * brackets. */
bool host_is_loopback(struct str host);
