/* doctor/checks.h - the table of checks, and what they share
 *
 * A check is a function that is called again after each wake-up of doctor->task, until it
 * has set the status of its finding.  It begins what it needs when `begun` of its finding is
 * not set, and keeps what it began in struct doctor, which doctor_run frees.
 * Private to doctor/.
 */
#pragma once

#include "base/texts.h"
#include "config/config.h"
#include "connect/connector.h"
#include "doctor/doctor.h"
#include "kube/access_review.h"
#include "kube/api.h"
#include "kube/credentials.h"
#include "net/loop.h"
#include "net/transfer.h"

#define BIT(id) (1u << CHECK_##id)

/* Name, deadline in ms, the checks whose failure makes it useless, function. */
/* clang-format off */
#define CHECKS(X) \
    X(CONFIGURATION, "configuration", 2000, 0, check_configuration) \
    X(LIMITS, "limits", 2000, BIT(CONFIGURATION), check_limits) \
    X(PORTS, "ports", 5000, BIT(CONFIGURATION), check_ports) \
    X(ADDRESSES, "addresses", 2000, 0, check_addresses) \
    X(BROWSING, "client proxy", 2000, 0, check_client_proxy) \
    X(NAMES, "names", 8000, BIT(CONFIGURATION), check_names) \
    X(KUBECONFIG, "kubeconfig", 5000, BIT(CONFIGURATION), check_kubeconfig) \
    X(CREDENTIALS, "credentials", 15000, BIT(KUBECONFIG), check_credentials) \
    X(PROXY, "proxy", 5000, BIT(KUBECONFIG), check_proxy) \
    X(SERVER, "API server", 15000, BIT(KUBECONFIG), check_server) \
    X(CLOCK, "clock", 15000, BIT(SERVER), check_clock) \
    X(LOGIN, "login", 15000, BIT(SERVER) | BIT(CREDENTIALS), check_login) \
    X(RIGHTS, "rights", 15000, BIT(LOGIN), check_rights_of_user) \
    X(TUNNEL, "tunnel", 25000, BIT(LOGIN), check_tunnel)
/* clang-format on */

enum check_id {
#define X(ID, name, ms, needs, run) CHECK_##ID,
    CHECKS(X)
#undef X
        CHECK_COUNT
};

#define REVIEWS 6 /* three rights, in the whole cluster and in one namespace */
#define CANDIDATES 3

struct doctor_review {
    struct access_review review;
    bool allowed;
    struct api_call call;
};

/* A port of a pod that a tunnel may be opened to. */
struct candidate {
    char *service, *ns, *pod, *uid, *key;
    uint16_t port;
};

struct doctor {
    const struct doctor_question *question;
    const struct config *config;
    struct loop *loop;
    struct task task;
    struct finding findings[CHECK_COUNT];
    bool begun[CHECK_COUNT];
    uint64_t began[CHECK_COUNT];
    struct timer deadline; /* the earliest of a check that runs */

    /* names */
    struct name_lookup *lookup;
    char *name; /* that is looked up */
    struct texts domains;
    struct timer poll;

    /* kubeconfig */
    struct exec_plugins *plugins;
    struct transfers *transfers;
    struct api *api; /* NULL: the kubeconfig is wrong */

    struct credentials_want want;
    struct credential *credential;

    /* proxy, API server, clock */
    struct transfer *to_proxy, *version[2];
    uint64_t sent_at[2], took[2];
    int64_t skew; /* the server's clock minus ours, in seconds, when the head came */

    /* login, rights */
    struct api_call login;
    char user[128];
    struct doctor_review reviews[REVIEWS];

    /* tunnel */
    struct api_call slices;
    bool in_namespace; /* only the namespace of the kubeconfig is listed */
    struct candidate candidates[CANDIDATES];
    size_t candidate_count, candidate;
    bool listed;
    struct tunnels *tunnels;
    struct opening opening;
    struct timer settle; /* a container's refusal comes after the opening */
    bool settled;
    uint64_t opened_at;
    struct diag refused; /* of the last candidate that refused; "" */
};

#define X(ID, name, ms, needs, run) void run(struct doctor *d, struct finding *f);
CHECKS(X)
#undef X

/* Sets the status and the text. */
void found(struct finding *f, enum finding_status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
void found_fix(struct finding *f, const char *format, ...) PRINTF_LIKE(2, 3);
/* FAILED with the error, and the fix that fits it. */
void found_error(struct finding *f, enum err e, const struct diag *why);
/* The first call for this check. */
bool check_begins(struct doctor *d, enum check_id id);
uint64_t doctor_now(const struct doctor *d);

/* Frees what the checks of one file have begun. */
void names_finish(struct doctor *d);
void server_finish(struct doctor *d);
void access_finish(struct doctor *d);
void tunnel_finish(struct doctor *d);
