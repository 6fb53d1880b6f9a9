/* otlp/batch.c - spans as text, in the JSON mapping of the OpenTelemetry protocol
 *
 * Ids are in hexadecimal digits and numbers of 64 bits in quotes, as that mapping wants them.
 */
#include "otlp/batch.h"

#include "wire/trace_context.h"

#define STATUS_ERROR 2

static void put(struct json_out *o, const char *text)
{
    json_out_raw(o, str_of(text));
}

static void put_hex(struct json_out *o, const uint8_t *bytes, size_t len)
{
    char digits[2 * TRACE_ID_SIZE];

    hex_write(bytes, len, digits);
    json_out_raw(o, (struct str){ digits, 2 * len });
}

/* In nanoseconds. */
static void put_time(struct json_out *o, uint64_t ms)
{
    json_out_number(o, ms);
    put(o, "000000\"");
}

static void put_attribute(struct json_out *o, const struct otlp_attribute *a)
{
    put(o, "{\"key\":\"");
    put(o, a->name);
    if (a->text.at) {
        put(o, "\",\"value\":{\"stringValue\":");
        json_out_string(o, str_first(a->text, OTLP_TEXT_MAX));
        put(o, "}}");
    } else {
        put(o, "\",\"value\":{\"intValue\":\"");
        json_out_number(o, a->number);
        put(o, "\"}}");
    }
}

static void put_attributes(struct json_out *o, const struct otlp_span *s)
{
    put(o, ",\"attributes\":[");
    for (size_t i = 0; i < s->attribute_count; i++) {
        if (i)
            put(o, ",");
        put_attribute(o, &s->attributes[i]);
    }
    put(o, "]");
}

void batch_add(struct json_out *o, const struct otlp_span *s, uint64_t ahead_ms)
{
    put(o, o->len ? ",{\"traceId\":\"" : "{\"traceId\":\"");
    put_hex(o, s->trace_id, TRACE_ID_SIZE);
    put(o, "\",\"spanId\":\"");
    put_hex(o, s->span_id, SPAN_ID_SIZE);
    if (s->parent_id) {
        put(o, "\",\"parentSpanId\":\"");
        put_hex(o, s->parent_id, SPAN_ID_SIZE);
    }
    put(o, "\",\"name\":");
    json_out_string(o, str_of(s->name));
    put(o, ",\"kind\":");
    json_out_number(o, s->kind);
    put(o, ",\"startTimeUnixNano\":\"");
    put_time(o, s->begin + ahead_ms);
    put(o, ",\"endTimeUnixNano\":\"");
    put_time(o, s->end + ahead_ms);
    if (s->attribute_count)
        put_attributes(o, s);
    if (s->failed) {
        put(o, ",\"status\":{\"code\":");
        json_out_number(o, STATUS_ERROR);
        put(o, "}");
    }
    put(o, "}");
}

static void put_text(struct json_out *o, const char *name, const char *value)
{
    put(o, o->len ? ",{\"key\":" : "{\"key\":");
    json_out_string(o, str_of(name));
    put(o, ",\"value\":{\"stringValue\":");
    json_out_string(o, str_of(value));
    put(o, "}}");
}

void batch_resource(struct json_out *ret, const char *service_name,
                    const struct pair_list *attributes)
{
    const char *name = pairs_find(attributes, "service.name");
    const char *version = pairs_find(attributes, "service.version");

    json_out_clear(ret);
    if (service_name && *service_name)
        name = service_name;
    put_text(ret, "service.name", name && *name ? name : "kube-tunnel");
    put_text(ret, "service.version", version ? version : VERSION);
    for (size_t i = 0; i < attributes->count; i++) {
        const struct pair *p = &attributes->at[i];
        bool is_last = pairs_find(attributes, p->name) == p->value;
        if (is_last && strcmp(p->name, "service.name") != 0 &&
            strcmp(p->name, "service.version") != 0)
            put_text(ret, p->name, p->value);
    }
}

void batch_finish(const struct json_out *resource, const struct json_out *spans,
                  struct json_out *ret)
{
    json_out_clear(ret);
    put(ret, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    json_out_raw(ret, (struct str){ resource->at, resource->len });
    put(ret, "]},\"scopeSpans\":[{\"scope\":{\"name\":\"kube-tunnel\","
             "\"version\":\"" VERSION "\"},\"spans\":[");
    json_out_raw(ret, (struct str){ spans->at, spans->len });
    put(ret, "]}]}]}");
    *json_out_reserve(ret, 1) = '\0';
}
