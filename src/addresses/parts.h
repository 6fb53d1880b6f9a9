/* addresses/parts.h - keys of addresses, and what addresses are made with */
#pragma once

#include "base/str.h"

struct clusters;
struct config;
struct loop;

#define ADDRESS_RELEASED_MS 60000 /* a released port is not listened on for so long */

/* What has an address.  Views; a function that takes one copies what it keeps. */
struct address_key {
    struct str cluster; /* its label; empty: the cluster of names without a label */
    struct str ns;
    struct str service; /* empty: `pod` is a pod by name or address, of no service */
    struct str pod; /* one endpoint of the service: its hostname, pod name or address with
                       dashes, as the name has it; empty: the service as a whole */
};

/* Borrowed until addresses_destroy. */
struct addresses_parts {
    struct loop *loop;
    struct clusters *clusters;   /* NULL, in tests: a label is its context's name */
    const struct config *config; /* a reference is taken */
    const char *path;            /* of the state file; NULL: nothing is kept */
    /* For how long after a look-up its client may begin to connect: until then an address keeps its
     * listeners whatever happens. */
    uint64_t promised_ms;
};
