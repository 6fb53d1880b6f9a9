/* dns/client.h - from where a question came, and how its response gets there */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define RESPONSE_MAX 16384 /* over TCP; offsets in names have 14 bits */

/* Copied with each question that waits. */
struct dns_client {
    /* Sends a response; the bytes are borrowed for the call. */
    void (*respond)(const struct dns_client *c, const uint8_t *bytes, size_t len);
    void *transport; /* what the client is forgotten by: its connection or socket */
    bool stream;     /* TCP: long responses are not truncated */
    struct sockaddr_storage peer;
    socklen_t peer_len;
    struct in_addr own; /* the address of ours that it asked; 0: not IPv4 */
};

/* Sends it, and counts it by its rcode. */
void dns_respond(const struct dns_client *c, const uint8_t *bytes, size_t len);
