#include "serve/proxy_users.h"

#include <stdlib.h>

#include "base/base64.h"
#include "base/file.h"
#include "base/own.h"

#define FILE_MAX (PROXY_USERS_MAX * 2 * (PROXY_USER_TEXT_MAX + 2))

/* Padded with zeros, so that every comparison reads all of it. */
struct padded {
    uint8_t bytes[PROXY_USER_TEXT_MAX];
    size_t len;
};

struct proxy_users {
    size_t count;
    struct {
        struct padded user, password;
    } at[PROXY_USERS_MAX];
};

/* False: it is too long for any user. */
static bool pad(struct str text, struct padded *ret)
{
    *ret = (struct padded){ .len = text.len };
    if (text.len > sizeof(ret->bytes))
        return false;
    memcpy(ret->bytes, text.at, text.len);
    return true;
}

/* 0: they are equal. */
static size_t difference(const struct padded *a, const struct padded *b)
{
    size_t found = a->len ^ b->len;

    for (size_t i = 0; i < sizeof(a->bytes); i++)
        found |= a->bytes[i] ^ b->bytes[i];
    return found;
}

static enum err add_user(struct proxy_users *users, struct str line)
{
    struct str user;
    struct str password = str_cut(line, ':', &user);

    if (!password.at || str_empty(user) || str_empty(password) ||
        users->count == PROXY_USERS_MAX || !pad(user, &users->at[users->count].user) ||
        !pad(password, &users->at[users->count].password))
        return ERR_CONFIG;
    users->count++;
    return OK;
}

static enum err add_lines(struct proxy_users *users, const char *path, struct str text,
                          struct diag *why)
{
    unsigned number = 0;

    while (!str_empty(text)) {
        struct str line;
        text = str_cut(text, '\n', &line);
        number++;
        if (str_ends(line, STR("\r")))
            line = str_first(line, line.len - 1);
        if (str_empty(line) || line.at[0] == '#')
            continue;
        if (add_user(users, line))
            return diag_set(why, ERR_CONFIG,
                            "proxy-users: %s:%u: not USER:PASSWORD of at most %u bytes "
                            "each, or more than %u lines",
                            path, number, PROXY_USER_TEXT_MAX, PROXY_USERS_MAX);
    }
    if (users->count)
        return OK;
    return diag_set(why, ERR_CONFIG, "proxy-users: %s: no line has a user", path);
}

enum err proxy_users_read(const char *path, struct proxy_users **ret, struct diag *why)
{
    AUTO(proxy_users_destroyp) struct proxy_users *users = xcalloc(1, sizeof(*users));
    char *text = NULL;
    size_t len = 0;

    *ret = NULL;
    if (!path)
        return OK;
    enum err e = file_read_regular(path, FILE_MAX, &text, &len, why);
    if (e)
        return diag_prefix(why, e, "proxy-users");
    e = add_lines(users, path, (struct str){ text, len }, why);
    explicit_bzero(text, len);
    free(text);
    if (!e)
        *ret = TAKE(users);
    return e;
}

void proxy_users_destroy(struct proxy_users *users)
{
    if (users)
        explicit_bzero(users, sizeof(*users));
    free(users);
}

bool proxy_users_accept(const struct proxy_users *users, struct str user,
                        struct str password)
{
    struct padded given_user, given_password;
    bool found = false;

    if (!pad(user, &given_user) || !pad(password, &given_password))
        return false;
    for (size_t i = 0; i < users->count; i++)
        found |= (difference(&users->at[i].user, &given_user) |
                  difference(&users->at[i].password, &given_password)) == 0;
    explicit_bzero(&given_password, sizeof(given_password));
    return found;
}

bool proxy_users_accept_basic(const struct proxy_users *users, struct str value)
{
    struct str scheme, user;
    struct str encoded = str_cut(value, ' ', &scheme);
    char *text = NULL;
    size_t len = 0;

    if (!encoded.at || !str_ieq(scheme, STR("Basic")) ||
        base64_decode(str_trim(encoded), &text, &len))
        return false;
    struct str password = str_cut((struct str){ text, len }, ':', &user);
    bool accepted = password.at && proxy_users_accept(users, user, password);
    explicit_bzero(text, len);
    free(text);
    return accepted;
}
