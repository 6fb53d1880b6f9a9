#include "playground/faults.h"

#include "base/own.h"

struct rule {
    struct list_node node;
    char *text;
    enum pod_fault fault;
};

void faults_init(struct faults *f)
{
    *f = (struct faults){ .cut_ms = CUT_MS };
    list_init(&f->targets);
    list_init(&f->denied);
    list_init(&f->granted);
    list_init(&f->tokens);
}

static void remove_rule(struct rule *r)
{
    list_remove(&r->node);
    free(r->text);
    free(r);
}

void faults_finish(struct faults *f)
{
    list_for_each (t, &f->targets, struct rule, node)
        remove_rule(t);
    list_for_each (d, &f->denied, struct rule, node)
        remove_rule(d);
    list_for_each (g, &f->granted, struct rule, node)
        remove_rule(g);
    list_for_each (k, &f->tokens, struct rule, node)
        remove_rule(k);
}

static struct rule *fault_find(const struct list_node *list, struct str text)
{
    list_for_each (r, list, struct rule, node)
        if (str_eq(text, str_of(r->text)))
            return r;
    return NULL;
}

static void set(struct list_node *list, struct str text, enum pod_fault fault)
{
    struct rule *r = fault_find(list, text);
    if (r)
        remove_rule(r);
    if (fault == POD_WELL)
        return;
    r = xcalloc(1, sizeof(*r));
    r->text = str_dup(text);
    r->fault = fault;
    list_append(list, &r->node);
}

void faults_set_target(struct faults *f, struct str target, enum pod_fault fault)
{
    set(&f->targets, target, fault);
}

enum pod_fault faults_of_target(const struct faults *f, struct str target)
{
    const struct rule *r = fault_find(&f->targets, target);
    return r ? r->fault : POD_WELL;
}

void faults_deny(struct faults *f, struct str rule, bool denied)
{
    set(&f->denied, rule, denied ? POD_REFUSES : POD_WELL);
}

void faults_grant(struct faults *f, struct str rule)
{
    set(&f->granted, rule, POD_REFUSES);
}

static bool covers(const char *rule, const struct str wanted[4])
{
    struct str left = str_of(rule), word;

    for (size_t i = 0; i < 4; i++) {
        left = str_cut(left, ' ', &word);
        if (!str_eq(word, STR("*")) && !str_eq(word, wanted[i]))
            return false;
    }
    return true;
}

bool faults_granted(const struct faults *f, struct str verb, struct str resource,
                    struct str ns, struct str name)
{
    const struct str wanted[4] = { verb, resource, ns, name };

    list_for_each (g, &f->granted, struct rule, node)
        if (covers(g->text, wanted))
            return true;
    return false;
}

bool faults_denied(const struct faults *f, struct str verb, struct str resource)
{
    AUTO_FREE char *rule = xasprintf("%.*s %.*s", STR_ARG(verb), STR_ARG(resource));
    return !list_empty(&f->denied) && fault_find(&f->denied, str_of(rule));
}

void faults_set_token(struct faults *f, struct str token, bool good)
{
    set(&f->tokens, token, good ? POD_REFUSES : POD_WELL);
}

bool faults_accept_token(const struct faults *f, struct str token)
{
    return fault_find(&f->tokens, token) != NULL;
}
