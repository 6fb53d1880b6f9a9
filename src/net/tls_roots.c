/* net/tls_roots.c - the system's certificate authorities */
#include "net/tls_roots.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/own.h"
#include "base/str.h"

static const char *const bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine, Arch */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL 6 */
    "/etc/ssl/ca-bundle.pem",             /* openSUSE */
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL 7 */
    "/etc/ssl/cert.pem",
};
static const char *const folders[] = { "/etc/ssl/certs", "/etc/pki/tls/certs" };

static bool add_file(X509_STORE *into, const char *path)
{
    bool added = X509_STORE_load_file(into, path) == 1;

    ERR_clear_error();
    return added;
}

static void add_folder(X509_STORE *into, const char *path)
{
    DIR *folder = opendir(path);

    for (struct dirent *e; folder && (e = readdir(folder));) {
        AUTO_FREE char *file = xasprintf("%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            add_file(into, file);
    }
    if (folder)
        closedir(folder);
}

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void add_files(X509_STORE *into)
{
    const char *chosen = variable("SSL_CERT_FILE");

    if (chosen)
        add_file(into, chosen);
    for (size_t i = 0; !chosen && i < ARRAY_LEN(bundles); i++)
        if (add_file(into, bundles[i]))
            return;
}

static void add_folders(X509_STORE *into)
{
    struct str rest = str_of(variable("SSL_CERT_DIR"));
    bool chosen = !str_empty(rest);

    while (!str_empty(rest)) {
        struct str entry;
        rest = str_cut(rest, ':', &entry);
        AUTO_FREE char *path = str_dup(entry);
        if (*path)
            add_folder(into, path);
    }
    for (size_t i = 0; !chosen && i < ARRAY_LEN(folders); i++)
        X509_STORE_load_path(into, folders[i]);
    ERR_clear_error();
}

void tls_roots_add(X509_STORE *into)
{
    add_files(into);
    add_folders(into);
}

X509_STORE *tls_roots(void)
{
    static X509_STORE *loaded;
    static char *loaded_from;
    const char *file = variable("SSL_CERT_FILE"), *folder = variable("SSL_CERT_DIR");
    AUTO_FREE char *from = xasprintf("%s\n%s", file ? file : "", folder ? folder : "");

    if (!loaded || strcmp(from, loaded_from) != 0) {
        X509_STORE_free(loaded);
        free(loaded_from);
        loaded = X509_STORE_new();
        loaded_from = TAKE(from);
        if (!loaded)
            abort(); /* out of memory */
        X509_STORE_set_flags(loaded, X509_V_FLAG_PARTIAL_CHAIN);
        tls_roots_add(loaded);
    }
    X509_STORE_up_ref(loaded);
    return loaded;
}
