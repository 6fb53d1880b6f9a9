/* net/tls.c - TLS as a stream on top of another stream
 *
 *      user ── out ──▶ SSL_write ──▶ BIO ──▶ below.out ──▶
 *      user ◀── in ─── SSL_read ◀─── BIO ◀── below.in ◀──
 *
 * The BIO (net/tls_bio.h) has no buffer of its own: it is the two queues of the stream below.  A
 * record is encrypted only while below.out has room for a whole one, so a write never stops half
 * way.  What lies together in `out` becomes one record; small writes lie together because
 * base/bufq.c gathers them.
 */
#include "net/tls.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

#include "base/address.h"
#include "base/own.h"
#include "net/tls_bio.h"
#include "net/tls_identity_ssl.h"
#include "net/tls_ssl.h"

#define TLS_IN_LIMIT (8 * CHUNK_ROOM)
#define TLS_OUT_LIMIT (5 * CHUNK_ROOM) /* four chunks of payload, and frame heads */
#define RECORD_ROOM (17 * 1024)        /* a full record and its overhead */
#define RECORD_MAX 16384
#define RECORD_HEAD 5
#define RECORD_FIRST 20 /* the first byte of a record is its type */
#define RECORD_LAST 24

struct tls {
    struct stream stream;
    struct stream *below;
    struct tls_context *context;
    SSL *ssl;
    bool ready;
    char *server_name; /* client: verified; NULL: a server */
    /* client: why the handshake has failed; NULL after one that has succeeded */
    struct tls_report *report;
    bool has_answered; /* client: a byte of the server has come */
    bool mistrusted;   /* the far end does not accept the certificate */
    bool unverifiable; /* the server's name cannot be compared with its certificate */
    struct task read;  /* the wake of the stream below */
    struct task flush; /* the user changed the queues */
};

static struct tls *tls_of(struct stream *s)
{
    return container_of(s, struct tls, stream);
}

static const char *reason_of(unsigned long code)
{
    const char *reason = ERR_reason_error_string(code);
    return reason ? reason : "no reason given";
}

static bool is_end(unsigned long code)
{
    return ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING || !code;
}

static void note_fault(struct tls_report *r, unsigned long code)
{
    if (r->fault)
        return; /* TLS_FAULT_NOT_TLS: the first byte was none of TLS */
    r->fault = r->why.text[0] ? TLS_FAULT_CERTIFICATE
               : is_end(code) ? TLS_FAULT_ENDED
               : ERR_GET_REASON(code) == SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL
                   ? TLS_FAULT_ALPN
                   : TLS_FAULT_PROTOCOL;
}

/* Why the last operation failed, for a person. */
static void explain(const struct tls *t, struct diag *ret)
{
    unsigned long code = ERR_peek_last_error();

    if (t->report)
        note_fault(t->report, code);
    if (t->report && t->report->why.text[0])
        diag_set(ret, OK, "the certificate of %s %s", t->server_name,
                 t->report->why.text);
    else if (is_end(code))
        diag_set(ret, OK, "%s",
                 t->below->end.why.text[0] ? t->below->end.why.text
                 : t->ready                ? "closed by the peer"
                                           : "closed during the TLS handshake");
    else if (SSL_is_server(t->ssl) ||
             !tls_explain_alert(t->context->identity, reason_of(code), ret))
        diag_set(ret, OK, "TLS: %s", reason_of(code));
    ERR_clear_error();
}

/* Is it an alert of a client about the certificate? */
static bool is_mistrust(unsigned long code)
{
    switch (ERR_GET_REASON(code)) {
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return true;
    default:
        return false;
    }
}

/* The stream below has ended, or its bytes are no TLS.  A client has sent nothing of its user
 * before the handshake is complete. */
static enum verdict verdict_of(const struct tls *t)
{
    enum verdict below = t->below->end.verdict;
    bool by_peer = below == V_CLEAN || below == V_RESET;

    if (below == V_OPEN)
        return V_RESET;
    if (by_peer)
        return t->report ? V_REFUSED : V_RESET;
    return below;
}

static void fail(struct tls *t)
{
    struct diag why;

    t->mistrusted = !t->ready && is_mistrust(ERR_peek_last_error());
    explain(t, &why);
    stream_end(&t->stream, verdict_of(t), why.text);
}

/* After an operation that did not succeed: true when it only waits for bytes or room. */
static bool must_wait(struct tls *t, int result)
{
    int e = SSL_get_error(t->ssl, result);
    if (e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE)
        return true;
    if (e == SSL_ERROR_ZERO_RETURN)
        stream_end(&t->stream, V_CLEAN, NULL);
    else
        fail(t);
    return false;
}

/* Call it before an operation, because SSL_get_error also looks at old errors.  Clearing
 * an empty queue is slower than checking whether it is empty. */
static void forget_errors(void)
{
    if (ERR_peek_error())
        ERR_clear_error();
}

