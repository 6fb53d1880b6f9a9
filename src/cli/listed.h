/* cli/listed.h - the rows of a list of services, and printing them
 *
 * Columns fit a width: the ports of a row are shortened first ("80, 443, +98"), then the
 * last column is left out, and so on up to the names, which are never cut.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct listed_port {
    uint16_t number;
    char *name; /* "" when unnamed */
};

struct listed_service {
    /* the kubeconfig's context and the cluster's label; NULL: there is only one */
    char *context, *cluster;
    char *ns, *name;
    bool plain; /* names without a label mean this cluster */
    /* SERVICE.NAMESPACE, with more labels where needed; for programs */
    char *short_name;
    char *local, *full; /* URLs: under .localhost, and by the full name */
    struct listed_port *ports;
    size_t port_count; /* not 0 */
};

/* A name that the user chose (--alias). */
struct listed_alias {
    char *name, *url, *target; /* "front", "http://front.localhost/", "web.shop:80" */
    char *service, *ns;        /* of the target; service NULL: the target is a pod */
    /* the cluster's label; NULL: the cluster of names without a label */
    char *cluster;
};

/* several: a column shows the cluster of each row. */
struct listed {
    bool several;
    struct listed_service *at;
    size_t count;
    struct listed_alias *aliases; /* in the order of the settings */
    size_t alias_count;
};

/* Adds a service; takes over its texts. */
void listed_add(struct listed *l, const struct listed_service *s);
void listed_add_alias(struct listed *l, const struct listed_alias *a); /* likewise */
void listed_finish(struct listed *l); /* a zeroed struct is accepted */
/* Sorts by cluster, namespace and name, and removes duplicates.  Call it before
 * printing. */
void listed_sort(struct listed *l);

/* Limits of widths. */
struct listed_width {
    size_t line;  /* of a line; 0: not limited */
    size_t ports; /* of the column of ports; 0: not limited */
    bool spaced;  /* "80, 443", else "80,443": one word for programs that split lines */
};

void listed_print_columns(const struct listed *l, const struct listed_width *width,
                          FILE *to);
/* Prints the aliases as a separate table, or nothing if there are none. */
void listed_print_aliases(const struct listed *l, FILE *to);
void listed_print_json(const struct listed *l, FILE *to);
void listed_print_names(const struct listed *l, FILE *to); /* short_name */
