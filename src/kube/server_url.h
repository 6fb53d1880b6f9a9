/* kube/server_url.h - take apart the server of a kubeconfig */
#pragma once

#include "kube/target.h"

/* Fill in server, host, port, prefix, tls and host_header, as client-go does: without a
 * scheme it is http whatever else is configured, and the path is without "//", "." and "..".
 * ERR_CONFIG with a sentence quoting the text, a password in it left out. */
MUST_CHECK enum err server_url_set(struct kube_target *t, const char *text,
                                   struct diag *why);
