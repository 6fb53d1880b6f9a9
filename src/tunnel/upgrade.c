#include "tunnel/upgrade.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/own.h"
#include "wire/http1.h"

void upgrade_request_write(const struct upgrade_request *r, struct bufq *out)
{
    AUTO_FREE char *text = xasprintf(
        "POST %s/api/v1/namespaces/%s/pods/%s/portforward HTTP/1.1\r\n"
        "Host: %s\r\n"
        "User-Agent: kube-tunnel/" VERSION "\r\n"
        "%s%s%s"
        "Content-Length: 0\r\n"
        "Connection: Upgrade\r\n"
        "Upgrade: SPDY/3.1\r\n"
        "X-Stream-Protocol-Version: portforward.k8s.io\r\n"
        "\r\n",
        r->prefix, r->ns, r->pod, r->host, r->authorization ? "Authorization: " : "",
        r->authorization ? r->authorization : "", r->authorization ? "\r\n" : "");
    bufq_write(out, text, strlen(text));
}

static const struct http1_field *find_named(const struct http1_head *head, struct str name)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_ieq(head->fields[i].name, name))
            return &head->fields[i];
    return NULL;
}

static enum err mistaken(struct api_error *ret, const char *why)
{
    ret->code = ERR_UPGRADE;
    return diag_set(&ret->why, ERR_UPGRADE, "%s", why);
}

static enum err check_switch(const struct http1_head *head, struct api_error *ret)
{
    const struct http1_field *protocol =
        find_named(head, STR("X-Stream-Protocol-Version"));

    if (!http1_has_token(head, FIELD_CONNECTION, STR("upgrade")) ||
        !http1_has_token(head, FIELD_UPGRADE, STR("SPDY/3.1")))
        return mistaken(ret, "the API server switched to something else than SPDY/3.1");
    if (!protocol || !str_eq(protocol->value, STR("portforward.k8s.io")))
        return mistaken(ret, "the API server did not choose portforward.k8s.io");
    return OK;
}

static uint32_t retry_after(const struct http1_head *head)
{
    const struct http1_field *f = http1_find(head, FIELD_RETRY_AFTER);
    uint64_t seconds = 0;
    if (f && str_to_uint(f->value, 3600, &seconds))
        seconds = 0;
    return (uint32_t)seconds;
}

/* The body of a refusal that has arrived: all of it, or as much as we care to wait for. */
static enum err refused(const struct http1_head *head, struct str rest, bool eof,
                        struct api_error *ret)
{
    bool whole = eof || rest.len >= UPGRADE_ANSWER_MAX / 2 ||
                 (head->framing == BODY_LENGTH && rest.len >= head->length) ||
                 head->framing == BODY_NONE;
    if (head->framing == BODY_CHUNKED && rest.len > 5)
        whole |= str_ends(rest, STR("0\r\n\r\n"));
    if (!whole)
        return ERR_AGAIN;
    if (head->framing == BODY_LENGTH)
        rest = str_first(rest, (size_t)head->length);
    api_error_from_answer(ret, head->status, retry_after(head), rest);
    return ret->code ? ret->code : mistaken(ret, "the API server did not switch protocols");
}

static enum err parse(const char *text, size_t len, size_t head_len, bool eof,
                      struct api_error *ret)
{
    struct http1_head *head = xcalloc(1, sizeof(*head));
    enum err e = http1_response_parse(text, head_len, STR("POST"), head);
    if (e)
        e = mistaken(ret, head->problem ? head->problem : "not an HTTP answer");
    else if (head->status == 101)
        e = check_switch(head, ret);
    else
        e = refused(head, (struct str){ text + head_len, len - head_len }, eof, ret);
    free(head);
    return e;
}

enum err upgrade_answer_read(struct bufq *in, bool eof, struct api_error *ret)
{
    size_t len = in->len < UPGRADE_ANSWER_MAX ? in->len : UPGRADE_ANSWER_MAX;
    AUTO_FREE char *text = xmalloc(len);
    size_t scanned = 0, head_len = 0;

    bufq_copy(in, 0, text, len);
    enum err e = http1_head_end(text, len, &scanned, &head_len);
    if (e == ERR_AGAIN && len == UPGRADE_ANSWER_MAX)
        return mistaken(ret, "the API server's answer has an endless head");
    if (!e)
        e = parse(text, len, head_len, eof, ret);
    if (!e)
        bufq_skip(in, head_len);
    if (e == ERR_AGAIN && eof) {
        ret->code = ERR_EOF;
        e = diag_set(&ret->why, ERR_EOF, "the API server closed the connection");
    }
    return e;
}
