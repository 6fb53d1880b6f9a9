/* config/address.h - addresses to listen on and services to expose, from text to struct
 *
 * Pure: nothing is looked up, so a host is a literal address or one of three words.
 */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define LISTEN_HOST_SIZE 64

/* The host is a literal IPv4 or IPv6 address in its canonical form (without brackets, an
 * IPv6 zone kept), or one of
 *     ""           the default addresses: loopback, in a pod all of them
 *     "localhost"  127.0.0.1 and ::1
 *     "*"          every address of the machine, IPv4 and IPv6
 * Port 0 lets the kernel choose. */
struct listen_address {
    char host[LISTEN_HOST_SIZE];
    uint16_t port;
};

/* "80", ":80", "*:80", "localhost:80", "127.0.0.1:0", "[::1]:80".
 * ERR_CONFIG and a sentence in *why otherwise; *ret is written only on OK. */
MUST_CHECK enum err listen_address_parse(struct str text, struct listen_address *ret,
                                         struct diag *why);

/* The inverse, terminated. */
#define LISTEN_TEXT_SIZE (LISTEN_HOST_SIZE + 10)
void listen_address_print(const struct listen_address *a,
                          char out[static LISTEN_TEXT_SIZE]);

/* A service or pod with a local port of its own.  The texts are owned. */
struct expose {
    char *
        name; /* as written: whether it is one of the cluster depends on cluster-domain */
    char *port; /* the service's port: a number or a name */
    struct listen_address local;
    bool any_host, raw; /* options that follow it in the list */
};

/* NAME:PORT[=LOCAL], LOCAL being a listen address.  Without LOCAL it is the service's
 * own port number on the default addresses; a port given by name needs one. ERR_CONFIG
 * and a sentence otherwise; *ret is written only on OK. */
MUST_CHECK enum err expose_parse(struct str text, struct expose *ret, struct diag *why);
void expose_finish(struct expose *e);

/* A name of the user's own for a service or pod.  The texts are owned. */
struct alias_text {
    char *name;   /* as written, at most 253 bytes */
    char *target; /* as written: whether it is one depends on cluster-domain */
    char *port;   /* the service's port, a number or a name; or NULL */
};

/* NAME=TARGET[:PORT].  ERR_CONFIG and a sentence otherwise; *ret is written only on OK. */
MUST_CHECK enum err alias_parse(struct str text, struct alias_text *ret,
                                struct diag *why);
void alias_text_finish(struct alias_text *a);

/* RFC 1123: up to 63 of a-z, 0-9 and '-', which neither begins nor ends it. */
bool is_dns_label(struct str s);
/* Labels between dots, 253 bytes at most, no trailing dot. */
bool is_dns_name(struct str s);
