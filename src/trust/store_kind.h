/* trust/store_kind.h - what differs between kinds of trust stores; private to trust/ */
#pragma once

#include "trust/store.h"

struct store_kind {
    bool (*is_usable)(const struct store *s, struct diag *why);
    bool (*has)(const struct store *s, const struct trusted *t);
    enum err (*add)(const struct store *s, const struct trusted *t, char **ret_command,
                    struct diag *why);
    enum err (*remove)(const struct store *s, const struct trusted *t, char **ret_command,
                       struct diag *why);
};

/* `path` is taken over. */
void stores_append(struct stores *s, const struct store_kind *kind, char *path,
                   const char *users);

void system_store_find(struct stores *ret);
void nss_stores_find(struct stores *ret);
