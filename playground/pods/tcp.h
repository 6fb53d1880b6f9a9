/* playground/pods/tcp.h - one port for each behaviour of a TCP server
 *
 * Each takes over the stream and serves it until its end, or until the pod is stopped.
 */
#pragma once

#include "playground/pods/pod.h"

void tcp_serve_echo(struct loop *l, struct pod *pod, struct stream *s);
void tcp_serve_sink(struct loop *l, struct pod *pod, struct stream *s);
void tcp_serve_stuck(struct loop *l, struct pod *pod, struct stream *s); /* never reads */
void tcp_serve_late(struct loop *l, struct pod *pod,
                    struct stream *s); /* after the EOF */
void tcp_serve_greeting(struct loop *l, struct pod *pod,
                        struct stream *s); /* sends first */
void tcp_serve_reset(struct loop *l, struct pod *pod, struct stream *s);
