/* http/h1_heads.c - write heads for the next hop: the same lines, without hop-by-hop fields
 */
#include "http/h1_heads.h"

#include "http/whole.h"

/* Lines that adjoin in memory, gathered until one is left out. */
struct run {
    struct bufq *out;
    struct str lines;
};

static void run_end(struct run *r)
{
    put_str(r->out, r->lines);
    r->lines = (struct str){ 0 };
}

static void run_add(struct run *r, struct str line)
{
    if (str_empty(r->lines) || r->lines.at + r->lines.len != line.at) {
        run_end(r);
        r->lines = line;
        return;
    }
    r->lines.len += line.len;
}

static void run_add_field(struct run *r, const struct http1_field *field)
{
    if (!field->loose) {
        run_add(r, field->line);
        return;
    }
    run_end(r);
    put_str(r->out, field->name);
    put_str(r->out, STR(": "));
    put_str(r->out, field->value);
    put_str(r->out, STR("\r\n"));
}

static void put_line(struct bufq *out, struct str name, struct str value)
{
    put_str(out, name);
    put_str(out, STR(": "));
    put_str(out, value);
    put_str(out, STR("\r\n"));
}

static void put_request_line(const struct http1_head *head,
                             const struct request_form *form, struct bufq *out)
{
    put_str(out, head->method);
    put_str(out, form->add_slash ? STR(" /") : STR(" "));
    put_str(out, form->path);
    put_str(out, STR(" HTTP/1.1\r\n"));
}

static bool request_keeps(const struct http1_head *head, const struct http1_field *field)
{
    if (!field->hop || field->id == FIELD_TRANSFER_ENCODING)
        return true;
    return field->id == FIELD_UPGRADE && head->upgrade;
}

static void put_request_fields(const struct http1_head *head,
                               const struct request_form *form, struct bufq *out)
{
    struct run run = { .out = out };

    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        if (field->id == FIELD_HOST && form->authority.at) {
            run_end(&run);
            put_line(out, STR("Host"), form->authority);
        } else if (request_keeps(head, field)) {
            run_add(&run, field->line);
        }
    }
    run_end(&run);
    if (!head->host && form->authority.at)
        put_line(out, STR("Host"), form->authority);
}

/* Hop-by-hop fields that we support and send on our own behalf. */
static void put_request_hop(const struct http1_head *head, struct bufq *out)
{
    bool te = http1_has_token(head, FIELD_TE, STR("trailers"));

    if (te)
        put_str(out, STR("TE: trailers\r\n"));
    if (te && head->upgrade)
        put_str(out, STR("Connection: TE, Upgrade\r\n"));
    else if (te)
        put_str(out, STR("Connection: TE\r\n"));
    else if (head->upgrade)
        put_str(out, STR("Connection: Upgrade\r\n"));
}

/* What a head of HTTP/2 does without: a body of unknown length goes in chunks, and an empty one
 * is announced (RFC 9110, section 8.6). */
static void put_framing(const struct http1_head *head, bool chunks, struct bufq *out)
{
    bool empty = head->framing == BODY_LENGTH && head->length == 0;

    if ((!chunks && !empty) || http1_find(head, FIELD_CONTENT_LENGTH))
        return;
    put_str(out, chunks ? STR("Transfer-Encoding: chunked\r\n")
                        : STR("Content-Length: 0\r\n"));
}

void h1_request_write(const struct http1_head *head, const struct request_form *form,
                      struct bufq *out)
{
    size_t limit = whole_begin(out);

    put_request_line(head, form, out);
    put_request_fields(head, form, out);
    put_request_hop(head, out);
    put_framing(head, head->framing == BODY_TO_END, out);
    if (form->tls)
        put_line(out, STR("X-Forwarded-Proto"), STR("https"));
    if (form->forwarded)
        put_line(out, STR("Forwarded"), *form->forwarded);
    if (form->trace.len)
        put_line(out, STR("traceparent"), form->trace);
    put_str(out, STR("\r\n"));
    whole_end(out, limit);
}

static void put_status_line(const struct http1_head *head, struct bufq *out)
{
    char status[] = { 'H', 'T', 'T', 'P', '/', '1', '.', '1', ' ', '0', '0', '0', ' ' };

    status[9] = (char)('0' + head->status / 100);
    status[10] = (char)('0' + head->status / 10 % 10);
    status[11] = (char)('0' + head->status % 10);
    put_str(out, (struct str){ status, sizeof(status) });
    put_str(out, head->reason);
    put_str(out, STR("\r\n"));
}

/* 426 names the protocol that the pod requires. */
static bool keeps_upgrade(const struct http1_head *head)
{
    return head->status == 101 || head->status == 426;
}

static bool answer_keeps(const struct http1_head *head, const struct http1_field *field,
                         const struct h1_answer_form *form)
{
    if (field->id == FIELD_TRAILER && form->decode)
        return false;
    if (field->id == FIELD_UPGRADE)
        return keeps_upgrade(head);
    if (field->id == FIELD_TRANSFER_ENCODING)
        return !form->decode && head->status / 100 != 1 && head->status != 204;
    return !field->hop;
}

static void put_answer_connection(const struct http1_head *head,
                                  const struct h1_answer_form *form, struct bufq *out)
{
    bool upgrade = keeps_upgrade(head) && http1_find(head, FIELD_UPGRADE);
    bool final = head->status / 100 != 1;

    if (upgrade && final && form->close)
        put_str(out, STR("Connection: Upgrade, close\r\n"));
    else if (upgrade)
        put_str(out, STR("Connection: Upgrade\r\n"));
    else if (final && form->close)
        put_str(out, STR("Connection: close\r\n"));
    else if (final && form->say_keep_alive)
        put_str(out, STR("Connection: keep-alive\r\n"));
}

void h1_answer_write(const struct http1_head *head, const struct h1_answer_form *form,
                     struct bufq *out)
{
    struct run run = { .out = out };
    size_t limit = whole_begin(out);

    put_status_line(head, out);
    for (size_t i = 0; i < head->count; i++)
        if (answer_keeps(head, &head->fields[i], form))
            run_add_field(&run, &head->fields[i]);
    run_end(&run);
    put_framing(head, form->chunks, out);
    put_answer_connection(head, form, out);
    put_str(out, STR("\r\n"));
    whole_end(out, limit);
}