static int report_index(void)
{
    static int index = -1;

    if (index < 0)
        index = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    assert(index >= 0);
    return index;
}

struct tls_report *tls_ssl_report(const SSL *ssl)
{
    return SSL_get_ex_data(ssl, report_index());
}

static bool is_record_type(uint8_t byte)
{
    return byte >= RECORD_FIRST && byte <= RECORD_LAST;
}

/* Is the first byte from the server one of TLS? */
static void look_at_answer(struct tls *t)
{
    uint8_t first;

    if (!t->report || t->has_answered ||
        bufq_copy(&t->below->in, 0, &first, sizeof(first)) == 0)
        return;
    t->has_answered = true;
    if (!is_record_type(first))
        t->report->fault = TLS_FAULT_NOT_TLS;
}

static bool shake_hands(struct tls *t)
{
    if (t->ready)
        return true;
    look_at_answer(t);
    forget_errors();
    int result = SSL_do_handshake(t->ssl);
    if (result == 1) {
        t->ready = true;
        tls_explain_in(t->ssl, NULL);
        SSL_set_ex_data(t->ssl, report_index(), NULL);
        free(TAKE(t->report));
        task_wake(t->stream.wake);
        return true;
    }
    must_wait(t, result);
    return false;
}

/* Is there a whole record?  For a part of one, OpenSSL would hold a buffer of 17 KB until
 * the rest is there. */
static bool has_record(const struct bufq *in)
{
    uint8_t head[RECORD_HEAD];

    if (bufq_copy(in, 0, head, sizeof(head)) < sizeof(head))
        return false;
    if (!is_record_type(head[0]))
        return true; /* not a record, which OpenSSL reports */
    size_t len = sizeof(head) + ((size_t)head[3] << 8 | head[4]);
    return in->len >= len || bufq_full(in);
}

/* Is there a record to decrypt?  A call without one costs as much as a small record. */
static bool has_more(const struct tls *t)
{
    return has_record(&t->below->in) || t->below->in_eof || t->below->broken ||
           SSL_has_pending(t->ssl);
}

static void decrypt(struct tls *t)
{
    struct stream *s = &t->stream;
    size_t before = s->in.len;

    if (!shake_hands(t))
        return;
    while (!s->in_eof && !s->paused && has_more(t)) {
        size_t room;
        uint8_t *to = bufq_reserve(&s->in, &room);
        if (!to)
            break;
        forget_errors();
        int n = SSL_read(t->ssl, to, (int)room);
        if (n > 0) {
            bufq_commit(&s->in, (size_t)n);
            continue;
        }
        bufq_settle(&s->in);
        must_wait(t, n);
        break;
    }
    if (s->in.len != before)
        task_wake(s->wake);
}

static void encrypt(struct tls *t)
{
    struct stream *s = &t->stream;
    bool wrote = false;

    while (!bufq_empty(&s->out) && !s->broken &&
           bufq_room(&t->below->out) >= RECORD_ROOM) {
        size_t len;
        const uint8_t *from = bufq_peek(&s->out, &len);
        forget_errors();
        int n = SSL_write(t->ssl, from, (int)(len < RECORD_MAX ? len : RECORD_MAX));
        if (n <= 0) {
            must_wait(t, n);
            break;
        }
        bufq_skip(&s->out, (size_t)n);
        wrote = true;
    }
    if (wrote)
        task_wake(s->wake);
}

static void finish_out(struct tls *t)
{
    struct stream *s = &t->stream;
    if (!s->shut || s->out_eof || s->broken || !bufq_empty(&s->out))
        return;
    s->out_eof = true;
    SSL_shutdown(t->ssl);
    ERR_clear_error();
    stream_shutdown(t->below);
}

static void end_with_below(struct tls *t)
{
    if (t->report)
        note_fault(t->report, 0);
    stream_end(&t->stream, verdict_of(t), diag_text(&t->below->end.why, ERR_RESET));
}

static void work(struct tls *t)
{
    if (t->stream.broken)
        return;
    if (t->unverifiable) {
        stream_end(&t->stream, V_RESET, "TLS: the server's name is none to verify");
        return;
    }
    decrypt(t);
    if (t->ready && !t->stream.broken) {
        encrypt(t);
        finish_out(t);
    }
    if (t->below->broken && !t->stream.broken)
        end_with_below(t);
    t->below->paused = t->stream.paused || bufq_full(&t->stream.in);
    stream_set_stuck(&t->stream, t->below->stuck);
    stream_update(t->below);
}

/* Bytes came from below: decrypt now, so that the reader runs in this turn; writing waits
 * for the flush, which is once per turn. */
static void on_read(struct task *task)
{
    struct tls *t = container_of(task, struct tls, read);
    if (!t->stream.broken && !t->unverifiable)
        decrypt(t);
    if (t->stream.shut)
        task_wake(t->stream.wake); /* it may wait until all is sent (stream_unsent) */
    task_wake(&t->flush);
}

