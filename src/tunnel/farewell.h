/* tunnel/farewell.h - a pod is said to be gone: see that its last connections end
 *
 * Private to tunnel/.  The runtime ends a deleted pod's connections within two seconds, as
 * a rule.  Now and then one is forgotten: no FIN, no text, and the tunnel itself is alive.
 * And an endpoint also leaves its service while its pod still finishes its work.  So the
 * API server is asked: when the pod does not exist any more, or another has its name, what
 * is left of its tunnels is closed.
 */
#pragma once

#include "tunnel/pod.h"

#define FAREWELL_MS 2500 /* from the news to the first question, and to each next one */

struct farewell;

struct farewell *farewell_create(struct pod *p);
void farewell_destroy(struct farewell *f); /* NULL accepted */
