#include "listen/clients.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/own.h"

/* Users from here on are people, by the usual login.defs(5), except those that systemd makes
 * up for services (DynamicUser=) and the last two of 16 bits, one of which is `nobody`. */
#define UID_TEXT_MAX 15 /* of a file that contains a uid */
#define UID_PEOPLE 1000
#define UID_DYNAMIC_FIRST 61184
#define UID_SYSTEM_LAST 65535

struct clients {
    bool any;
    uint32_t *uids; /* sorted after the last was added */
    size_t count;
    uint32_t
        own[3]; /* root, the user of this process, and that of the login or UID_NONE */
    char *text;
};

static uint32_t uid_from_file(const char *path)
{
    AUTO_FREE char *text = NULL;
    uint64_t uid = UID_NONE;
    size_t len;

    if (file_read(path, UID_TEXT_MAX, &text, &len, NULL) ||
        str_to_uint(str_trim_space((struct str){ text, len }), UID_NONE, &uid))
        return UID_NONE;
    return (uint32_t)uid;
}

static uint32_t uid_from_variable(const char *name)
{
    uint64_t uid = UID_NONE;

    if (str_to_uint(str_of(getenv(name)), UID_NONE, &uid))
        return UID_NONE;
    return (uint32_t)uid;
}

/* The kernel's value has precedence: sudo and su do not change it, and only root can. */
static uint32_t login_uid(void)
{
    uint32_t uid = uid_from_file("/proc/self/loginuid");

    if (uid == UID_NONE)
        uid = uid_from_variable("SUDO_UID");
    return uid == UID_NONE ? uid_from_variable("PKEXEC_UID") : uid;
}

bool start_has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* $INVOCATION_ID is not enough, because all descendants of a service inherit it, also
 * desktops; so the parent must be the system manager (a user's own manager starts
 * services of that user). */
static bool is_service(void)
{
    return getenv("INVOCATION_ID") && getppid() == 1;
}

struct start start_look(bool inherited, bool in_pod)
{
    return (struct start){
        .uid = geteuid(),
        .login_uid = geteuid() == 0 ? login_uid() : UID_NONE,
        .has_terminal = start_has_terminal(),
        .is_service = is_service(),
        .inherited = inherited,
        .in_pod = in_pod,
    };
}

bool start_is_personal(const struct start *s)
{
    if (s->inherited || s->in_pod || s->is_service)
        return false;
    if (s->uid == 0)
        return s->login_uid != UID_NONE || s->has_terminal;
    return s->uid >= UID_PEOPLE &&
           (s->uid < UID_DYNAMIC_FIRST || s->uid > UID_SYSTEM_LAST);
}

static void add_uid(struct clients *c, uint32_t uid)
{
    c->uids = xrealloc(c->uids, (c->count + 1) * sizeof(*c->uids));
    c->uids[c->count++] = uid;
}

static void note_own(struct clients *c, const struct start *start)
{
    c->own[0] = 0;
    c->own[1] = start->uid;
    c->own[2] = start->uid == 0 ? start->login_uid : UID_NONE;
}

static void add_same_user(struct clients *c)
{
    for (size_t i = 0; i < ARRAY_LEN(c->own); i++)
        if (c->own[i] != UID_NONE)
            add_uid(c, c->own[i]);
}

static enum err add_user(struct clients *c, const char *name, struct diag *why)
{
    uint64_t uid;

    if (str_to_uint(str_of(name), UID_NONE - 1, &uid)) {
        const struct passwd *user = getpwnam(name);
        if (!user)
            return diag_set(why, ERR_CONFIG, "clients: there is no user \"%s\"", name);
        uid = user->pw_uid;
    }
    if (uid == UID_UNMAPPED)
        return diag_set(why, ERR_CONFIG,
                        "clients: \"%s\" stands for every user of another user namespace",
                        name);
    add_uid(c, (uint32_t)uid);
    return OK;
}

/* The list of a group's members lacks the users whose primary group it is. */
static void add_members_by_primary_group(struct clients *c, gid_t gid)
{
    setpwent();
    for (const struct passwd *user; (user = getpwent());)
        if (user->pw_gid == gid)
            add_uid(c, user->pw_uid);
    endpwent();
}

static void add_members(struct clients *c, char *const *names)
{
    for (; *names; names++) {
        const struct passwd *user = getpwnam(*names);
        if (user)
            add_uid(c, user->pw_uid);
    }
}

static enum err add_group(struct clients *c, const char *name, struct diag *why)
{
    uint64_t gid;
    bool numeric = !str_to_uint(str_of(name), UINT32_MAX - 1, &gid);
    const struct group *group = numeric ? getgrgid((gid_t)gid) : getgrnam(name);

    if (!group)
        return diag_set(why, ERR_CONFIG, "clients: there is no group \"%s\"", name);
    gid_t id = group->gr_gid;
    add_members(c, group->gr_mem);
    add_members_by_primary_group(c, id);
    return OK;
}

static enum err add_entry(struct clients *c, const char *entry, const struct start *start,
                          struct diag *why)
{
    if (strcmp(entry, "auto") == 0)
        entry = start_is_personal(start) ? "same-user" : "any";
    char *longer = c->text ? xasprintf("%s,%s", c->text, entry) : xstrdup(entry);
    free(c->text);
    c->text = longer;
    if (entry[0] == '@')
        return add_group(c, entry + 1, why);
    if (strcmp(entry, "any") == 0)
        c->any = true;
    else if (strcmp(entry, "same-user") == 0)
        add_same_user(c);
    else
        return add_user(c, entry, why);
    return OK;
}

static int compare_uids(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

enum err clients_create(const struct string_list *entries, const struct start *start,
                        struct clients **ret, struct diag *why)
{
    AUTO(clients_destroyp) struct clients *c = xcalloc(1, sizeof(*c));
    enum err e = OK;

    note_own(c, start);
    for (size_t i = 0; !e && i < entries->count; i++)
        e = add_entry(c, entries->at[i], start, why);
    if (e)
        return e;
    if (c->count)
        qsort(c->uids, c->count, sizeof(*c->uids), compare_uids);
    *ret = TAKE(c);
    return OK;
}

void clients_destroy(struct clients *c)
{
    if (!c)
        return;
    free(c->uids);
    free(c->text);
    free(c);
}

bool clients_allow(const struct clients *c, const struct peer *peer)
{
    if (c->any || peer->kind == PEER_REMOTE)
        return true;
    return peer->kind == PEER_LOCAL && c->count &&
           bsearch(&peer->uid, c->uids, c->count, sizeof(*c->uids), compare_uids);
}

bool clients_are_same_user(const struct clients *c, const struct peer *peer)
{
    for (size_t i = 0; i < ARRAY_LEN(c->own); i++)
        if (peer->kind == PEER_LOCAL && c->own[i] != UID_NONE && c->own[i] == peer->uid)
            return true;
    return false;
}

char *clients_that_allow(const struct clients *c, const struct peer *peer)
{
    if (peer->kind == PEER_LOCAL)
        return xasprintf("%s,%u", c->text, peer->uid);
    return xstrdup("any");
}

const char *clients_text(const struct clients *c)
{
    return c->text;
}
