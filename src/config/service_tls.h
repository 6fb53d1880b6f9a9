/* config/service_tls.h - how the certificate of one service is verified, as the user wrote it
 *
 * Implemented by the type of the setting, config/type_tls.c.
 *
 * In a file a mapping of services, on the command line and in the environment a list:
 *
 *     tls:                              --tls shop/web,verify=none
 *       shop/web: { verify: none }      --tls shop/api,ca=/etc/ca.pem,server-name=api.example
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

#define SERVICE_TLS_PIN_SIZE 32

/* The texts are owned. */
struct service_tls {
    char *service;     /* "shop/web" */
    char *ca;          /* path; or NULL */
    char *server_name; /* or NULL */
    bool unverified;   /* verify=none */
    bool has_pin;
    uint8_t pin[SERVICE_TLS_PIN_SIZE];
};

struct service_tls_list {
    struct service_tls *at;
    size_t count;
};

/* ERR_CONFIG: a service has no key, or keys that exclude one another. */
MUST_CHECK enum err service_tls_check(const struct service_tls_list *list,
                                      struct diag *why);
