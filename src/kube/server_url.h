/* kube/server_url.h - take apart the server of a kubeconfig */
#pragma once

#include "kube/target.h"

/* Fill in server, host, port, prefix, tls and host_header.  Without a scheme it is https
 * when `wants_tls`, else http.  ERR_CONFIG with a sentence quoting the text. */
MUST_CHECK enum err server_url_set(struct kube_target *t, const char *text,
                                   bool wants_tls, struct diag *why);