static void on_tls_flush(struct task *task)
{
    work(container_of(task, struct tls, flush));
}

static void tls_update(struct stream *s)
{
    if (s->shut && !s->out_eof)
        work(tls_of(s)); /* the user may close the stream in this turn */
    else
        task_wake(&tls_of(s)->flush);
}

static void tls_free(struct tls *t)
{
    task_cancel(&t->read);
    task_cancel(&t->flush);
    SSL_free(t->ssl);
    tls_context_unref(t->context);
    free(t->server_name);
    free(t->report);
    stream_finish(&t->stream);
    free(t);
}

static void tls_close(struct stream *s)
{
    struct tls *t = tls_of(s);

    s->wake = NULL;
    if (t->ready && !s->broken && !s->out_eof) {
        encrypt(t);
        SSL_shutdown(t->ssl); /* close_notify; tcp_close sends what it can at once */
        ERR_clear_error();
    }
    stream_close(TAKE(t->below));
    tls_free(t);
}

static void tls_abort(struct stream *s)
{
    struct tls *t = tls_of(s);
    stream_abort(TAKE(t->below));
    tls_free(t);
}

static void tls_set_patience(struct stream *s, uint64_t ms)
{
    stream_set_patience(tls_of(s)->below, ms);
}

static void tls_lend(struct stream *s, bool lent)
{
    stream_lend(tls_of(s)->below, lent);
}

static void tls_set_alone(struct stream *s, bool alone)
{
    stream_set_alone(tls_of(s)->below, alone);
}

static struct stream *stream_below(const struct stream *s)
{
    return container_of(s, const struct tls, stream)->below;
}

static bool tls_is_reusable(const struct stream *s)
{
    return stream_is_reusable(stream_below(s));
}

static bool tls_is_free(const struct stream *s, bool alone)
{
    return stream_is_free(stream_below(s), alone);
}

static const struct stream_ops tls_ops = {
    .update = tls_update,
    .close = tls_close,
    .abort = tls_abort,
    .set_patience = tls_set_patience,
    .lend = tls_lend,
    .set_alone = tls_set_alone,
    .is_reusable = tls_is_reusable,
    .is_free = tls_is_free,
    .below = stream_below,
};

struct stream *tls_open(struct sched *sched, struct chunk_pool *pool,
                        struct tls_context *c, struct stream *below)
{
    struct tls *t = xcalloc(1, sizeof(*t));
    BIO *bio = tls_bio_new(c->bio, below);

    stream_init(&t->stream, &tls_ops, pool, TLS_IN_LIMIT, TLS_OUT_LIMIT);
    task_init(&t->read, sched, RANK_READ, on_read);
    task_init(&t->flush, sched, RANK_FLUSH, on_tls_flush);
    t->context = tls_context_ref(c);
    t->below = below;
    t->ssl = SSL_new(c->ssl);
    if (!t->ssl || !bio)
        abort(); /* out of memory */
    SSL_set_bio(t->ssl, bio, bio);
    below->wake = &t->read;
    task_wake(&t->flush);
    return &t->stream;
}

/* SNI is for names only. */
static bool expect_name(SSL *ssl, const char *name)
{
    if (!tls_verify_name(SSL_get0_param(ssl), name))
        return false;
    return host_is_address(str_of(name)) || SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct stream *tls_client_begin(struct sched *sched, struct chunk_pool *pool,
                                struct tls_context *c, struct stream *below,
                                const char *server_name)
{
    struct stream *s = tls_open(sched, pool, c, below);
    struct tls *t = tls_of(s);

    SSL_set_connect_state(t->ssl);
    t->report = xcalloc(1, sizeof(*t->report));
    SSL_set_ex_data(t->ssl, report_index(), t->report);
    t->server_name = xstrdup(server_name);
    if (c->session)
        SSL_set_session(t->ssl, c->session);
    return s;
}

struct stream *tls_client_open(struct loop *l, struct tls_context *c,
                               struct stream *below, const char *server_name)
{
    struct stream *s =
        tls_client_begin(loop_sched(l), loop_pool(l), c, below, server_name);
    struct tls *t = tls_of(s);

    tls_explain_in(t->ssl, &t->report->why);
    t->unverifiable =
        !expect_name(t->ssl, server_name) && !tls_identity_insecure(c->identity);
    return s;
}

bool tls_is_mistrusted(const struct stream *s)
{
    return s->ops == &tls_ops && container_of(s, const struct tls, stream)->mistrusted;
}

bool tls_ready(const struct stream *s)
{
    return s->ops == &tls_ops && container_of(s, const struct tls, stream)->ready;
}

const struct tls_report *tls_report(const struct stream *s)
{
    return s->ops == &tls_ops ? container_of(s, const struct tls, stream)->report : NULL;
}

SSL *tls_ssl(const struct stream *s)
{
    return s->ops == &tls_ops ? container_of(s, const struct tls, stream)->ssl : NULL;
}
