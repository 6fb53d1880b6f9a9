/* otlp/span.h - one part of a trace: what, when, and what is known of it */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER = 2 };

/* A text, or a number where text.at is NULL. */
struct otlp_attribute {
    const char *name;
    struct str text; /* at most OTLP_TEXT_MAX bytes of it are written */
    uint64_t number;
};

#define OTLP_TEXT_MAX 1024
#define OTLP_ATTRIBUTES_MAX 16

/* Everything is borrowed for the call. */
struct otlp_span {
    const uint8_t *trace_id, *span_id; /* TRACE_ID_SIZE and SPAN_ID_SIZE bytes */
    const uint8_t *parent_id;          /* NULL: there is none */
    const char *name;
    enum otlp_kind kind;
    uint64_t begin, end; /* ms of the loop's clock */
    bool failed;
    const struct otlp_attribute *attributes; /* at most OTLP_ATTRIBUTES_MAX */
    size_t attribute_count;
};
