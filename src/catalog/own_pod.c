/* catalog/own_pod.c - the pod that kube-tunnel runs in */
#include "catalog/own_pod.h"

#include <string.h>

#include "catalog/service.h"

bool own_pod_is(const struct own_pod *own, const struct endpoint *e)
{
    if (own->uid && strcmp(e->uid, own->uid) == 0)
        return true;
    return own->ns && own->name && strcmp(e->ns, own->ns) == 0 &&
           strcmp(e->pod, own->name) == 0;
}
