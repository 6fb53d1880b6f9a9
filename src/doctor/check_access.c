/* doctor/check_access.c - credentials, login, rights */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "base/own.h"
#include "base/rfc3339.h"
#include "doctor/checks.h"
#include "kube/kubeconfig.h"
#include "kube/secret.h"
#include "net/tls_identity.h"

#define CALL_MS 12000
#define SELF_REVIEWS "/apis/authentication.k8s.io/v1/selfsubjectreviews"
#define TOKEN_WARNING_S (5 * 60)
#define CERTIFICATE_WARNING_S (7 * 24 * 3600)

/* --- credentials --- */

static const char *kind_of(const struct kube_target *t)
{
    if (t->source == SOURCE_EXEC)
        return "an exec plugin's credential";
    if (t->source == SOURCE_OIDC)
        return "a token of the auth-provider oidc";
    if (t->token_file)
        return "a token from a file";
    if (t->token)
        return "a token";
    if (t->certificate)
        return "a client certificate";
    return t->username ? "a user name and password" : "no credentials: anonymous";
}

static void fix_login(const struct doctor *d, struct finding *f)
{
    const struct kube_target *t = api_target(d->api);
    const struct kc_exec *exec = t->user ? t->user->exec : NULL;

    if (exec && exec->command)
        found_fix(f,
                  "log in again as \"%s\" of the kubeconfig asks, for example: kubectl "
                  "get namespaces%s%s",
                  exec->command, exec->install_hint ? "\n" : "",
                  exec->install_hint ? exec->install_hint : "");
    else
        found_fix(f,
                  "log in again with the tool that issues them, or copy the kubeconfig "
                  "anew; running processes notice it");
}

static void describe_time(int64_t seconds, char ret[static 48])
{
    int64_t size = seconds < 0 ? -seconds : seconds;

    if (size >= 2 * 86400)
        snprintf(ret, 48, "%" PRId64 " days", size / 86400);
    else if (size >= 2 * 3600)
        snprintf(ret, 48, "%" PRId64 " hours", size / 3600);
    else
        snprintf(ret, 48, "%" PRId64 " minutes", size / 60);
}

/* expiry: in seconds since 1970. */
static void judge_expiry(const struct doctor *d, struct finding *f, const char *what,
                         int64_t expiry, int64_t warn_s)
{
    int64_t left = expiry - (int64_t)time(NULL);
    char text[48];

    describe_time(left, text);
    if (left <= 0)
        found(f, FINDING_FAILED, "%s, which expired %s ago", what, text);
    else if (left < warn_s)
        found(f, FINDING_WARNING, "%s, which expires in %s", what, text);
    else
        found(f, FINDING_OK, "%s, which expires in %s", what, text);
    if (left < warn_s)
        fix_login(d, f);
}

static void judge_credential(struct doctor *d, struct finding *f)
{
    const struct kube_target *t = api_target(d->api);
    const struct credential *c = d->credential;
    long long certificate = c->identity ? tls_identity_expiry(c->identity) : 0;

    if (c->expires_at < NEVER_EXPIRES)
        judge_expiry(d, f, kind_of(t), c->expires_at / 1000,
                     t->source == SOURCE_NONE && !t->token_file ? TOKEN_WARNING_S : 0);
    else if (certificate)
        judge_expiry(d, f, kind_of(t), certificate,
                     t->source == SOURCE_NONE ? CERTIFICATE_WARNING_S : 0);
    else
        found(f, FINDING_OK, "%s", kind_of(t));
}

void check_credentials(struct doctor *d, struct finding *f)
{
    struct diag why = { "" };

    if (check_begins(d, CHECK_CREDENTIALS)) {
        d->want.wake = &d->task;
        d->want.no_terminal = true;
    }
    enum err e = credentials_get(api_credentials(d->api), &d->want, &d->credential, &why);
    if (e == ERR_AGAIN)
        return;
    if (!e) {
        judge_credential(d, f);
        return;
    }
    found(f, FINDING_FAILED, "%s", diag_text(&why, e));
    fix_login(d, f);
}

/* --- login --- */

static void on_self(void *owner, json_t *object)
{
    struct doctor *d = owner;
    const json_t *info = json_object_get(json_object_get(object, "status"), "userInfo");
    const char *name = json_string_value(json_object_get(info, "username"));

    snprintf(d->user, sizeof(d->user), "%s", name ? name : "");
}

