#include "kube/secret.h"

#include <stdlib.h>
#include <string.h>

void secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

void secret_finish(struct secret *s)
{
    secret_free(s->token);
    secret_free(s->certificate);
    secret_free(s->key);
    *s = (struct secret){ 0 };
}
