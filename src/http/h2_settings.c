/* http/h2_settings.c - limits of connections, as nghttp2's options and as SETTINGS
 *
 * Decision 131 has their reasons.
 */
#include "http/h2_private.h"

#include "base/own.h"

#define CONNECTION_WINDOW                                                                \
    (1 << 20) /* streams have windows of their own that bound them */
#define CONTINUATIONS_MAX 8
#define SETTINGS_MAX 32
#define ANSWERS_MAX 1000

static nghttp2_option *options_create(const struct h2_settings *s)
{
    nghttp2_option *o;

    if (nghttp2_option_new(&o))
        abort();
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_outbound_ack(o, ANSWERS_MAX);
    nghttp2_option_set_max_settings(o, SETTINGS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(o, H2_RESETS_AT_ONCE, H2_RESETS_A_SECOND);
    nghttp2_option_set_max_continuations(o, CONTINUATIONS_MAX);
    nghttp2_option_set_max_send_header_block_length(o, 2 * s->max_head_size);
    nghttp2_option_set_peer_max_concurrent_streams(
        o, s->streams_max < H2_STREAMS_ASSUMED ? s->streams_max : H2_STREAMS_ASSUMED);
    return o;
}

void h2_settings_init(struct h2_settings *s)
{
    list_init(&s->unused);
    s->unused_count = s->blocks_kept = 0;
    memset(s->blocks, 0, sizeof(s->blocks));
    s->options = options_create(s);
    s->callbacks = h2_callbacks_create();
}

void h2_settings_change(struct h2_settings *s, const struct h2_limits *limits)
{
    s->max_head_size = limits->max_head_size;
    s->max_head_fields = limits->max_head_fields;
    s->streams_max = limits->streams_max;
    s->window = limits->window;
    nghttp2_option_del(s->options);
    s->options = options_create(s);
}

void h2_settings_finish(struct h2_settings *s)
{
    h2_settings_trim(s);
    nghttp2_option_del(s->options);
    nghttp2_session_callbacks_del(s->callbacks);
}

void h2_settings_submit(struct h2_connection *c)
{
    const struct h2_settings *s = c->settings;
    const nghttp2_settings_entry of_server[] = {
        { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, c->streams_max },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, c->window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)s->max_head_size },
        { NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1 },
    };
    const nghttp2_settings_entry of_client[] = {
        { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
        { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, c->window },
        { NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)s->max_head_size },
    };

    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE,
                            c->server ? of_server : of_client,
                            c->server ? ARRAY_LEN(of_server) : ARRAY_LEN(of_client));
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
                                          CONNECTION_WINDOW);
}
