/* kube/query.h - parameters of a path of the API */
#pragma once

/* path plus one more query parameter, percent-encoded; takes `path` over. */
char *with_query(char *path, const char *key, const char *value);
