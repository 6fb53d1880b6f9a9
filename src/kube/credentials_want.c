#include "kube/credentials_want.h"

void credentials_leave(struct credentials_want *w)
{
    if (w->waiting.next)
        list_remove(&w->waiting);
    else
        list_init(&w->waiting);
}
