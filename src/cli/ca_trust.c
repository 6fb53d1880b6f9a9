/* cli/ca_trust.c - kube-tunnel ca install and remove */
#include "cli/ca_trust.h"

#include <stdio.h>

#include "base/own.h"
#include "ca/authority.h"
#include "ca/folder.h"
#include "cli/command.h"

enum err ca_certificate_read(const struct ca_files *files, const char *domain, bool make,
                             struct ca_certificate *ret, struct diag *why)
{
    AUTO(authority_destroyp) struct authority *a = NULL;
    bool made = false;

    enum err e = make ? ca_folder_open(files->folder, domain, &a, &made, why)
                      : ca_folder_read(files->folder, domain, &a, why);
    if (e)
        return e;
    *ret = (struct ca_certificate){
        .name = xasprintf("kube-tunnel-%s", authority_fingerprint(a)),
        .pem = xstrdup(authority_certificate(a)),
        .file = ca_folder_certificate(files->folder, domain),
        .fingerprint = xstrdup(authority_fingerprint(a)),
        .expiry = authority_expiry(a),
    };
    if (made)
        fprintf(stderr, "kube-tunnel: made a local CA for %s in %s\n", domain,
                files->folder);
    return OK;
}

void ca_certificate_finish(struct ca_certificate *c)
{
    free(c->name);
    free(c->pem);
    free(c->file);
    free(c->fingerprint);
    *c = (struct ca_certificate){ 0 };
}

/* ---- one store ---- */

struct step {
    const char *done, *planned, *nothing; /* "trusted", "would be trusted", ... */
    bool until;                           /* the store has it afterwards */
    enum err (*run)(const struct store *s, const struct trusted *t, char **ret_command,
                    struct diag *why);
};

static const struct step adding = { "now trusted", "would be trusted", "already trusted",
                                    true, store_add };
static const struct step removing = { "no longer trusted", "would no longer be trusted",
                                      "not trusted", false, store_remove };

static void print_store(const struct store *s, const char *state)
{
    printf("  %s (%s): %s\n", s->path, s->users, state);
}

/* Returns whether the store is as the step leaves it. */
static bool run_step(const struct step *step, const struct store *s,
                     const struct trusted *t, bool dry)
{
    AUTO_FREE char *command = NULL;
    struct diag why = { "" };

    if (!store_is_usable(s, &why)) {
        print_store(s, why.text);
        return false;
    }
    if (store_has(s, t) == step->until || dry) {
        print_store(s, store_has(s, t) == step->until ? step->nothing : step->planned);
        return true;
    }
    enum err e = step->run(s, t, &command, &why);
    print_store(s, e ? diag_text(&why, e) : step->done);
    if (command)
        printf("    run: %s\n", command);
    return e == OK;
}

static bool run_steps(const struct step *step, const struct stores *stores,
                      const struct trusted *t, bool dry)
{
    bool all = true;

    for (size_t i = 0; i < stores->count; i++)
        all = run_step(step, &stores->at[i], t, dry) && all;
    return all;
}

static int print_unread(const char *domain, enum err e, const struct diag *why)
{
    print_error("local CA of %s: %s", domain, diag_text(why, e));
    return EXIT_FAILED;
}

/* ---- the commands ---- */

static bool has_authority(const struct ca_files *files, const char *domain)
{
    AUTO(authority_destroyp) struct authority *a = NULL;

    return ca_folder_read(files->folder, domain, &a, NULL) != ERR_NOT_FOUND;
}

static int install_one(const struct ca_files *files, const char *domain,
                       const struct stores *stores, bool dry)
{
    AUTO(ca_certificate_finish) struct ca_certificate c = { 0 };
    struct diag why = { "" };

    if (dry && !has_authority(files, domain)) {
        printf("local CA of %s: would be made in %s\n", domain, files->folder);
        c = (struct ca_certificate){ .name = xstrdup("kube-tunnel"), .pem = xstrdup("") };
    } else {
        enum err e = ca_certificate_read(files, domain, !dry, &c, &why);
        if (e)
            return print_unread(domain, e, &why);
        printf("local CA of %s, %s\n", domain, c.fingerprint);
    }
    const struct trusted t = ca_trusted(&c);
    return run_steps(&adding, stores, &t, dry) ? EXIT_OK : EXIT_FAILED;
}

int ca_install(const struct ca_files *files, bool dry)
{
    AUTO(stores_finish) struct stores stores;
    int status = EXIT_OK;

    stores_find(&stores);
    for (size_t i = 0; i < files->domains.count; i++)
        if (install_one(files, files->domains.at[i], &stores, dry))
            status = EXIT_FAILED;
    if (!dry)
        puts("Browsers that run may need a restart.");
    return status;
}

/* Its files stay until no store trusts it: they say which certificate to take out. */
static int remove_one(const struct ca_files *files, const char *domain,
                      const struct stores *stores, bool dry)
{
    AUTO(ca_certificate_finish) struct ca_certificate c = { 0 };
    struct diag why = { "" };
    enum err e = ca_certificate_read(files, domain, false, &c, &why);

    if (e)
        return print_unread(domain, e, &why);
    printf("local CA of %s, %s\n", domain, c.fingerprint);
    const struct trusted t = ca_trusted(&c);
    if (!run_steps(&removing, stores, &t, dry)) {
        puts("  its key stays until then; repeat this command");
        return EXIT_FAILED;
    }
    e = dry ? OK : ca_folder_delete(files->folder, domain, &why);
    if (e)
        return print_unread(domain, e, &why);
    printf("  %s/%s.pem: %s\n", files->folder, domain,
           dry ? "would be deleted" : "deleted");
    return EXIT_OK;
}

int ca_remove(const struct ca_files *files, bool dry)
{
    AUTO(stores_finish) struct stores stores;
    int status = EXIT_OK;

    stores_find(&stores);
    for (size_t i = 0; i < files->domains.count; i++)
        if (remove_one(files, files->domains.at[i], &stores, dry))
            status = EXIT_FAILED;
    if (!files->domains.count)
        puts("there is no local CA");
    return status;
}
