/* wire/http1_semantics.c - methods, texts of statuses, and fields of a parsed head (RFC 9110)
 *
 * Method names are compared with their case: "get" is not GET, and has none of its
 * properties.
 */
#include "wire/http1.h"

bool http1_safe(struct str method)
{
    return str_eq(method, STR("GET")) || str_eq(method, STR("HEAD")) ||
           str_eq(method, STR("OPTIONS")) || str_eq(method, STR("TRACE"));
}

bool http1_idempotent(struct str method)
{
    return http1_safe(method) || str_eq(method, STR("PUT")) ||
           str_eq(method, STR("DELETE"));
}

/* clang-format off */
#define REASONS(X) \
    X(100, "Continue") \
    X(101, "Switching Protocols") \
    X(102, "Processing") \
    X(103, "Early Hints") \
    X(200, "OK") \
    X(201, "Created") \
    X(202, "Accepted") \
    X(203, "Non-Authoritative Information") \
    X(204, "No Content") \
    X(205, "Reset Content") \
    X(206, "Partial Content") \
    X(207, "Multi-Status") \
    X(208, "Already Reported") \
    X(226, "IM Used") \
    X(300, "Multiple Choices") \
    X(301, "Moved Permanently") \
    X(302, "Found") \
    X(303, "See Other") \
    X(304, "Not Modified") \
    X(305, "Use Proxy") \
    X(307, "Temporary Redirect") \
    X(308, "Permanent Redirect") \
    X(400, "Bad Request") \
    X(401, "Unauthorized") \
    X(402, "Payment Required") \
    X(403, "Forbidden") \
    X(404, "Not Found") \
    X(405, "Method Not Allowed") \
    X(406, "Not Acceptable") \
    X(407, "Proxy Authentication Required") \
    X(408, "Request Timeout") \
    X(409, "Conflict") \
    X(410, "Gone") \
    X(411, "Length Required") \
    X(412, "Precondition Failed") \
    X(413, "Content Too Large") \
    X(414, "URI Too Long") \
    X(415, "Unsupported Media Type") \
    X(416, "Range Not Satisfiable") \
    X(417, "Expectation Failed") \
    X(421, "Misdirected Request") \
    X(422, "Unprocessable Content") \
    X(423, "Locked") \
    X(424, "Failed Dependency") \
    X(425, "Too Early") \
    X(426, "Upgrade Required") \
    X(428, "Precondition Required") \
    X(429, "Too Many Requests") \
    X(431, "Request Header Fields Too Large") \
    X(451, "Unavailable For Legal Reasons") \
    X(500, "Internal Server Error") \
    X(501, "Not Implemented") \
    X(502, "Bad Gateway") \
    X(503, "Service Unavailable") \
    X(504, "Gateway Timeout") \
    X(505, "HTTP Version Not Supported") \
    X(506, "Variant Also Negotiates") \
    X(507, "Insufficient Storage") \
    X(508, "Loop Detected") \
    X(511, "Network Authentication Required")
/* clang-format on */

const char *http1_reason(int status)
{
    switch (status) {
#define X(code, reason)                                                                  \
    case code:                                                                           \
        return reason;
        REASONS(X)
#undef X
    default:
        return "Unknown";
    }
}

void http1_drop(struct http1_head *head, struct str name)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_ieq(head->fields[i].name, name))
            head->fields[i].hop = true;
}

const struct http1_field *http1_find(const struct http1_head *head, enum http1_name id)
{
    for (size_t i = 0; i < head->count; i++)
        if (head->fields[i].id == id)
            return &head->fields[i];
    return NULL;
}

static bool list_has(struct str list, struct str token)
{
    while (!str_empty(list)) {
        struct str member;
        list = str_cut(list, ',', &member);
        if (str_ieq(str_trim(member), token))
            return true;
    }
    return false;
}

bool http1_has_token(const struct http1_head *head, enum http1_name id, struct str token)
{
    for (size_t i = 0; i < head->count; i++)
        if (head->fields[i].id == id && list_has(head->fields[i].value, token))
            return true;
    return false;
}
