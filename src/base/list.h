/* base/list.h - intrusive, circular, doubly linked lists
 *
 * The node is embedded in the element; the list owns nothing.  An element unlinks itself
 * in its destructor.  A node in no list points at itself, so list_remove is idempotent.
 */
#pragma once

#include <stdbool.h>

#include "base/own.h"

struct list_node {
    struct list_node *next, *prev;
};

static inline void list_init(struct list_node *n)
{
    n->next = n->prev = n;
}

static inline bool list_empty(const struct list_node *n)
{
    return n->next == n;
}

static inline void list_insert_before(struct list_node *at, struct list_node *n)
{
    n->prev = at->prev;
    n->next = at;
    at->prev->next = n;
    at->prev = n;
}

static inline void list_append(struct list_node *list, struct list_node *n)
{
    list_insert_before(list, n);
}

static inline void list_prepend(struct list_node *list, struct list_node *n)
{
    list_insert_before(list->next, n);
}

static inline void list_remove(struct list_node *n)
{
    n->prev->next = n->next;
    n->next->prev = n->prev;
    list_init(n);
}

#define list_first(list, type, member) container_of((list)->next, type, member)
#define list_last(list, type, member) container_of((list)->prev, type, member)

/* The body may remove the current element, and no other. */
#define list_for_each(var, list, type, member)                                           \
    for (type *var = container_of((list)->next, type, member),                           \
              *next_##var = container_of(var->member.next, type, member);                \
         &var->member != (list);                                                         \
         var = next_##var, next_##var = container_of(var->member.next, type, member))
