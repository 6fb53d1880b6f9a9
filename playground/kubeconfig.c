#include "playground/kubeconfig.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/own.h"
#include "base/base64.h"
#include "playground/text.h"

static void put_context(struct text *t, const char *name, const char *user)
{
    text_printf(t,
                "- name: %s\n"
                "  context: {cluster: playground, user: %s, namespace: shop}\n",
                name, user);
}

static void put(struct text *t, const struct options *o, const char *address,
                const char *ca, const struct identity *user)
{
    AUTO_FREE char *ca_64 = base64_encode(str_of(ca));
    AUTO_FREE char *certificate_64 = base64_encode(str_of(user->certificate));
    AUTO_FREE char *key_64 = base64_encode(str_of(user->key));

    text_printf(t,
                "apiVersion: v1\nkind: Config\ncurrent-context: playground\n"
                "clusters:\n- name: playground\n  cluster:\n"
                "    server: https://%s\n    certificate-authority-data: %s\n",
                address, ca_64);
    text_printf(t,
                "users:\n- name: playground\n  user:\n    token: %s\n"
                "- name: certificate\n  user:\n"
                "    client-certificate-data: %s\n    client-key-data: %s\ncontexts:\n",
                o->token, certificate_64, key_64);
    put_context(t, "playground", "playground");
    put_context(t, "playground-certificate", "certificate");
}

/* Written to a temporary file and renamed, so that no program reads a part of it. */
enum err kubeconfig_write(const struct options *o, const char *address, const char *ca,
                          const struct identity *user, struct diag *why)
{
    struct text t = { 0 };
    AUTO_FREE char *beside = xasprintf("%s.new", o->kubeconfig_out);
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return diag_set(why, ERR_IO, "%s: %s", beside, strerror(errno));

    put(&t, o, address, ca, user);
    bool ok = write(fd, t.at, t.len) == (ssize_t)t.len;
    ok = close(fd) == 0 && ok && rename(beside, o->kubeconfig_out) == 0;
    text_finish(&t);
    return ok ? OK : diag_set(why, ERR_IO, "%s: %s", o->kubeconfig_out, strerror(errno));
}