void check_login(struct doctor *d, struct finding *f)
{
    static const char body[] = "{\"apiVersion\":\"authentication.k8s.io/v1\","
                               "\"kind\":\"SelfSubjectReview\"}";

    if (check_begins(d, CHECK_LOGIN)) {
        d->login =
            (struct api_call){ .on_object = on_self, .owner = d, .wake = &d->task };
        api_post(d->api, &d->login, SELF_REVIEWS, body, CALL_MS);
    }
    if (d->login.result == ERR_AGAIN)
        return;
    /* Servers before 1.28 do not have this resource; they have accepted the credentials. */
    if (d->login.result == ERR_NOT_FOUND || d->login.result == ERR_FORBIDDEN)
        found(f, FINDING_OK, "the API server accepts the credentials");
    else if (d->login.result)
        found_error(f, d->login.result, &d->login.error.why);
    else
        found(f, FINDING_OK, "as %s", d->user[0] ? d->user : "a user without a name");
    if (d->login.result == ERR_UNAUTHORIZED)
        fix_login(d, f);
}

/* --- rights --- */

static const struct access_review needed[] = {
    { "", "services", "list", { 0 } },
    { "discovery.k8s.io", "endpointslices", "list", { 0 } },
    { "", "pods/portforward", "create", { 0 } },
};

static void on_review(void *owner, json_t *object)
{
    struct doctor_review *r = owner;
    bool answered = access_review_read(object, &r->allowed);
    (void)answered; /* a review without a result is a right that is missing */
}

static void begin_reviews(struct doctor *d)
{
    for (size_t i = 0; i < REVIEWS; i++) {
        struct doctor_review *r = &d->reviews[i];
        r->review = needed[i % ARRAY_LEN(needed)];
        if (i >= ARRAY_LEN(needed))
            r->review.ns = str_of(api_target(d->api)->ns);
        AUTO_FREE char *body = access_review_body(&r->review);
        r->call =
            (struct api_call){ .on_object = on_review, .owner = r, .wake = &d->task };
        api_post(d->api, &r->call, ACCESS_REVIEWS, body, CALL_MS);
    }
}

/* The rights of one scope that are missing, as text; "" if none is. */
static void list_missing(const struct doctor_review *reviews, char ret[static 160])
{
    size_t used = 0;

    ret[0] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(needed); i++)
        if (!reviews[i].allowed)
            used += (size_t)snprintf(ret + used, 160 - used, "%s%s %s", used ? ", " : "",
                                     needed[i].verb, needed[i].resource);
}

static void judge_rights(struct doctor *d, struct finding *f)
{
    const char *ns = api_target(d->api)->ns;
    char everywhere[160], here[160];

    list_missing(d->reviews, everywhere);
    list_missing(d->reviews + ARRAY_LEN(needed), here);
    if (!everywhere[0]) {
        found(f, FINDING_OK, "services of every namespace, with tunnels to their pods");
        return;
    }
    if (!here[0]) {
        found(f, FINDING_WARNING,
              "services of namespace %s only: in the whole cluster these are missing: %s",
              ns, everywhere);
        found_fix(f, "if others are needed, an administrator can grant them: kube-tunnel "
                     "rbac --user NAME | kubectl apply -f -");
        return;
    }
    found(f, FINDING_FAILED, "missing in namespace %s and in the whole cluster: %s", ns,
          here);
    found_fix(f,
              "see all of them: kube-tunnel rbac --check\n"
              "an administrator can grant them: kube-tunnel rbac --namespace %s --user "
              "NAME | kubectl apply -f -",
              ns);
}

void check_rights_of_user(struct doctor *d, struct finding *f)
{
    if (check_begins(d, CHECK_RIGHTS))
        begin_reviews(d);
    for (size_t i = 0; i < REVIEWS; i++)
        if (d->reviews[i].call.result == ERR_AGAIN)
            return;
    for (size_t i = 0; i < REVIEWS; i++) {
        const struct api_call *call = &d->reviews[i].call;
        if (!call->result)
            continue;
        found_error(f, call->result, &call->error.why);
        return;
    }
    judge_rights(d, f);
}

void found_error(struct finding *f, enum err e, const struct diag *why)
{
    found(f, FINDING_FAILED, "%s", diag_text(why, e));
    if (e == ERR_UNAUTHORIZED)
        found_fix(f, "log in again with the tool that issues the credentials");
    else if (e == ERR_FORBIDDEN)
        found_fix(f, "see which rights are missing: kube-tunnel rbac --check");
    else
        found_fix(f, "try again; kubectl -v 6 get services shows whether kubectl fails "
                     "in the same way");
}

void access_finish(struct doctor *d)
{
    for (size_t i = 0; i < REVIEWS; i++)
        api_call_finish(&d->reviews[i].call);
    api_call_finish(&d->login);
    credentials_leave(&d->want);
    credential_unref(d->credential);
}
