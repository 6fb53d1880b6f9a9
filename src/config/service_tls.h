/* config/service_tls.h - TLS of one service, as the user wrote it: how its certificate is verified,
 * and where TLS of its clients ends
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

/* Where TLS of clients ends.  AUTO: at the service if it has a TLS port. */
enum service_tls_mode {
    SERVICE_TLS_AUTO,
    SERVICE_TLS_PASSTHROUGH, /* at the service */
    SERVICE_TLS_TERMINATE,   /* in this process */
};

/* The texts are owned. */
struct service_tls {
    char *service;     /* "shop/web" */
    char *ca;          /* path; or NULL */
    char *server_name; /* or NULL */
    enum service_tls_mode mode;
    bool unverified; /* verify=none */
    bool has_pin;
    uint8_t pin[SERVICE_TLS_PIN_SIZE];
};

struct service_tls_list {
    struct service_tls *at;
    size_t count;
};

/* Is anything set about its certificate? */
bool service_tls_verifies(const struct service_tls *s);
enum service_tls_mode service_tls_mode(const struct service_tls_list *list, struct str ns,
                                       struct str service);
/* ERR_CONFIG: a service has no key, or keys that exclude one another. */
MUST_CHECK enum err service_tls_check(const struct service_tls_list *list,
                                      struct diag *why);
