/* daemon/daemon_state.h - the process as one struct
 *
 * daemon.c builds and destroys the parts; ending.c writes `state`.  Private to daemon.c, ending.c,
 * limits.c, orders.c and signals.c.
 */
#pragma once

#include "base/metrics.h"
#include "base/sched.h"
#include "cluster/settings.h"
#include "daemon/process.h"
#include "net/outside_dial.h"
#include "route/naming.h"

enum daemon_state { DAEMON_RUNNING, DAEMON_DRAINING, DAEMON_PARTING };

struct daemon {
    const struct config *config; /* a reference */
    const struct config_source *source;
    struct reload *reload;
    enum daemon_state state;
    unsigned signals; /* to stop, received */
    unsigned hangups; /* received */
    bool had_terminal;
    struct task on_signal, on_hangup, on_end, on_change, on_stopped;
    struct timer parting, terminal;
    struct loop_signal *terminate, *interrupt, *hangup, *reopen;
    struct task on_reopen;
    unsigned reopens; /* SIGUSR1 received */
    char own_name[OWN_NAME_ROOM];
    char *own_ns;
    struct own_addresses *own_addresses;
    struct outside_dialer outside;

    struct loop *loop;
    struct changes *changes;
    struct memory *memory;
    struct cluster_settings settings;
    struct clusters *clusters;
    struct naming naming;
    struct admin *admin;
    struct leaves *leaves;
    struct metric_printer metrics;
    struct outputs *outputs;
    struct serve *serve;
    struct listeners *listeners;
    char *address_file; /* owned; or NULL */
    struct addresses *addresses;
    struct dns_server *dns;
    struct control *control;
};
