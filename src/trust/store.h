/* trust/store.h - the trust stores of this machine and of this user
 *
 * The system's, which most programs use, and those of NSS, which browsers use: one in the home,
 * and one in each profile of Firefox.  The functions block: they are for commands at the
 * terminal.  Nothing runs with more rights than the process has.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct store_kind;

struct store {
    const struct store_kind *kind;
    char *path;        /* the folder */
    const char *users; /* "Chromium and Chrome" */
};

struct stores {
    struct store *at;
    size_t count;
};

/* A certificate, borrowed.  Its name is one that no other certificate has; it becomes the
 * name of a file. */
struct trusted {
    const char *name;
    const char *pem;
    const char *file; /* where the PEM text is, for commands that a person runs */
};

/* Of the user whose home is $HOME.  A home without an NSS database gets one with the first
 * certificate. */
void stores_find(struct stores *ret);
void stores_finish(struct stores *s);

/* Can it be looked into and changed?  false: *why names the program to install. */
bool store_is_usable(const struct store *s, struct diag *why);
bool store_has(const struct store *s, const struct trusted *t);
/* OK also if it is so already.  ERR_ACCESS: the process may not; *ret_command, owned by the
 * caller, does it with the right.  ERR_IO: it failed, *why has the reason. */
MUST_CHECK enum err store_add(const struct store *s, const struct trusted *t,
                              char **ret_command, struct diag *why);
MUST_CHECK enum err store_remove(const struct store *s, const struct trusted *t,
                                 char **ret_command, struct diag *why);
