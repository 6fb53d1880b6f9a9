/* cli/listed.h - the services of a list, and printing them
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
    char *context, *cluster; /* and its label; NULL: there is one only */
    char *ns, *name;
    bool plain;         /* names without a label are of its cluster */
    char *short_name;   /* for programs: SERVICE.NAMESPACE where that is enough */
    char *local, *full; /* URLs: under .localhost, and by the full name */
    struct listed_port *ports;
    size_t port_count; /* not 0 */
};

/* A name of the user's own (--alias). */
struct listed_alias {
    char *name, *url, *target; /* "front", "http://front.localhost/", "web.shop:80" */
    char *service, *ns;        /* that it leads to, or a pod; service: NULL */
    char *cluster;             /* its label; NULL: that of plain names */
};

/* `several`: a column has the cluster of each. */
struct listed {
    bool several;
    struct listed_service *at;
    size_t count;
    struct listed_alias *aliases; /* in the order of the settings */
    size_t alias_count;
};

/* One more; all zero but for the texts, which are taken over. */
void listed_add(struct listed *l, const struct listed_service *s);
void listed_add_alias(struct listed *l, const struct listed_alias *a); /* likewise */
void listed_finish(struct listed *l); /* a zeroed struct is accepted */
/* By cluster, namespace and name, each once; before anything is printed. */
void listed_sort(struct listed *l);

/* How wide columns may be. */
struct listed_width {
    size_t line;  /* 0: as wide as it needs to be */
    size_t ports; /* of their column, 0: as wide as it needs to be */
    bool spaced;  /* "80, 443", else "80,443": one word for programs that split lines */
};

void listed_print_columns(const struct listed *l, const struct listed_width *width,
                          FILE *to);
/* A table of their own; nothing where there are none. */
void listed_print_aliases(const struct listed *l, FILE *to);
void listed_print_json(const struct listed *l, FILE *to);
void listed_print_names(const struct listed *l, FILE *to); /* short_name */
