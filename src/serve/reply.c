/* serve/reply.c - pages in place of a pod's response */
#include "serve/reply.h"

#include <stdio.h>

#include "admin/admin.h"
#include "base/own.h"
#include "base/partition.h"
#include "cluster/cluster.h"
#include "serve/accounting.h"
#include "serve/error_page.h"
#include "serve/explain.h"
#include "serve/grpc.h"

LOG_MODULE(serve);

static void log_refusal(struct log_id id, enum cause cause, const char *first)
{
    int status = cause_status(cause);

    if (status >= 500)
        log_warn(id, "request failed", LOG_I("status", status),
                 LOG_S("cause", cause_label(cause)), LOG_S("reason", first));
    else
        log_debug(id, "refused", LOG_I("status", status),
                  LOG_S("cause", cause_label(cause)), LOG_S("reason", first));
}

/* Only a certificate has facts that do not fit into the first line. */
static void send_grpc_page(struct page *page, enum cause cause,
                           const struct explanation *text, char room[GRPC_MESSAGE_ROOM])
{
    char message[GRPC_MESSAGE_ROOM];
    bool both = cause == CAUSE_TLS_CERTIFICATE;

    snprintf(message, sizeof(message), "%s%s%s", text->first, both ? ". " : "",
             both ? text->detail : "");
    grpc_page(page, str_of(message), room);
}

void reply_refusal(struct log_id id, const struct refusal *refusal,
                   const struct http1_head *request, const struct cluster *cluster,
                   struct page *ret, char **ret_body)
{
    bool several = cluster && partition_name(cluster->number);
    struct explanation text;

    explain(refusal, several ? cluster->name : NULL, &text);
    log_refusal(id, refusal->cause, text.first);
    /* A gRPC caller that is not understood in HTTP/1 does not read trailers either. */
    bool reads_trailers = refusal->cause != CAUSE_POD_SPEAKS_HTTP2;
    if (request && grpc_is_request(request) && reads_trailers) {
        *ret = (struct page){ .status = cause_status(refusal->cause) };
        *ret_body = xmalloc(GRPC_MESSAGE_ROOM);
        send_grpc_page(ret, refusal->cause, &text, *ret_body);
        return;
    }
    error_page_write(refusal->cause, &text, page_format_wanted(request), ret, ret_body);
}

void reply_own_page(struct admin *admin, const struct http1_head *request,
                    const struct target *target, struct page *ret, char **ret_body)
{
    const struct admin_request of_page = {
        .method = request->method,
        .path = without_query(target->path),
        .authority = request->host ? request->host->value : STR(""),
    };
    struct admin_page own;

    admin_answer(admin, &of_page, &own);
    *ret_body = own.text;
    *ret = (struct page){
        .status = own.status,
        .type = own.type,
        .allow = own.allow,
        .body = str_of(own.text),
    };
}
