/* cli/check_rights.c - which of the rights that kube-tunnel needs do the credentials have?
 */
#include "cli/check_rights.h"

#include <stdlib.h>
#include <jansson.h>

#include "base/own.h"
#include "cli/api_session.h"
#include "cli/table.h"
#include "kube/access_review.h"

#define EXIT_FAILED 1
#define CALL_MS 30000

struct review {
    const struct right *right;
    const char *verb;
    struct str ns; /* empty: every namespace */
    bool answered, allowed;
    struct api_call call;
};

struct check {
    const struct rights_question *question;
    bool websocket; /* --transport requires it */
    struct api_session session;
    struct task answered;
    struct str *scopes; /* namespaces; or "" (all) and the kubeconfig's */
    size_t scope_count;
    struct review *reviews; /* scope by scope */
    size_t count, per_scope;
};

static void on_review(void *owner, json_t *object)
{
    struct review *r = owner;

    r->answered = access_review_read(object, &r->allowed);
}

static void on_rights_answer(struct task *t)
{
    struct check *c = container_of(t, struct check, answered);

    for (size_t i = 0; i < c->count; i++)
        if (c->reviews[i].call.result == ERR_AGAIN)
            return;
    loop_stop(c->session.loop);
}

static void rights_ask(struct check *c, struct review *r)
{
    const struct access_review review = { r->right->group, r->right->resource, r->verb,
                                          r->ns };
    AUTO_FREE char *body = access_review_body(&review);

    r->call =
        (struct api_call){ .on_object = on_review, .owner = r, .wake = &c->answered };
    api_post(c->session.api, &r->call, ACCESS_REVIEWS, body, CALL_MS);
}

/* --- which reviews --- */

/* The rights that every request needs: one right of each group. */
static const struct {
    const char *resource, *verb;
    unsigned group; /* 1 and up */
} core[] = {
    { "services", "get", 1 },
    { "services", "list", 1 },
    { "endpointslices", "list", 2 },
    { "pods", "list", 2 },
    { "pods/portforward", "create", 3 },
};

static unsigned core_group(const struct review *r)
{
    for (size_t i = 0; i < ARRAY_LEN(core); i++)
        if (strcmp(r->right->resource, core[i].resource) == 0 &&
            strcmp(r->verb, core[i].verb) == 0)
            return core[i].group;
    return 0;
}

static void add_scope(struct check *c, struct str ns)
{
    const struct right *rights = role_rights(c->question->level);

    for (size_t i = 0; i < RIGHTS; i++)
        for (size_t v = 0; v < RIGHT_VERBS && rights[i].verbs[v]; v++)
            c->reviews[c->count++] = (struct review){
                .right = &rights[i],
                .verb = rights[i].verbs[v],
                .ns = ns,
            };
}

/* If no namespace was given, rights in the kubeconfig's namespace are enough. */
static void add_scopes(struct check *c)
{
    const struct rights_question *q = c->question;
    size_t count = q->namespace_count ? q->namespace_count : 2;

    c->scopes = xcalloc(count, sizeof(*c->scopes));
    c->reviews = xcalloc(count * RIGHTS * RIGHT_VERBS, sizeof(*c->reviews));
    for (size_t i = 0; i < q->namespace_count; i++)
        c->scopes[c->scope_count++] = q->namespaces[i];
    if (!q->namespace_count) {
        c->scopes[c->scope_count++] = STR("");
        c->scopes[c->scope_count++] = str_of(api_target(c->session.api)->ns);
    }
    for (size_t i = 0; i < c->scope_count; i++) {
        add_scope(c, c->scopes[i]);
        if (i == 0)
            c->per_scope = c->count;
    }
}

static const struct review *reviews_of(const struct check *c, size_t scope)
{
    return &c->reviews[scope * c->per_scope];
}

static bool has_one_of(const struct check *c, size_t scope, unsigned group)
{
    const struct review *r = reviews_of(c, scope);

    for (size_t i = 0; i < c->per_scope; i++)
        if (r[i].allowed && core_group(&r[i]) == group)
            return true;
    return false;
}

/* A POST opens a SPDY tunnel, for which create is enough. */
static bool is_needed(const struct check *c, size_t scope, const struct review *r)
{
    unsigned group = core_group(r);

    if (group && !has_one_of(c, scope, group))
        return true;
    if (strcmp(r->right->resource, "pods/portforward") == 0)
        return c->websocket;
    return c->question->all_needed;
}

