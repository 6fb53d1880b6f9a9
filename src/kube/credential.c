/* kube/credential.c - what one request to the API server shows of its user */
#include "kube/credential.h"

#include "base/own.h"

static void add_field(struct credential *c, size_t *count, char *field)
{
    c->fields = xrealloc(c->fields, (*count + 2) * sizeof(*c->fields));
    c->fields[(*count)++] = field;
    c->fields[*count] = NULL;
}

struct credential *credential_create(const struct kube_target *target,
                                     const char *authorization, uint64_t generation)
{
    struct credential *c = xcalloc(1, sizeof(*c));
    size_t count = 0;

    (void)target;
    c->refs = 1;
    c->generation = generation;
    c->fields = xcalloc(1, sizeof(*c->fields));
    if (authorization)
        add_field(c, &count, xasprintf("Authorization: %s", authorization));
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
    for (char **field = c->fields; *field; field++) {
        explicit_bzero(*field, strlen(*field));
        free(*field);
    }
    free(c->fields);
    free(c);
}
