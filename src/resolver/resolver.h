/* resolver/resolver.h - make this machine's resolver ask kube-tunnel for names of the cluster
 *
 * Which resolver a machine has, and how it learns of one more server, is a table of
 * backends (backend.h).  A backend returns a plan: steps that are written to a journal before
 * the first of them is done, so that they can be undone whatever happens in between.
 * Nothing runs with more rights than the process has.  The functions block: they are for
 * commands at the terminal.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "base/texts.h"
#include "resolver/step.h"

/* Where the DNS server of kube-tunnel listens unless a setting says otherwise. */
#define RESOLVER_SERVER "127.0.53.53"
#define RESOLVER_PORT 5354

/* What is to be installed.  All texts are owned. */
struct resolver_want {
    char *backend; /* NULL: the one that fits this machine */
    char *server;  /* IPv4, in 127.0.0.0/8 */
    uint16_t port;
    struct texts domains; /* "cluster.local", "k8s" */
    char *
        low_ports; /* "none", or how kube-tunnel may listen on them: "setcap", "unit", "sysctl" */
    char *program; /* setcap, unit: the absolute path of kube-tunnel */
    char *user;    /* unit: runs it */
    char *names;   /* hosts: "ADDRESS NAME...\n", or NULL */
};

void resolver_want_finish(struct resolver_want *w);
/* ERR_CONFIG: *why names what is wrong.  What passes can be written into any of the files. */
MUST_CHECK enum err resolver_want_check(const struct resolver_want *w, struct diag *why);
/* "none", "setcap", ...; NULL: there are no more.  The same for backends. */
const char *resolver_low_ports_at(size_t i);
const char *resolver_backend_at(size_t i);
/* May every user listen on port 80? */
bool resolver_low_ports_are_open(const struct machine *m);

/* What a command does, and prints. */
struct resolver_run {
    struct machine machine;
    FILE *out;
    bool dry;    /* only print what would be done */
    int wait_ms; /* at most, while another process installs or uninstalls */
};

/* Installs, completes an installation that was interrupted, or changes one to what is wanted
 * now.  Also fills in want->backend.
 * ERR_ACCESS: this process may not, and nothing was changed.  ERR_IN_USE: another program's
 * file is in the way; ERR_CONFIG, ERR_VERSION, ERR_IO.  What was begun is undone. */
MUST_CHECK enum err resolver_install(const struct resolver_run *r,
                                     struct resolver_want *want, struct diag *why);

/* Changes *want from what is installed to what is wanted now.  Not OK: nothing is changed. */
typedef enum err resolver_fill_fn(void *arg, struct resolver_want *want);
/* Installs what `fill` returns; no other process installs or uninstalls meanwhile.
 * *ret_want, empty before, is then the caller's, whatever it returns.
 * ERR_NOT_CONFIGURED: nothing is installed.  Others as resolver_install, or of `fill`. */
MUST_CHECK enum err resolver_repair(const struct resolver_run *r, resolver_fill_fn *fill,
                                    void *arg, struct resolver_want *ret_want,
                                    struct diag *why);

/* OK also if nothing is installed.  ERR_IN_USE: a file was changed by another program: all else
 * is undone, and the journal keeps that step. */
MUST_CHECK enum err resolver_uninstall(const struct resolver_run *r, struct diag *why);

struct resolver_part {
    char *what; /* "/etc/hosts", or a command */
    enum step_state state;
    char *problem; /* NULL, or what is wrong with it */
};

/* What is installed here. */
struct resolver_installed {
    struct resolver_want want;
    struct resolver_part *parts;
    size_t count;
};

/* ERR_NOT_CONFIGURED: nothing is.  ERR_VERSION, ERR_CONFIG: the journal cannot be read. */
MUST_CHECK enum err resolver_read(const struct machine *m, struct resolver_installed *ret,
                                  struct diag *why);
void resolver_installed_finish(struct resolver_installed *i);

/* Where the resolver sends look-ups to; *ret is owned by the caller.  ERR_NOT_CONFIGURED and others
 * as resolver_read. */
MUST_CHECK enum err resolver_server(const struct machine *m, char **ret,
                                    uint16_t *ret_port, struct diag *why);

/* May something keep programs from asking the DNS for names of these domains?  The sentence and
 * what to do, owned by the caller; NULL: nothing was found. */
char *resolver_obstacle(const struct machine *m, const struct texts *domains);