static bool is_missing(const struct check *c, size_t scope, bool needed_only)
{
    const struct review *r = reviews_of(c, scope);

    for (size_t i = 0; i < c->per_scope; i++)
        if (!r[i].allowed && (!needed_only || is_needed(c, scope, &r[i])))
            return true;
    return false;
}

/* --- what is printed --- */

static void add_rows(struct table *t, const struct check *c, size_t scope)
{
    const struct review *r = reviews_of(c, scope);
    AUTO_FREE char *ns = str_dup(c->scopes[scope]);

    for (size_t i = 0; i < c->per_scope; i++) {
        const char *cells[] = {
            ns[0] ? ns : "(all)",
            r[i].right->resource,
            r[i].verb,
            r[i].allowed                 ? "yes"
            : is_needed(c, scope, &r[i]) ? "no"
                                         : "no, not needed",
            r[i].right->why,
        };
        table_add(t, cells);
    }
}

/* The kubeconfig's namespace is shown only if rights in the whole cluster are missing. */
static size_t shown_scopes(const struct check *c)
{
    if (!c->question->namespace_count && !is_missing(c, 0, false))
        return 1;
    return c->scope_count;
}

static void print_table(const struct check *c)
{
    static const char *const headings[] = { "NAMESPACE", "RESOURCE", "VERB",
                                            "ALLOWED",   "FOR",      NULL };
    struct table *t = table_create(headings, ARRAY_LEN(headings) - 1);

    for (size_t i = 0; i < shown_scopes(c); i++)
        add_rows(t, c, i);
    table_print(t, stdout);
    table_destroy(t);
}

static bool lacks_needed(const struct check *c)
{
    bool any_will_do = c->question->namespace_count == 0;
    size_t lacking = 0;

    for (size_t i = 0; i < c->scope_count; i++)
        lacking += is_missing(c, i, true);
    return any_will_do ? lacking == c->scope_count : lacking > 0;
}

static void explain_missing(const struct check *c)
{
    const char *level = c->question->level == ROLE_WATCH ? "" : " --level lookup";

    fflush(stdout);
    fputs("kube-tunnel: rights are missing; an administrator of the cluster can grant "
          "them:\n"
          "    kube-tunnel rbac",
          stderr);
    for (size_t i = 0; i < c->question->namespace_count; i++)
        if (is_missing(c, i, true))
            fprintf(stderr, " --namespace %.*s", STR_ARG(c->scopes[i]));
    fprintf(stderr, "%s --user NAME | kubectl apply -f -\n", level);
}

/* --- the whole --- */

static enum err run_reviews(struct check *c, struct diag *why)
{
    for (size_t i = 0; i < c->count; i++)
        rights_ask(c, &c->reviews[i]);
    task_wake(&c->answered);
    loop_run(c->session.loop);
    for (size_t i = 0; i < c->count; i++) {
        const struct review *r = &c->reviews[i];
        if (r->call.result)
            *why = r->call.error.why;
        if (r->call.result)
            return r->call.result;
        if (!r->answered)
            return diag_set(why, ERR_PROTO,
                            "the API server's access review has no result");
    }
    return OK;
}

static void check_finish(struct check *c)
{
    for (size_t i = 0; i < c->count; i++)
        api_call_finish(&c->reviews[i].call);
    if (c->count)
        task_cancel(&c->answered);
    free(c->reviews);
    free(c->scopes);
    api_session_close(&c->session);
}

int check_rights(const struct config *config, const struct rights_question *q)
{
    struct check c = { .question = q,
                       .websocket = config->transport == TRANSPORT_WEBSOCKET };
    struct diag why = { 0 };

    enum err e = api_session_open(&c.session, config, 0, &why);
    if (!e) {
        task_init(&c.answered, loop_sched(c.session.loop), RANK_WORK, on_rights_answer);
        add_scopes(&c);
        e = run_reviews(&c, &why);
    }
    if (e)
        api_session_print_error(NULL, e, &why);
    else
        print_table(&c);
    bool lacks = !e && lacks_needed(&c);
    if (lacks)
        explain_missing(&c);
    check_finish(&c);
    return e || lacks ? EXIT_FAILED : 0;
}
