/* kube/credential.c - the header fields and TLS identity with which a request is sent */
#include "kube/credential.h"

#include "base/own.h"
#include "base/rfc3339.h"
#include "kube/impersonation.h"
#include "kube/jwt.h"
#include "kube/secret.h"
#include "net/tls_identity.h"

struct credential *credential_create(const struct kube_target *target,
                                     const char *authorization,
                                     struct tls_identity *identity, uint64_t generation)
{
    struct str bearer = STR("Bearer ");
    struct credential *c = xcalloc(1, sizeof(*c));
    struct texts fields = { 0 };

    c->refs = 1;
    c->generation = generation;
    c->identity = tls_identity_ref(identity);
    if (!str_starts(str_of(authorization), bearer) ||
        jwt_expiry(str_skip(str_of(authorization), bearer.len), &c->expires_at))
        c->expires_at = NEVER_EXPIRES;
    if (authorization)
        texts_add(&fields, xasprintf("Authorization: %s", authorization));
    impersonation_fields(target->user, &fields);
    for (size_t i = 0; i < fields.count; i++)
        c->length += strlen(fields.at[i]);
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
    tls_identity_unref(c->identity);
    free(c->fields);
    free(c);
}

void credential_explain(const struct credential *c, struct diag *why)
{
    int64_t now = wall_clock_ms();
    int64_t certificate = c->identity ? tls_identity_expiry(c->identity) * 1000 : 0;
    char when[RFC3339_ROOM];

    if (c->expires_at <= now) {
        rfc3339_write(c->expires_at, when);
        diag_prefix(why, ERR_UNAUTHORIZED, "the token expired at %s", when);
    } else if (certificate && certificate <= now) {
        rfc3339_write(certificate, when);
        diag_prefix(why, ERR_UNAUTHORIZED, "the client certificate expired at %s", when);
    }
}
