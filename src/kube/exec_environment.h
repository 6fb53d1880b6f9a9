/* kube/exec_environment.h - how a plugin is found, and what environment it is given */
#pragma once

#include "kube/target.h"

struct kc_exec;

/* The program of a command: with a slash relative to the kubeconfig's folder, else from
 * $PATH, whose relative folders are skipped.  Owned by the caller.  ERR_NOT_FOUND. */
MUST_CHECK enum err exec_find_program(const struct kc_user *user, char **ret,
                                      struct diag *why);

/* The environment of kube-tunnel, with the user's additions (the last one of a
 * name counts) and the spec as KUBERNETES_EXEC_INFO; NULL at the end.  Freed with exec_environment_destroy. */
char **exec_environment_create(const struct kc_exec *exec, const char *spec);
void exec_environment_destroy(char **environment); /* NULL accepted */
