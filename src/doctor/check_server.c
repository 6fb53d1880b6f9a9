/* doctor/check_server.c - kubeconfig, proxy, API server and its clock */
#include <inttypes.h>
#include <jansson.h>
#include <time.h>

#include "base/own.h"
#include "cluster/clusters.h"
#include "daemon/cluster_settings.h"
#include "doctor/checks.h"
#include "kube/exec_plugin.h"
#include "net/http_date.h"
#include "net/proxy.h"
#include "net/url.h"

#define CALL_MS 12000
#define PROXY_MS 4000
#define BODY_MAX ((size_t)64 << 10)
#define SKEW_WARNING_S 30 /* tokens and certificates of this moment are refused */
#define SKEW_FAILED_S 300

/* --- kubeconfig --- */

static enum err load_target(struct doctor *d, struct kube_target **ret, struct diag *why)
{
    const struct clusters_choice choice = clusters_choice_of(d->config, true);
    struct clusters *clusters;
    enum err e = clusters_create(d->loop, NULL, &choice, &clusters, why);

    if (e)
        return e;
    e = clusters_target(clusters, 0, ret, why);
    clusters_destroy(clusters);
    return e;
}

void check_kubeconfig(struct doctor *d, struct finding *f)
{
    const struct exec_settings exec = exec_settings_of(d->config);
    struct kube_target *target;
    struct diag why = { "" };
    enum err e = load_target(d, &target, &why);

    if (e) {
        found(f, FINDING_FAILED, "%s", diag_text(&why, e));
        found_fix(f, "name one with --kubeconfig or $KUBECONFIG, and see its contexts: "
                     "kubectl config get-contexts");
        return;
    }
    d->plugins = exec_plugins_create(d->loop, &exec);
    d->transfers = transfers_create(d->loop);
    d->api = api_create(d->loop, d->transfers, target, d->plugins);
    if (target->insecure) {
        found(f, FINDING_WARNING,
              "%s: context \"%s\" does not verify its server, so any server in its place "
              "gets the credentials",
              target->origin, target->context);
        found_fix(f, "replace insecure-skip-tls-verify by certificate-authority-data");
        return;
    }
    found(f, FINDING_OK, "%s: context \"%s\", namespace %s", target->origin,
          target->context, target->ns);
}

/* --- proxy --- */

static char *proxy_of(const struct doctor *d)
{
    const struct kube_target *t = api_target(d->api);
    return proxy_choose(t->proxy, t->tls, t->host, t->port);
}

/* Any answer, also one that is no HTTP, shows that something listens there. */
static bool answers(const struct transfer *t)
{
    return t->result != ERR_CONNECT && t->result != ERR_TIMEOUT &&
           t->result != ERR_NOT_FOUND && t->result != ERR_REFUSED;
}

static void begin_proxy(struct doctor *d, const char *proxy)
{
    struct diag why = { "" };
    struct url url;

    if (url_parse(str_of(proxy), "http", &url, &why))
        return;
    AUTO_FREE char *where = url_host_port(&url, 1080);
    AUTO_FREE char *plain = xasprintf("http://%s/", where);
    url_finish(&url);
    const struct transfer_request request = {
        .method = "GET",
        .url = plain,
        .proxy = "",
        .timeout_ms = PROXY_MS,
        .body_limit = BODY_MAX,
    };
    d->to_proxy = transfer_open(d->transfers, &request, &d->task);
}

void check_proxy(struct doctor *d, struct finding *f)
{
    AUTO_FREE char *proxy = proxy_of(d);
    AUTO_FREE char *shown = url_redacted(str_of(proxy));

    if (!proxy[0]) {
        found(f, FINDING_OK, "none between this machine and the API server");
        return;
    }
    if (check_begins(d, CHECK_PROXY))
        begin_proxy(d, proxy);
    if (d->to_proxy && d->to_proxy->result == ERR_AGAIN)
        return;
    if (d->to_proxy && answers(d->to_proxy)) {
        found(f, FINDING_OK, "%s", shown);
        return;
    }
    bool configured = api_target(d->api)->proxy != NULL;
    found(f, FINDING_FAILED, "%s cannot be reached: %s", shown,
          d->to_proxy ? diag_text(&d->to_proxy->why, d->to_proxy->result)
                      : "it is not a URL of a proxy");
    if (configured)
        found_fix(f, "correct or remove proxy-url in the kubeconfig");
    else
        found_fix(f, "unset HTTPS_PROXY, or except the API server: export NO_PROXY=%s",
                  api_target(d->api)->host);
}

