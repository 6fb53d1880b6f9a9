/* listen/wanted.h - which listeners a configuration asks for, and how each is bound
 *
 * Reads no sockets: the list is a function of the configuration.  Private to listen/.
 */
#pragma once

#include "config/config.h"
#include "listen/listen_sockets.h"
#include "serve/exposed.h"

enum wanted_kind {
    WANTED_ADDRESS,     /* of --listen, --port or --tls-port */
    WANTED_DEFAULT,     /* port 80, or 8080 where 80 needs a privilege */
    WANTED_DEFAULT_TLS, /* port 443, or 8443, or none */
    WANTED_EXPOSED,     /* of --expose */
};

#define WANTED_KEY_SIZE (LISTEN_TEXT_SIZE + 400)

struct wanted {
    enum wanted_kind kind;
    struct listen_address address;
    const char *flag;            /* of WANTED_ADDRESS: what chooses another port */
    const struct expose *expose; /* of WANTED_EXPOSED; borrowed from the config */
    struct exposed *exposed;     /* likewise; a reference */
    bool found;                  /* an open listener serves it */
};

struct wanted_list {
    struct wanted *at;
    size_t count;
    bool in_pod;
};

/* `inherited`: there are sockets from systemd, so the default listeners are not wanted.
 * ERR_CONFIG: an exposed name or port is wrong.  In any case the caller finishes *ret. */
MUST_CHECK enum err wanted_of(const struct config *config, bool inherited, bool in_pod,
                              struct wanted_list *ret, struct diag *why);
void wanted_finish(struct wanted_list *list);

/* The address as text, by which an open listener is found again; a listener whose port the
 * kernel chooses is also known by what it exposes. */
void wanted_key(const struct wanted *w, bool in_pod, char ret[static WANTED_KEY_SIZE]);
/* Changes the port to the next one that the kind may use instead.  False: there is none. */
bool wanted_next_port(struct wanted *w);

/* Binds it, and changes w->address to the port that was used.  OK with ret->count == 0: an
 * optional listener cannot be had, which was logged.  ERR_IN_USE, ERR_ACCESS, ERR_CONFIG,
 * ERR_NO_FILES: *why names the listener and what to do. */
MUST_CHECK enum err wanted_bind(struct wanted *w, bool in_pod, struct listen_sockets *ret,
                                struct diag *why);

/* listen_default_port */
uint16_t wanted_default_port(bool in_pod);
/* listen_check */
MUST_CHECK enum err wanted_check(const struct config *config, bool in_pod, char *ret,
                                 size_t size, struct diag *why);
