/* cli/status_tables.h - the answer of the operation status, for people
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* The lists of a status that can be watched. */
enum status_view { VIEW_PODS, VIEW_CLIENTS, VIEW_TUNNELS, STATUS_VIEWS };

struct table;
/* before: an earlier status, for requests per second; NULL: none. */
struct table *status_table(const json_t *status, const json_t *before,
                           enum status_view view);
size_t status_columns(enum status_view view);
/* The process, its requests in the last minute, and what is recorded. */
void print_status_summary(const json_t *status, FILE *to);

/* wide: a row for each tunnel instead of each pod. */
void print_status_tables(const json_t *status, bool wide, FILE *to);
/* "listener/127.0.0.1:80", "client/s1", "tunnel/t1" ... one a line. */
void print_status_names(const json_t *status, FILE *to);
/* The ports of services that are not listened on, with the reason, and the command that allows
 * them; of a status of the control socket, addresses.problems.  NULL accepted. */
void print_closed_ports(const json_t *problems, FILE *to);
