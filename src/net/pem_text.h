/* net/pem_text.h - PEM text, and its name in errors */
#pragma once

/* Borrowed for the call; NULL: not given.  `name` begins the errors, for instance
 * "config:12: user "dev": client-key-data". */
struct tls_pem {
    const char *text, *name;
};
