/* kube/secret.h - what a plugin or a provider hands out: a token, a certificate, a time
 *
 * Owned texts, wiped when they are freed.
 */
#pragma once

#include <stdint.h>

#define NEVER_EXPIRES INT64_MAX

struct secret {
    char *token;             /* or NULL */
    char *certificate, *key; /* PEM; both or neither */
    int64_t expires_at;      /* ms of the wall clock, or NEVER_EXPIRES */
};

void secret_finish(struct secret *s); /* zeroed accepted */
/* A text of a secret; NULL accepted. */
void secret_free(char *text);
