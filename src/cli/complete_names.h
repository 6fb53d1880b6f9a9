/* cli/complete_names.h - names of the cluster for completion
 *
 * Services come from the running kube-tunnel, else from the API server itself.
 */
#pragma once

#include "cli/candidate.h"
#include "config/config.h"
#include "kube/api.h"

void print_services(const struct typed_word *t);
void print_namespaces(const struct typed_word *t);
void print_contexts(const struct typed_word *t);

/* The settings that the words before give; *ret NULL: they are wrong so far. */
void complete_settings(const struct typed_word *t, struct config **ret);
/* One call of the API server, with no terminal for plugins and within a second.  path_of
 * returns the path, owned by the caller, from the namespace of the context or the settings;
 * `single` asks for one object instead of a list. */
struct complete_call {
    const struct config *config;
    char *(*path_of)(void *owner, const char *ns);
    bool single;
    void (*on_object)(void *owner, json_t *object);
    void *owner;
};
void complete_call_run(const struct complete_call *c);
