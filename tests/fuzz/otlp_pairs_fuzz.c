/* tests/fuzz/otlp_pairs_fuzz.c - any text as the headers or attributes of --otlp
 *
 * What is accepted has names and values without a NUL, what is refused names its element and
 * leaves nothing; accepted headers are fields that stay on their line; and the attributes are
 * JSON, each name once.
 */
#include <assert.h>
#include <jansson.h>

#include "base/own.h"
#include "otlp/batch.h"
#include "wire/http1_chars.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_headers(const struct pair_list *l)
{
    struct diag why = { "" };

    if (pairs_check_headers(l, &why)) {
        assert(strstr(why.text, "element "));
        return;
    }
    for (size_t i = 0; i < l->count; i++) {
        for (const char *c = l->at[i].name; *c; c++)
            assert(is_token_char(*c));
        assert(!strpbrk(l->at[i].value, "\r\n"));
        assert(!str_ieq(str_of(l->at[i].name), STR("content-length")));
    }
}

static void check_resource(const struct pair_list *l, const char *service_name)
{
    struct json_out o = { 0 };

    batch_resource(&o, service_name, l);
    AUTO_FREE char *text = xasprintf("[%.*s]", (int)o.len, o.at);
    json_t *list = json_loads(text, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    assert(list && json_array_size(list) >= 2 && json_array_size(list) <= l->count + 2);
    json_decref(list);
    json_out_finish(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = { (const char *)bytes, len };
    struct pair_list list;
    struct diag why = { "" };

    if (pairs_parse(text, &list, &why)) {
        assert(why.text[0] && !list.count && !list.at);
        return 0;
    }
    assert(list.count <= PAIRS_MAX);
    check_headers(&list);
    check_resource(&list, list.count % 2 ? NULL : "edge");
    if (list.count)
        assert(pairs_find(&list, list.at[list.count - 1].name) ==
               list.at[list.count - 1].value);
    pairs_finish(&list);
    return 0;
}
