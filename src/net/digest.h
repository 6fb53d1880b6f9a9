/* net/digest.h - digests that protocols prescribe */
#pragma once

#include <stdint.h>

#include "base/str.h"

#define SHA1_SIZE 20

/* Of the handshake of WebSockets (RFC 6455), where it protects nothing. */
void digest_sha1(struct str text, uint8_t ret[static SHA1_SIZE]);
