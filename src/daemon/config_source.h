/* daemon/config_source.h - where the configuration comes from, to read it again */
#pragma once

#include "base/err.h"

struct config;

#define CONFIG_PATHS 2

struct config_source {
    /* As config_load; reads flags, environment and files as at the start. */
    enum err (*load)(void *owner, struct config **ret, struct diag *why);
    void *owner;
    const char *paths[CONFIG_PATHS]; /* files that may be part of it; NULL: fewer */
};
