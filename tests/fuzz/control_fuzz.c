/* tests/fuzz/control_fuzz.c - a client of the control socket that sends any bytes
 *
 * The bytes are sent as a request, in two parts, to the operations that need no cluster, and
 * are also the host, path and fields of an event.  An event is one line of printable ASCII that
 * is valid JSON, whatever is in it.
 */
#include <assert.h>
#include <jansson.h>

#include "../session/control_rig.h"
#include "base/own.h"
#include "control/event.h"
#include "control/operation.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* These ask a cluster. */
static bool needs_cluster(struct str text)
{
    AUTO_FREE char *copy = str_dup(text);

    return strlen(copy) != text.len || strstr(copy, "/status") ||
           strstr(copy, "/services") || strstr(copy, "/explain");
}

static void send_request(struct str text)
{
    struct control_rig *r = control_rig_create();
    struct stream *client = control_rig_client(r, 65536);
    size_t cut = text.len / 2;

    bufq_write(&client->out, text.at, cut);
    stream_update(client);
    control_rig_run(r);
    bufq_write(&client->out, text.at + cut, text.len - cut);
    stream_update(client);
    control_rig_run(r);
    control_rig_pass(r, 6000);
    stream_close(client);
    control_rig_run(r);
    control_rig_destroy(r);
}

static void write_event(struct str text)
{
    struct http1_field fields[2] = { { .name = text, .value = STR("a?b=c") },
                                     { .name = STR("Referer"), .value = text } };
    struct http1_head head = { .method = STR("GET"), .fields = fields, .count = 2 };
    struct body_copy body = { (char *)text.at, text.len, false, true };
    struct name name = { .kind = NAME_SERVICE, .service = text, .ns = STR("x") };
    const struct request_event e = { .id = { .kind = 's', .number = text.len },
                                     .client = "::1",
                                     .request = &head,
                                     .host = text,
                                     .path = text,
                                     .name = &name,
                                     .response_head = text,
                                     .request_body = &body,
                                     .response_body = &body };
    const struct reader_filter all = { .heads = true, .bodies = true };
    struct json_out out = { 0 };

    event_write(&e, &all, 1, &out);
    for (size_t i = 0; i + 1 < out.len; i++)
        assert(out.at[i] >= ' ' && out.at[i] < 0x7f);
    assert(out.at[out.len - 1] == '\n');
    json_t *json = json_loadb(out.at, out.len, JSON_ALLOW_NUL, NULL);
    assert(json);
    json_decref(json);
    json_out_finish(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    const struct str text = { (const char *)bytes, len };

    AUTO_FREE char *value = query_value(text, "name");
    if (value)
        json_decref(json_text(value));
    write_event(text);
    if (!needs_cluster(text))
        send_request(text);
    return 0;
}
