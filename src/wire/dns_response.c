/* wire/dns_response.c - encode responses; see wire/dns.h
 *
 * ldns encodes whole packets of any size and allocates for each record, which takes ten times as
 * long; here each record is written at most once, and taken back when it does not fit.
 */
#include <assert.h>

#include "wire/dns.h"

#define OPT_SIZE 11
#define POINTER 0xc000
#define FLAGS_RESPONSE 0x8000
#define FLAGS_AUTHORITATIVE 0x0400
#define FLAGS_TRUNCATED 0x0200
#define FLAGS_RECURSION_DESIRED 0x0100
#define FLAGS_RECURSION_AVAILABLE 0x0080
#define FLAGS_CHECKING_DISABLED 0x0010
#define EDNS_DNSSEC_OK 0x8000
#define STRING_MAX 255

/* A record that is being written: what does not fit is not written, and makes it invalid. */
struct record_writer {
    struct dns_response *response;
    enum dns_section section;
    size_t begin, length_at; /* of the record; of the length of its data */
    bool fits;
};

static size_t room_left(const struct dns_response *r)
{
    size_t end = r->limit - (r->edns ? OPT_SIZE : 0);
    return end > r->len ? end - r->len : 0;
}

static void put_bytes(struct record_writer *w, const void *bytes, size_t n)
{
    w->fits = w->fits && n <= room_left(w->response);
    if (!w->fits)
        return;
    memcpy(w->response->room + w->response->len, bytes, n);
    w->response->len += n;
}

static void store_number(uint8_t *at, uint16_t n)
{
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
}

static void put_u8(struct record_writer *w, uint8_t n)
{
    put_bytes(w, &n, 1);
}

static void put_u16(struct record_writer *w, uint16_t n)
{
    uint8_t bytes[2];
    store_number(bytes, n);
    put_bytes(w, bytes, sizeof(bytes));
}

static void put_u32(struct record_writer *w, uint32_t n)
{
    put_u16(w, (uint16_t)(n >> 16));
    put_u16(w, (uint16_t)n);
}

static void put_labels(struct record_writer *w, struct str labels)
{
    while (labels.len) {
        struct str label;
        labels = str_cut(labels, '.', &label);
        w->fits = w->fits && label.len && label.len <= DNS_LABEL_MAX;
        put_u8(w, (uint8_t)label.len);
        put_bytes(w, label.at, label.len);
    }
}

/* The size of the name that begins at `at` of the message, without compression.  It was
 * written by us or read without compression, so its pointers lead to earlier names only. */
static size_t name_size(const uint8_t *room, size_t at)
{
    size_t size = 1;

    while (room[at]) {
        if (room[at] > DNS_LABEL_MAX) {
            at = (size_t)(room[at] & 0x3f) << 8 | room[at + 1];
            continue;
        }
        size += 1u + room[at];
        at += 1u + room[at];
    }
    return size;
}

/* A name of more than 255 bytes cannot be written. */
static void check_size(struct record_writer *w, struct dns_spelled name)
{
    size_t tail = name.tail ? name_size(w->response->room, name.tail) : 1;
    w->fits =
        w->fits && tail + (name.labels.len ? name.labels.len + 1 : 0) <= DNS_NAME_ROOM;
}

static void put_name(struct record_writer *w, struct dns_spelled name)
{
    check_size(w, name);
    put_labels(w, name.labels);
    if (name.tail)
        put_u16(w, (uint16_t)(POINTER | name.tail));
    else
        put_u8(w, 0);
}

static void put_whole_name(struct record_writer *w, struct dns_spelled name)
{
    const uint8_t *room = w->response->room;
    size_t at = name.tail;

    check_size(w, name);
    put_labels(w, name.labels);
    while (at && room[at] && w->fits) {
        if (room[at] > DNS_LABEL_MAX) {
            at = (size_t)(room[at] & 0x3f) << 8 | room[at + 1];
            continue;
        }
        put_bytes(w, room + at, 1u + room[at]);
        at += 1u + room[at];
    }
    put_u8(w, 0);
}

static void put_string(struct record_writer *w, struct str text)
{
    w->fits = w->fits && text.len <= STRING_MAX;
    put_u8(w, (uint8_t)text.len);
    put_bytes(w, text.at, text.len);
}

static struct record_writer record_begin(struct dns_response *r, enum dns_section section,
                                         struct dns_spelled owner, enum dns_type type,
                                         uint32_t ttl)
{
    struct record_writer w = { r, section, r->len, 0, !r->truncated };

    put_name(&w, owner);
    put_u16(&w, (uint16_t)type);
    put_u16(&w, DNS_CLASS_IN);
    put_u32(&w, ttl);
    w.length_at = r->len;
    put_u16(&w, 0);
    return w;
}

static bool record_end(struct record_writer *w)
{
    struct dns_response *r = w->response;

    if (!w->fits) {
        r->len = w->begin;
        if (w->section == DNS_ANSWER)
            r->truncated = true;
        return false;
    }
    store_number(r->room + w->length_at, (uint16_t)(r->len - w->length_at - 2));
    r->counts[w->section]++;
    return true;
}

