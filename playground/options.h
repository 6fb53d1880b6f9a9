/* playground/options.h - the command line of kube-playground */
#pragma once

#include <stdio.h>

#include "playground/cluster.h"

#define BACKENDS_MAX 8
#define GRANTS_MAX 32

struct options {
    const char *kubeconfig_out, *manifest, *control, *direct;
    const char *listen, *token, *user, *log;
    const char *backends[BACKENDS_MAX];
    size_t backend_count;
    const char *grants[GRANTS_MAX];
    size_t grant_count;
    size_t pods, roll_pods, services, endpoints;
    enum rights rights;
    enum runtime runtime;
    unsigned minor;
    bool help;
};

/* Views into argv.  ERR_CONFIG names the option. */
MUST_CHECK enum err options_parse(int argc, char **argv, struct options *ret,
                                  struct diag *why);
void options_help(FILE *to);
