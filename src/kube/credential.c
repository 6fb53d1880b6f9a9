/* kube/credential.c - what one request to the API server shows of its user */
#include "kube/credential.h"

#include "base/own.h"
#include "kube/impersonation.h"
#include "kube/secret.h"

struct credential *credential_create(const struct kube_target *target,
                                     const char *authorization, uint64_t generation)
{
    struct credential *c = xcalloc(1, sizeof(*c));
    struct texts fields = { 0 };

    c->refs = 1;
    c->generation = generation;
    if (authorization)
        texts_add(&fields, xasprintf("Authorization: %s", authorization));
    impersonation_fields(target->user, &fields);
    texts_add(&fields, NULL);
    c->fields = fields.at;
    return c;
}

struct credential *credential_ref(struct credential *c)
{
    c->refs++;
    return c;
}

void credential_unref(struct credential *c)
{
    if (!c || --c->refs)
        return;
    for (char **field = c->fields; *field; field++)
        secret_free(*field);
    free(c->fields);
    free(c);
}
