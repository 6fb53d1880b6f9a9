/* daemon/reload.h - apply a changed configuration to the running process
 *
 * A reload reads the same sources as the start: flags and environment are those of the
 * process, files are read again.  It happens as a whole or not at all: a configuration that
 * is wrong, or a new listener that cannot be bound, leaves everything as it was.  Settings
 * that a reload does not apply keep their values until the next start, and are reported.
 *
 * The configuration files are watched, and a change of them is a reload too, but for one
 * that leaves a file empty, missing or still open for writing: then it is only a part of a
 * change.
 */
#pragma once

#include "config/change.h"
#include "daemon/config_source.h"
#include "net/loop.h"

struct cluster_settings;
struct clusters;
struct dns_server;
struct listeners;
struct naming;
struct outputs;
struct serve;

struct reload;

/* What a reload changes; borrowed until reload_close. */
struct reload_parts {
    struct loop *loop;
    const struct config_source *source;
    const struct config **config; /* the running one, a reference that is replaced */
    struct naming *naming;
    struct cluster_settings *settings;
    struct clusters *clusters;
    struct serve *serve;
    struct listeners *listeners;
    struct outputs *outputs;
    struct dns_server *dns;
    /* Sets the limits that depend on the machine, too; *config is the new one. */
    void (*limit)(void *owner);
    void *owner;
};

struct reload *reload_open(const struct reload_parts *parts);
void reload_close(struct reload *r); /* NULL accepted */

/* Reads the configuration and applies it at once, and logs what changed or why it was
 * refused.  OK: *ret lists the changes, maybe none, and the caller finishes it (NULL
 * accepted).  Otherwise *why names the file and line, flag or variable, and nothing has
 * changed. */
MUST_CHECK enum err reload_run(struct reload *r, struct setting_changes *ret,
                               struct diag *why);
/* What reload_run would change, as far as the sources tell: nothing is bound or applied. */
MUST_CHECK enum err reload_preview(const struct reload *r, struct setting_changes *ret,
                                   struct diag *why);
