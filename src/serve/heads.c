/* serve/heads.c - write heads for the next hop: the same lines, without hop-by-hop fields
 */
#include "serve/heads.h"

#include <stdio.h>

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

static void put_host(struct bufq *out, struct str authority)
{
    put_str(out, STR("Host: "));
    put_str(out, authority);
    put_str(out, STR("\r\n"));
}

static void put_request_line(const struct http1_head *head, const struct target *target,
                             struct bufq *out)
{
    put_str(out, head->method);
    put_str(out, target->add_slash ? STR(" /") : STR(" "));
    put_str(out, target->path);
    put_str(out, STR(" HTTP/1.1\r\n"));
}

static bool request_keeps(const struct http1_head *head, const struct http1_field *field)
{
    if (!field->hop || field->id == FIELD_TRANSFER_ENCODING)
        return true;
    return field->id == FIELD_UPGRADE && head->upgrade;
}

static void put_request_fields(const struct http1_head *head, const struct target *target,
                               struct bufq *out)
{
    struct run run = { .out = out };

    for (size_t i = 0; i < head->count; i++) {
        const struct http1_field *field = &head->fields[i];
        if (field->id == FIELD_HOST && target->authority.at) {
            run_end(&run);
            put_host(out, target->authority);
        } else if (request_keeps(head, field)) {
            run_add(&run, field->line);
        }
    }
    run_end(&run);
    if (!head->host && target->authority.at)
        put_host(out, target->authority);
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

/* Quoted, because an IPv6 address has colons.  The host is the one that was used for routing, and
 * so has only a name's bytes. */
static void put_forwarded(const struct http1_head *head, const struct target *target,
                          const char *client, struct bufq *out)
{
    bool v6 = strchr(client, ':') && client[0] != '[';
    struct str host = target->authority;

    if (!host.at && head->host)
        host = head->host->value;

    put_str(out, v6 ? STR("Forwarded: for=\"[") : STR("Forwarded: for=\""));
    put_str(out, str_of(client));
    put_str(out, v6 ? STR("]\"") : STR("\""));
    if (host.at && !memchr(host.at, '"', host.len)) {
        put_str(out, STR(";host=\""));
        put_str(out, host);
        put_str(out, STR("\""));
    }
    put_str(out, STR(";proto=http\r\n"));
}

void request_head_write(const struct http1_head *head, const struct target *target,
                        const char *forwarded_for, struct bufq *out)
{
    size_t limit = whole_begin(out);

    put_request_line(head, target, out);
    put_request_fields(head, target, out);
    put_request_hop(head, out);
    if (forwarded_for)
        put_forwarded(head, target, forwarded_for, out);
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
                         const struct answer_form *form)
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
                                  const struct answer_form *form, struct bufq *out)
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

void answer_head_write(const struct http1_head *head, const struct answer_form *form,
                       struct bufq *out)
{
    struct run run = { .out = out };
    size_t limit = whole_begin(out);

    put_status_line(head, out);
    for (size_t i = 0; i < head->count; i++)
        if (answer_keeps(head, &head->fields[i], form))
            run_add_field(&run, &head->fields[i]);
    run_end(&run);
    put_answer_connection(head, form, out);
    put_str(out, STR("\r\n"));
    whole_end(out, limit);
}