bool dns_add_a(struct dns_response *r, enum dns_section section, struct dns_spelled owner,
               uint32_t ttl, struct in_addr address)
{
    struct record_writer w = record_begin(r, section, owner, DNS_A, ttl);
    put_bytes(&w, &address.s_addr, sizeof(address.s_addr));
    return record_end(&w);
}

bool dns_add_name(struct dns_response *r, enum dns_section section,
                  struct dns_spelled owner, enum dns_type type, uint32_t ttl,
                  struct dns_spelled target)
{
    struct record_writer w = record_begin(r, section, owner, type, ttl);
    put_name(&w, target);
    return record_end(&w);
}

bool dns_add_srv(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                 const struct dns_srv *srv, uint16_t *ret_target)
{
    struct record_writer w = record_begin(r, DNS_ANSWER, owner, DNS_SRV, ttl);

    put_u16(&w, srv->priority);
    put_u16(&w, srv->weight);
    put_u16(&w, srv->port);
    uint16_t target = (uint16_t)r->len;
    put_whole_name(&w, srv->target);
    if (!record_end(&w))
        return false;
    *ret_target = target;
    return true;
}

bool dns_add_txt(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                 struct str text)
{
    struct record_writer w = record_begin(r, DNS_ANSWER, owner, DNS_TXT, ttl);
    put_string(&w, text);
    return record_end(&w);
}

bool dns_add_hinfo(struct dns_response *r, struct dns_spelled owner, uint32_t ttl,
                   struct str cpu, struct str os)
{
    struct record_writer w = record_begin(r, DNS_ANSWER, owner, DNS_HINFO, ttl);
    put_string(&w, cpu);
    put_string(&w, os);
    return record_end(&w);
}

bool dns_add_soa(struct dns_response *r, enum dns_section section,
                 struct dns_spelled owner, uint32_t ttl, const struct dns_soa *soa)
{
    struct record_writer w = record_begin(r, section, owner, DNS_SOA, ttl);

    put_name(&w, soa->server);
    put_name(&w, soa->mailbox);
    put_u32(&w, soa->serial);
    put_u32(&w, soa->refresh);
    put_u32(&w, soa->retry);
    put_u32(&w, soa->expire);
    put_u32(&w, soa->minimum);
    return record_end(&w);
}

struct dns_spelled dns_question_from(const struct dns_query *q, size_t i)
{
    size_t at = i < q->name.labels ? q->name.at[i] : q->name.len - 1u;
    return (struct dns_spelled){ .tail = (uint16_t)(DNS_HEAD + at) };
}

void dns_response_begin(struct dns_response *r, const struct dns_query *q, uint8_t *room,
                        size_t limit)
{
    assert(limit >= DNS_UDP_MIN && limit <= UINT16_MAX);
    *r = (struct dns_response){
        .room = room,
        .limit = limit,
        .len = DNS_HEAD,
        .rcode = q->rcode,
        .id = q->id,
        .opcode = q->opcode,
        .recursion_desired = q->recursion_desired,
        .checking_disabled = q->checking_disabled,
        .edns = q->edns,
        .dnssec_ok = q->dnssec_ok,
        .has_question = q->has_question,
    };
    if (!q->has_question)
        return;
    memcpy(room + r->len, q->name.wire, q->name.len);
    r->len += q->name.len;
    store_number(room + r->len, q->type);
    store_number(room + r->len + 2, q->class);
    r->len += 4;
}

static uint16_t flags_of(const struct dns_response *r)
{
    return (uint16_t)(FLAGS_RESPONSE | (unsigned)r->opcode << 11 |
                      (r->authoritative ? FLAGS_AUTHORITATIVE : 0) |
                      (r->truncated ? FLAGS_TRUNCATED : 0) |
                      (r->recursion_desired ? FLAGS_RECURSION_DESIRED : 0) |
                      (r->recursion_available ? FLAGS_RECURSION_AVAILABLE : 0) |
                      (r->checking_disabled ? FLAGS_CHECKING_DISABLED : 0) |
                      ((unsigned)r->rcode & 0xf));
}

/* An empty name, the size that we accept, the upper bits of the rcode and the flags. */
static void append_opt(struct dns_response *r)
{
    uint8_t *at = r->room + r->len;

    memset(at, 0, OPT_SIZE);
    store_number(at + 1, DNS_OPT);
    store_number(at + 3, DNS_UDP_MAX);
    at[5] = (uint8_t)(r->rcode >> 4);
    store_number(at + 7, r->dnssec_ok ? EDNS_DNSSEC_OK : 0);
    r->len += OPT_SIZE;
}

size_t dns_response_end(struct dns_response *r)
{
    uint8_t *head = r->room;

    if (r->edns)
        append_opt(r);
    store_number(head, r->id);
    store_number(head + 2, flags_of(r));
    store_number(head + 4, r->has_question);
    store_number(head + 6, r->counts[DNS_ANSWER]);
    store_number(head + 8, r->counts[DNS_AUTHORITY]);
    store_number(head + 10, (uint16_t)(r->counts[DNS_ADDITIONAL] + r->edns));
    return r->len;
}
