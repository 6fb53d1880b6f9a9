/* playground/pods/pod.h - one pod, and the connections that it serves */
#pragma once

#include "base/list.h"
#include "net/loop.h"
#include "net/stream.h"

#define SANDBOX_SIZE 65 /* 64 hexadecimal digits */

struct pod {
    struct list_node node;
    char *ns, *name, *uid, *app;
    char sandbox[SANDBOX_SIZE];
    char netns[64]; /* the path of its network namespace, for error texts */
    struct list_node connections;
};

/* A connection of a pod; embedded in the struct of the server that serves it. */
struct pod_connection {
    struct list_node node;
    struct pod *pod;
    struct stream *stream; /* owned */
    struct task work;      /* the stream's wake */
    void (*destroy)(struct pod_connection *);
};

/* For each server: fill in the common part, and finish it. */
void pod_connection_init(struct pod_connection *c, struct loop *l, struct pod *pod,
                         struct stream *stream, void (*run)(struct task *),
                         void (*destroy)(struct pod_connection *));
void pod_connection_finish(struct pod_connection *c);