/* --- API server --- */

static void begin_version(struct doctor *d, size_t i)
{
    const struct kube_target *t = api_target(d->api);
    AUTO_FREE char *url = xasprintf("%s/version", t->server);
    const struct transfer_request request = {
        .method = "GET",
        .url = url,
        .identity = credentials_identity(api_credentials(d->api)),
        .proxy = t->proxy,
        .timeout_ms = CALL_MS,
        .body_limit = BODY_MAX,
    };

    d->sent_at[i] = doctor_now(d);
    d->version[i] = transfer_open(d->transfers, &request, &d->task);
}

static void note_skew(struct doctor *d, const char *date)
{
    int64_t theirs;

    if (!http_date_parse(date, &theirs))
        d->skew = theirs - (int64_t)time(NULL);
}

/* "v1.34.0"; "" if the answer has none, for example because anonymous requests are refused. */
static void copy_version(struct transfer *t, char ret[static 64])
{
    char text[4096];
    size_t len = bufq_copy(&t->body, 0, text, sizeof(text));
    json_auto_t *answer = json_loadb(text, len, 0, NULL);
    const char *version = json_string_value(json_object_get(answer, "gitVersion"));

    snprintf(ret, 64, "%s", version ? version : "");
}

static void explain_server(struct doctor *d, struct finding *f, const struct transfer *t)
{
    const struct kube_target *target = api_target(d->api);

    found(f, FINDING_FAILED, "%s", diag_text(&t->why, t->result));
    if (t->result == ERR_TLS)
        found_fix(f, "compare certificate-authority-data in the kubeconfig with the "
                     "server's certificate; a proxy that replaces certificates needs its "
                     "authority there");
    else
        found_fix(f,
                  "see whether the address is right and reachable: curl -k %s/version\n"
                  "a VPN or a firewall may be in the way",
                  target->server);
}

void check_server(struct doctor *d, struct finding *f)
{
    char version[64] = "";

    if (check_begins(d, CHECK_SERVER))
        begin_version(d, 0);
    if (d->version[0]->result == ERR_AGAIN)
        return;
    if (d->version[0]->result) {
        explain_server(d, f, d->version[0]);
        return;
    }
    if (!d->version[1]) {
        d->took[0] = doctor_now(d) - d->sent_at[0];
        note_skew(d, d->version[0]->date);
        begin_version(d, 1); /* on the same connection: a round trip and nothing else */
    }
    if (d->version[1]->result == ERR_AGAIN)
        return;
    d->took[1] = doctor_now(d) - d->sent_at[1];
    copy_version(d->version[0], version);
    found(f, FINDING_OK,
          "%s %s%sanswers in %" PRIu64 " ms, and on an open connection in %" PRIu64 " ms",
          api_target(d->api)->server, version, version[0] ? " " : "", d->took[0],
          d->took[1]);
}

/* --- clock --- */

void check_clock(struct doctor *d, struct finding *f)
{
    int64_t skew = d->skew, size = skew < 0 ? -skew : skew;

    if (!d->version[0]->date[0]) {
        found(f, FINDING_OK, "not compared: the API server sends no date");
        return;
    }
    if (size < SKEW_WARNING_S) {
        found(f, FINDING_OK, "%" PRId64 " s from the API server's", size);
        return;
    }
    found(f, size < SKEW_FAILED_S ? FINDING_WARNING : FINDING_FAILED,
          "this machine's clock is %" PRId64 " s %s the API server's, so tokens and "
          "certificates may be refused as expired or not yet valid",
          size, skew < 0 ? "ahead of" : "behind");
    found_fix(f, "set the clock: sudo timedatectl set-ntp true");
}

void server_finish(struct doctor *d)
{
    transfer_close(d->to_proxy);
    transfer_close(d->version[0]);
    transfer_close(d->version[1]);
    api_destroy(d->api);
    transfers_destroy(d->transfers);
    exec_plugins_destroy(d->plugins);
}
