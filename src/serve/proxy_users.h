/* serve/proxy_users.h - the users and passwords that proxy clients need (--proxy-users)
 *
 * Read from a file, so that no password is in an argument or a log.  Comparing takes the same
 * time whatever is given.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

#define PROXY_USERS_MAX 64
#define PROXY_USER_TEXT_MAX 255 /* bytes of a user or a password, as in SOCKS 5 */

struct proxy_users;

/* Lines "USER:PASSWORD"; empty ones and those that begin with "#" are skipped.  ERR_CONFIG:
 * *why names the file and the line, and nothing that the line contains; others are those of
 * file_read.  path NULL: *ret is NULL, and every client is accepted. */
MUST_CHECK enum err proxy_users_read(const char *path, struct proxy_users **ret,
                                     struct diag *why);
void proxy_users_destroy(struct proxy_users *users); /* wipes them; NULL accepted */
static inline void proxy_users_destroyp(struct proxy_users **users)
{
    proxy_users_destroy(*users);
}

bool proxy_users_accept(const struct proxy_users *users, struct str user,
                        struct str password);
/* The value of Proxy-Authorization: "Basic dXNlcjpwYXNzd29yZA==".  at == NULL: none was
 * sent. */
bool proxy_users_accept_basic(const struct proxy_users *users, struct str value);
