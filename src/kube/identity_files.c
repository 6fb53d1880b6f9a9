#include "kube/identity_files.h"

#include "base/log.h"
#include "base/own.h"
#include "base/file.h"
#include "kube/kubeconfig.h"

LOG_MODULE(kube);

#define PEM_MAX (1u << 20)
#define AGAIN_MS 500

static char *path_of(const struct kc_entry *entry, const char *file)
{
    return file ? file_beside(entry->file, file) : NULL;
}

/* A service account has no entry; its authority is called by its path. */
static char *ca_path(const struct kube_target *t)
{
    if (t->cluster)
        return path_of(&t->cluster->entry, t->cluster->ca_file);
    return t->token_file ? xstrdup_or_null(t->ca_name) : NULL;
}

void identity_files_init(struct identity_files *f, const struct kube_target *t)
{
    const struct kc_user *u = t->certificate ? t->user : NULL;
    AUTO_FREE char *ca = t->tls ? ca_path(t) : NULL;
    AUTO_FREE char *certificate = u ? path_of(&u->entry, u->certificate_file) : NULL;
    AUTO_FREE char *key = u ? path_of(&u->entry, u->key_file) : NULL;

    *f = (struct identity_files){ .target = t };
    watched_file_init(&f->ca, "certificate-authority", ca, ca ? t->ca : NULL, PEM_MAX);
    watched_file_init(&f->certificate, "client-certificate", certificate,
                      certificate ? t->certificate : NULL, PEM_MAX);
    watched_file_init(&f->key, "client-key", key, key ? t->key : NULL, PEM_MAX);
}

void identity_files_finish(struct identity_files *f)
{
    watched_file_finish(&f->ca);
    watched_file_finish(&f->certificate);
    watched_file_finish(&f->key);
}

bool identity_files_look(struct identity_files *f, uint64_t now)
{
    bool ca = watched_file_look(&f->ca, now);
    bool certificate = watched_file_look(&f->certificate, now);
    bool key = watched_file_look(&f->key, now);

    return ca || certificate || key;
}

bool identity_files_recheck(struct identity_files *f)
{
    bool ca = watched_file_recheck(&f->ca);
    bool certificate = watched_file_recheck(&f->certificate);
    bool key = watched_file_recheck(&f->key);

    return ca || certificate || key;
}

static const char *either(const struct watched_file *w, const char *text)
{
    return w->text ? w->text : text;
}

static void note_problem(struct identity_files *f, uint64_t now, const struct diag *why)
{
    uint64_t hash = str_hash(str_of(why->text)) | 1;

    watched_file_again(&f->ca, now + AGAIN_MS);
    watched_file_again(&f->certificate, now + AGAIN_MS);
    watched_file_again(&f->key, now + AGAIN_MS);
    if (f->logged != hash)
        log_warn(NO_ID, "changed certificates cannot be used, keeping the old ones",
                 LOG_S("reason", why->text));
    f->logged = hash;
}

enum err identity_files_make(struct identity_files *f, const struct secret *of_plugin,
                             uint64_t now, struct tls_identity **ret)
{
    const struct kube_target *t = f->target;
    bool plugin = of_plugin && of_plugin->certificate;
    struct diag why = { "" };
    const struct tls_identity_settings settings = {
        .ca = { either(&f->ca, t->ca), t->ca_name },
        .certificate = { plugin ? of_plugin->certificate
                                : either(&f->certificate, t->certificate),
                         plugin ? "certificate of the exec plugin"
                                : t->certificate_name },
        .key = { plugin ? of_plugin->key : either(&f->key, t->key),
                 plugin ? "key of the exec plugin" : t->key_name },
        .insecure = t->insecure,
        .server_name = t->tls_server_name,
    };

    enum err e = tls_identity_create(&settings, ret, NULL, &why);
    if (e)
        note_problem(f, now, &why);
    else
        f->logged = 0;
    return e;
}
