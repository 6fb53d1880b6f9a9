/* listen/clients.h - which users of this machine may connect over loopback
 *
 * A client acts with kube-tunnel's rights in the cluster, and every user of the machine
 * can connect to 127.0.0.1.  So a kube-tunnel that a person started serves that person
 * and root, unless the setting `clients` names others.  Users and groups are looked up
 * once, at the start: no connection waits for a directory service.  Clients on other
 * machines are not affected.
 *
 * Private to listen/, but for start_has_terminal, and for port-forward, which has listeners of
 * its own.
 */
#pragma once

#include "config/config.h"
#include "net/peer.h"

#define UID_NONE UINT32_MAX

/* How this process was started. */
struct start {
    uint32_t uid;       /* the effective one */
    uint32_t login_uid; /* of the login, or of the caller of sudo; else UID_NONE */
    bool has_terminal;
    bool is_service; /* its parent is systemd's system manager */
    bool inherited;  /* it was started with listening sockets */
    bool in_pod;
};

/* Has this process a controlling terminal at present? */
bool start_has_terminal(void);
struct start start_look(bool inherited, bool in_pod);

/* Did a person start the process for personal use?  This decides what `auto` means. */
bool start_is_personal(const struct start *s);

struct clients;

/* ERR_CONFIG: there is no such user or group. */
MUST_CHECK enum err clients_create(const struct string_list *entries,
                                   const struct start *start, struct clients **ret,
                                   struct diag *why);
void clients_destroy(struct clients *c); /* NULL accepted */
static inline void clients_destroyp(struct clients **c)
{
    clients_destroy(*c);
}

bool clients_allow(const struct clients *c, const struct peer *peer);

/* Is the peer of the user that started this process, or of root?  Whatever the setting is. */
bool clients_are_same_user(const struct clients *c, const struct peer *peer);

/* The value of the setting that would allow this peer too.  Owned by the caller. */
char *clients_that_allow(const struct clients *c, const struct peer *peer);
/* The value of the setting, with `auto` resolved. */
const char *clients_text(const struct clients *c);
