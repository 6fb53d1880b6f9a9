#include "serve/grpc.h"

#include <stdio.h>

#define TIMEOUT_MAX 99999999 /* eight digits */

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum {
    GRPC_INTERNAL = 13,
    GRPC_UNAUTHENTICATED = 16,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_UNAVAILABLE = 14,
    GRPC_UNKNOWN = 2,
};

/* application/grpc, application/grpc+proto, application/grpc; ... and not grpc-web. */
bool grpc_is_request(const struct http1_head *head)
{
    static const struct str type = { "application/grpc", 16 };
    const struct http1_field *field = http1_find(head, FIELD_CONTENT_TYPE);

    if (!field || field->value.len < type.len ||
        !str_ieq(str_first(field->value, type.len), type))
        return false;
    return field->value.len == type.len || field->value.at[type.len] == '+' ||
           field->value.at[type.len] == ';';
}

/* The last digit of a duration is its unit. */
static uint64_t to_ms(uint64_t value, char unit)
{
    switch (unit) {
    case 'H':
        return value * 3600000;
    case 'M':
        return value * 60000;
    case 'S':
        return value * 1000;
    case 'm':
        return value;
    case 'u':
        return value / 1000;
    case 'n':
        return value / 1000000;
    default:
        return UINT64_MAX;
    }
}

uint64_t grpc_timeout_ms(const struct http1_head *head)
{
    for (size_t i = 0; i < head->count; i++) {
        struct str value = head->fields[i].value;
        uint64_t number;
        if (!str_ieq(head->fields[i].name, STR("grpc-timeout")) || value.len < 2)
            continue;
        if (str_to_uint(str_first(value, value.len - 1), TIMEOUT_MAX, &number))
            continue;
        uint64_t ms = to_ms(number, value.at[value.len - 1]);
        return ms ? ms : 1;
    }
    return UINT64_MAX;
}

static int code_of(int status)
{
    switch (status) {
    case 400:
        return GRPC_INTERNAL;
    case 401:
        return GRPC_UNAUTHENTICATED;
    case 403:
        return GRPC_PERMISSION_DENIED;
    case 404:
        return GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return GRPC_UNAVAILABLE;
    default:
        return GRPC_UNKNOWN;
    }
}

/* Percent-encoded, as the protocol wants it: printable ASCII but %. */
static size_t encode(struct str text, char room[GRPC_MESSAGE_ROOM])
{
    size_t len = 0;

    for (size_t i = 0; i < text.len && len + 3 < GRPC_MESSAGE_ROOM; i++) {
        unsigned char byte = (unsigned char)text.at[i];
        if (byte >= ' ' && byte < 0x7f && byte != '%') {
            room[len++] = (char)byte;
            continue;
        }
        room[len++] = '%';
        room[len++] = "0123456789ABCDEF"[byte >> 4];
        room[len++] = "0123456789ABCDEF"[byte & 15];
    }
    return len;
}

void grpc_page(struct page *page, struct str text, char room[GRPC_MESSAGE_ROOM])
{
    page->grpc_message = (struct str){ room, encode(text, room) };
    page->grpc_status = code_of(page->status);
    page->type = "application/grpc";
    page->body = (struct str){ 0 };
}

struct str grpc_unavailable(const char *problem, char room[GRPC_TRAILERS_ROOM])
{
    char message[GRPC_MESSAGE_ROOM];
    size_t len = encode(str_of(problem), message);

    int n =
        snprintf(room, GRPC_TRAILERS_ROOM, "grpc-status: %d\r\ngrpc-message: %.*s\r\n",
                 GRPC_UNAVAILABLE, (int)len, message);
    return (struct str){ room, (size_t)n };
}
