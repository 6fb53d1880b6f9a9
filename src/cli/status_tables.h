/* cli/status_tables.h - the answer of the operation status, for people
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* wide: a row for each tunnel instead of each pod. */
void print_status_tables(const json_t *status, bool wide, FILE *to);
/* "listener/127.0.0.1:80", "client/s1", "tunnel/t1" ... one a line. */
void print_status_names(const json_t *status, FILE *to);
