/* config/address.h - addresses to listen on and services to expose, from text to struct
 *
 * No I/O: no name is resolved, so a host is a literal address or one of three words.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

#define LISTEN_HOST_SIZE 64

/* The host is a literal IPv4 or IPv6 address in its canonical form (without brackets, an
 * IPv6 zone kept), or one of
 *     ""           the default addresses: loopback, in a pod all of them
 *     "localhost"  127.0.0.1 and ::1
 *     "*"          every address of the machine, IPv4 and IPv6
 * With port 0 the kernel chooses the port. */
struct listen_address {
    char host[LISTEN_HOST_SIZE];
    uint16_t port;
};

/* "80", ":80", "*:80", "localhost:80", "127.0.0.1:0", "[::1]:80".
 * ERR_CONFIG and a sentence in *why otherwise; *ret is written only on OK. */
MUST_CHECK enum err listen_address_parse(struct str text, struct listen_address *ret,
                                         struct diag *why);

/* For containers: "docker", "docker:8080" or "%br-kube:8080".  The host is then the word, or the
 * name of an interface after a "%"; without a port it is 8080. */
#define LISTEN_DOCKER "docker"
#define LISTEN_INTERFACE '%'
bool listen_is_bridge(const struct listen_address *a);
/* One of these, or else as listen_address_parse. */
MUST_CHECK enum err listen_any_parse(struct str text, struct listen_address *ret,
                                     struct diag *why);

/* Writes the address as text that listen_any_parse accepts. */
#define LISTEN_TEXT_SIZE (LISTEN_HOST_SIZE + 10)
void listen_address_print(const struct listen_address *a,
                          char out[static LISTEN_TEXT_SIZE]);

/* A service or pod with a local port of its own.  The texts are owned. */
struct expose {
    char *
        /* as written; whether it is a name of the cluster depends on cluster-domain */
        name;
    char *port; /* the service's port: a number or a name */
    struct listen_address local;
    bool any_host, raw; /* options that follow the element in the list */
};

/* NAME:PORT[=LOCAL], LOCAL being a listen address.  Without LOCAL, the service's own port
 * number on the default addresses is used; a port given by name needs LOCAL. ERR_CONFIG
 * and a sentence otherwise; *ret is written only on OK. */
MUST_CHECK enum err expose_parse(struct str text, struct expose *ret, struct diag *why);
void expose_finish(struct expose *e);

/* A name that the user chose for a service or pod.  The texts are owned. */
struct alias_text {
    char *name;   /* as written, at most 253 bytes */
    char *target; /* as written; whether it is valid depends on cluster-domain */
    char *port;   /* the service's port, a number or a name; or NULL */
};

/* NAME=TARGET[:PORT].  ERR_CONFIG and a sentence otherwise; *ret is written only on OK. */
MUST_CHECK enum err alias_parse(struct str text, struct alias_text *ret,
                                struct diag *why);
void alias_text_finish(struct alias_text *a);

/* RFC 1123: up to 63 of a-z, 0-9 and '-', and '-' neither at the begin nor at the end. */
bool is_dns_label(struct str s);
/* Labels between dots, 253 bytes at most, no trailing dot. */
bool is_dns_name(struct str s);
