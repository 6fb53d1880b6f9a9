/* upstream/securing.c - TLS on the connection of one lease */
#include "upstream/securing.h"

#include "base/own.h"
#include "net/tls_service.h"
#include "upstream/balance.h"

void securing_choose(struct securing *s, struct tls_ports *ports, struct choice *choice)
{
    tls_port_unref(s->port);
    s->port = tls_ports_find(ports, choice->route, choice->service, choice->port_index);
    choice->tls = securing_number(s);
}

void securing_start(struct securing *s, struct stream *below, bool http2,
                    struct task *wake)
{
    s->stream = tls_port_open(s->port, below, http2);
    s->stream->wake = wake;
}

static void fail_with(struct securing *s, const struct tls_report *report,
                      const char *why)
{
    free(s->failure);
    s->failure = tls_port_explain(s->port, report, why);
}

static enum secured on_failure(struct securing *s, struct log_id id)
{
    const struct tls_report *report = tls_report(s->stream);

    if (tls_port_on_failure(s->port, report, id)) {
        securing_stop(s);
        return SECURED_PLAIN;
    }
    if (report->fault == TLS_FAULT_ENDED)
        return SECURED_ENDED;
    fail_with(s, report, diag_text(&s->stream->end.why, ERR_TLS));
    securing_stop(s);
    return SECURED_FAILED;
}

enum secured securing_run(struct securing *s, struct log_id id)
{
    if (tls_ready(s->stream)) {
        tls_port_on_ready(s->port, s->stream);
        return tls_chose_http2(s->stream) ? SECURED_HTTP2 : SECURED_HTTP1;
    }
    return s->stream->broken ? on_failure(s, id) : SECURED_WAIT;
}

void securing_give_up(struct securing *s, struct log_id id)
{
    tls_port_on_failure(s->port, NULL, id);
    fail_with(s, NULL, "the pod did not complete the TLS handshake in time");
}

void securing_stop(struct securing *s)
{
    stream_abort(TAKE(s->stream));
}

void securing_finish(struct securing *s)
{
    securing_stop(s);
    tls_port_unref(TAKE(s->port));
    free(TAKE(s->failure));
}
