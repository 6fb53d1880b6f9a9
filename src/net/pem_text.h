/* net/pem_text.h - PEM text, and what it is called in errors */
#pragma once

/* Borrowed for the call; NULL: not given.  `name` is what errors begin with, for instance
 * "config:12: user "dev": client-key-data". */
struct tls_pem {
    const char *text, *name;
};
