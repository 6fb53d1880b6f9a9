/* tests/fuzz/target_fuzz.c - any bytes as the files of $KUBECONFIG, up to a target
 *
 * The input is one file, or two around a NUL.  Of the files that they name there
 * are a PEM and a token, from memory; others are missing.  The result is an error with a
 * sentence, or a target whose texts cannot end a line of a request.
 */
#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/own.h"
#include "kube/credentials.h"
#include "kube/exec_plugin.h"
#include "base/file.h"
#include "kube/file_reader.h"
#include "kube/target_load.h"
#include "playground/ca.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct str files[2];

/* In the place of base/file.c: nothing outside is read. */

/* A certificate and its key. */
static const char *pem(void)
{
    struct certificate_request request = { .common_name = "user", .days = 1 };
    struct identity user;
    struct local_ca *ca;
    static char *text;

    if (text)
        return text;
    if (local_ca_create("authority", &ca, NULL) ||
        local_ca_issue(ca, &request, &user, NULL))
        abort();
    text = xasprintf("%s%s", user.certificate, user.key);
    identity_finish(&user);
    local_ca_destroy(ca);
    return text;
}

static struct str content_of(const char *path)
{
    if (strcmp(path, "/k/a") == 0)
        return files[0];
    if (strcmp(path, "/k/b") == 0)
        return files[1];
    if (strcmp(path, "/k/pem") == 0)
        return str_of(pem());
    if (strcmp(path, "/k/token") == 0)
        return files[1].len ? files[1] : STR("secret\n");
    return (struct str){ 0 };
}

enum err file_read(const char *path, size_t max, char **ret_text, size_t *ret_len,
                   struct diag *why)
{
    struct str content = content_of(path);

    if (!content.at)
        return diag_set(why, ERR_NOT_FOUND, "%s: missing", path);
    if (content.len > max)
        return diag_set(why, ERR_LIMIT, "%s: too long", path);
    *ret_text = str_dup(content);
    *ret_len = content.len;
    return OK;
}

enum err file_read_regular(const char *path, size_t max, char **ret_text, size_t *ret_len,
                           struct diag *why)
{
    return file_read(path, max, ret_text, ret_len, why);
}

/* In the place of kube/file_reader.c: no threads. */

struct file_reader {
    const char *path;
    size_t max;
};

struct file_reader *file_reader_create(const char *path, size_t max)
{
    struct file_reader *r = xmalloc(sizeof(*r));
    *r = (struct file_reader){ path, max };
    return r;
}

void file_reader_destroy(struct file_reader *r)
{
    free(r);
}

enum err file_reader_wait(struct file_reader *r, unsigned max_ms, char **ret_text,
                          size_t *ret_len, struct diag *why)
{
    (void)max_ms;
    return file_read(r->path, r->max, ret_text, ret_len, why);
}

enum err file_read_in_time(const char *path, size_t max, char **ret_text, size_t *ret_len,
                           struct diag *why)
{
    return file_read(path, max, ret_text, ret_len, why);
}

char *file_beside(const char *from, const char *path)
{
    (void)from;
    return path[0] == '/' ? xstrdup(path) : xasprintf("/k/%s", path);
}

static void check_line(const char *text)
{
    for (; text && *text; text++)
        assert((unsigned char)*text >= ' ' && *text != 0x7f);
}

static void check_word(const char *text)
{
    assert(text);
    for (; *text; text++)
        assert((unsigned char)*text > ' ' && *text != 0x7f);
}

static void check_credential(struct credentials *c, const struct kube_target *t)
{
    struct credentials_want want = { 0 };
    struct credential *got = NULL;
    struct diag why = { "" };

    if (credentials_get(c, &want, &got, &why)) {
        assert(why.text[0]);
        return;
    }
    for (char *const *field = got->fields; *field; field++)
        check_line(*field);
    assert(t->tls || !got->fields[0]);
    credentials_reject(c, got->generation);
    credential_unref(got);
}

static void check_credentials(const struct kube_target *t)
{
    static struct loop *loop;
    static struct exec_plugins *plugins;

    if (!loop) {
        loop = loop_create();
        plugins = exec_plugins_create(loop, &(struct exec_settings){ 0 });
    }
    struct credentials *c = credentials_create(loop, t, plugins);
    if (t->source == SOURCE_NONE) { /* else it would run programs */
        check_credential(c, t);
        check_credential(c, t);
    }
    credentials_destroy(c);
}

static void check_target(const struct kube_target *t)
{
    assert(str_starts(str_of(t->server), t->tls ? STR("https://") : STR("http://")));
    check_word(t->server);
    check_word(t->host);
    check_word(t->host_header);
    check_word(t->prefix);
    assert(t->host[0] && t->port);
    assert(!t->prefix[0] ||
           (t->prefix[0] == '/' && !str_ends(str_of(t->prefix), STR("/"))));
    assert(!(t->ca && t->insecure));
    assert(!t->certificate || t->key);
    assert(t->context && t->ns && t->origin);
    check_credentials(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str rest = { (const char *)bytes, len };
    struct kube_target *t = NULL;
    struct diag why = { "" };

    log_set_level(LEVEL_ERROR);
    files[1] = str_cut(rest, '\0', &files[0]);
    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("KUBECONFIG", "/k/a:/k/none:/k/b", 1);
    if (kube_target_load(NULL, NULL, NULL, &t, &why) == OK)
        check_target(t);
    else
        assert(why.text[0] && !t);
    kube_target_destroy(t);
    return 0;
}
