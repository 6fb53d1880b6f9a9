/* tests/session/upstream_tls_test.c - leases on service ports that speak TLS
 *
 * The pods are TLS servers in memory, or the test itself writes what they answer.
 */
#include "upstream_rig.h"

#include <stdlib.h>
#include <string.h>

#include "authorities.h"
#include "base/own.h"
#include "net/tls.h"
#include "playground/tls_server.h"
#include "upstream/tls_failure.h"
#include "upstream/tls_rules.h"

#define PODS_MAX 8
#define PLAIN_MS (5 * 60 * 1000)

static struct {
    struct tls_context *context;   /* of the pods; NULL: they are the test itself */
    struct stream *pods[PODS_MAX]; /* the pod's end of each connection */
    size_t pod_count;
    struct task wake;
} t;

static int make_authorities(void **state)
{
    setenv("SSL_CERT_FILE", "/dev/null", 1); /* none of the system's authorities */
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    return authorities_make(state);
}

static void on_wake(struct task *task)
{
    (void)task;
}

static struct tls_pem pem_of(const struct local_ca *authority)
{
    return (struct tls_pem){ local_ca_certificate(authority), "authority" };
}

/* From now on, `rule` (may be NULL) is that of its service; `authority` signs it. */
static void use_rule(const struct tls_rule *rule, const struct local_ca *authority)
{
    AUTO(tls_rules_unrefp) struct tls_rules *rules = tls_rules_create();
    struct tls_pem own = authority ? pem_of(authority) : (struct tls_pem){ 0 };
    struct upstream_settings settings = rig_settings();

    if (rule)
        assert_int_equal(tls_rules_add(rules, rule, authority ? &own : NULL, NULL), OK);
    settings.tls = (struct upstream_tls){ .rules = rules, .cluster_ca = pem_of(ca) };
    upstream_configure(rig.upstream, &settings);
}

static void use(struct tls_rule rule)
{
    static char service[] = "shop/web";

    if (!rule.service)
        rule.service = service;
    use_rule(&rule, NULL);
}

/* The pods' certificate. */
static void pods_have(const char *name, const struct local_ca *by, const char *alpn)
{
    const struct offered offered = { .name = name, .by = by, .days = 1, .alpn = alpn };

    tls_context_unref(TAKE(t.context));
    t.context = context_of_server(&offered);
}

static struct stream *connect_to_pod(void)
{
    struct stream_pair ends =
        mem_stream_pair(rig.sched, loop_pool(rig.loop), 4 * CHUNK_ROOM);
    struct stream *pod = ends.b;

    if (t.context)
        pod = tls_server_open(rig.sched, loop_pool(rig.loop), t.context, ends.b);
    pod->wake = &t.wake;
    assert_in_range(t.pod_count, 0, PODS_MAX - 1);
    t.pods[t.pod_count++] = pod;
    return ends.a;
}

static void serve_port(const char *name, uint16_t number)
{
    rig_service_with_port(
        "a", &(struct service_port){
                 .name = name, .number = number, .tcp = true, .target = 8443 });
}

static int begin(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    rig_begin(state);
    use_rule(NULL, NULL);
    rig.connect = connect_to_pod;
    task_init(&t.wake, rig.sched, RANK_WORK, on_wake);
    pods_have("web.shop.svc", ca, NULL);
    serve_port("https", 443);
    return 0;
}

static int end(void **state)
{
    for (size_t i = 0; i < t.pod_count; i++)
        stream_close(t.pods[i]);
    sched_run(rig.sched, rig.sched->now);
    task_cancel(&t.wake);
    tls_context_unref(t.context);
    return rig_end(state);
}

static void lease(struct borrower *b, enum app_proto proto, uint16_t port)
{
    borrower_init(b, "web.shop.svc");
    b->want.proto = proto;
    b->route.port = port;
    borrower_lease(b);
    rig_run();
}

static void get(struct borrower *b)
{
    lease(b, PROTO_HTTP1_OR_2, 443);
}

static void expect_tls(const struct borrower *b)
{
    if (b->lease.result)
        fail_msg("no lease: %s", b->lease.why.text);
    assert_true(tls_ready(b->lease.stream));
}

static void get_and_keep(void)
{
    struct borrower b;

    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_KEEP);
    rig_run();
}

static const struct tls_failure *expect_failure(const struct borrower *b,
                                                enum tls_fault fault, const char *why)
{
    assert_int_equal(b->lease.result, fault ? ERR_TLS : ERR_TIMEOUT);
    assert_non_null(b->lease.tls_failure);
    assert_int_equal(b->lease.tls_failure->fault, fault);
    assert_true(b->lease.dialling);
    if (!strstr(b->lease.tls_failure->why.text, why))
        fail_msg("it is: %s", b->lease.tls_failure->why.text);
    return b->lease.tls_failure;
}

/* certificates */

static void bytes_of_a_request_arrive_decrypted(void **state)
{
    (void)state;
    struct borrower b;

    get(&b);
    expect_tls(&b);
    bufq_write(&b.lease.stream->out, "GET /", 5);
    stream_update(b.lease.stream);
    rig_run();
    assert_int_equal(t.pods[0]->in.len, 5);
    borrower_return(&b, RELEASE_ABORT);
}

static void a_certificate_of_an_unknown_authority_fails_the_lease(void **state)
{
    (void)state;
    struct borrower b;

    pods_have("web.shop.svc", other_ca, NULL);
    get(&b);
    const struct tls_failure *f =
        expect_failure(&b, TLS_FAULT_CERTIFICATE, "is signed by an unknown authority");
    assert_non_null(strstr(f->certificate.subject, "web"));
    assert_non_null(strstr(f->certificate.issuer, "another authority"));
    assert_string_equal(f->service, "shop/web");
    assert_int_equal(f->port, 443);
    assert_true(f->declared);
    borrower_return(&b, RELEASE_ABORT);
}

static void the_names_of_the_service_are_accepted_and_no_others(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool accepted;
    } rows[] = {
        { "web.shop.svc.cluster.local", true },
        { "web.shop.svc", true },
        { "web.shop", false }, /* api.dev and web.app are public domains */
        { "*.shop.svc", true },
        { "web", false },
        { "web.other.svc", false },
        { "*.svc.cluster.local", false },
    };
    struct borrower b;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        pods_have(rows[i].name, ca, NULL);
        get(&b);
        if ((b.lease.result == OK) != rows[i].accepted)
            fail_msg("%s: %s", rows[i].name, b.lease.why.text);
        borrower_return(&b, RELEASE_ABORT);
        rig_run();
    }
}

static void a_domain_that_is_found_later_is_accepted(void **state)
{
    (void)state;
    struct borrower b;

    pods_have("web.shop.svc.k8s.example", ca, NULL);
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "is for another name");
    borrower_return(&b, RELEASE_ABORT);
    upstream_set_zone(rig.upstream, "k8s.example");
    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_ABORT);
}

static void a_rule_accepts_any_certificate(void **state)
{
    (void)state;
    struct borrower b;

    use((struct tls_rule){ .unverified = true });
    pods_have("elsewhere", other_ca, NULL);
    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_ABORT);
}

static void a_rule_replaces_the_authorities(void **state)
{
    (void)state;
    char service[] = "shop/web";
    struct borrower b;

    use_rule(&(struct tls_rule){ .service = service }, other_ca);
    pods_have("web.shop.svc", other_ca, NULL);
    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_ABORT);
    pods_have("web.shop.svc", ca, NULL);
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "unknown authority");
    borrower_return(&b, RELEASE_ABORT);
}

/* That authority is chosen by the user, and signs no public domains for others. */
static void the_short_name_is_accepted_of_the_authority_of_a_rule_only(void **state)
{
    (void)state;
    char service[] = "shop/web";
    struct borrower b;

    pods_have("web.shop", other_ca, NULL);
    use_rule(&(struct tls_rule){ .service = service }, other_ca);
    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_ABORT);
    pods_have("web.shop", ca, NULL);
    use_rule(&(struct tls_rule){ .service = service }, NULL);
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "is for another name (web.shop, not ");
    borrower_return(&b, RELEASE_ABORT);
}

static void a_rule_replaces_the_name(void **state)
{
    (void)state;
    char name[] = "api.example";
    struct borrower b;

    use((struct tls_rule){ .server_name = name });
    pods_have("api.example", ca, NULL);
    get(&b);
    expect_tls(&b);
    borrower_return(&b, RELEASE_ABORT);
    pods_have("web.shop.svc", ca, NULL);
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "(web.shop.svc, not api.example)");
    borrower_return(&b, RELEASE_ABORT);
}

static void a_pin_is_compared(void **state)
{
    (void)state;
    struct borrower b;

    use((struct tls_rule){ .has_pin = true, .pin = { 1, 2, 3 } });
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "is not the pinned one");
    borrower_return(&b, RELEASE_ABORT);
}

/* A rule that is removed while connections exist, as by a reload. */
static void a_changed_rule_applies_to_the_next_request(void **state)
{
    (void)state;
    struct borrower b;

    use((struct tls_rule){ .unverified = true });
    pods_have("elsewhere", other_ca, NULL);
    get_and_keep();
    use_rule(NULL, NULL);
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "unknown authority");
    borrower_return(&b, RELEASE_ABORT);
}

static void a_rule_of_another_service_does_not_apply(void **state)
{
    (void)state;
    static char other[][16] = { "shop/web2", "shop/we", "shop2/web", "sho/web" };
    struct borrower b;

    pods_have("elsewhere", other_ca, NULL);
    for (size_t i = 0; i < ARRAY_LEN(other); i++) {
        use((struct tls_rule){ .service = other[i], .unverified = true });
        get(&b);
        expect_failure(&b, TLS_FAULT_CERTIFICATE, "unknown authority");
        borrower_return(&b, RELEASE_ABORT);
    }
}

/* idle connections */

static void an_idle_connection_is_lent_again(void **state)
{
    (void)state;

    for (int i = 0; i < 5; i++)
        get_and_keep();
    assert_int_equal(rig.dial_count, 1);
}

static void an_idle_connection_that_the_pod_ends_is_dropped(void **state)
{
    (void)state;

    get_and_keep();
    stream_close(t.pods[0]); /* without close_notify */
    t.pod_count = 0;
    rig_run();
    get_and_keep();
    assert_int_equal(rig.dial_count, 2);
    stream_shutdown(t.pods[0]); /* with close_notify */
    rig_run();
    get_and_keep();
    assert_int_equal(rig.dial_count, 3);
}

/* One that is not verified must not serve requests to a service that is. */
static void connections_of_different_services_are_not_exchanged(void **state)
{
    (void)state;
    struct borrower b;

    use((struct tls_rule){ .unverified = true });
    pods_have("elsewhere", other_ca, NULL);
    get_and_keep();
    rig.service->name = "web2"; /* a service with the same pod and port */
    get(&b);
    expect_failure(&b, TLS_FAULT_CERTIFICATE, "unknown authority");
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&b, RELEASE_ABORT);
    rig.service->name = "web";
}

/* ports without TLS */

static void answer(size_t pod, const char *text)
{
    bufq_write(&t.pods[pod]->out, text, strlen(text));
    stream_update(t.pods[pod]);
    rig_run();
}

static const char bad_request[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";

static void a_port_found_by_its_number_that_answers_plainly_is_remembered(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    serve_port("web", 443);
    get(&b);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    answer(0, bad_request);
    assert_int_equal(b.lease.result, OK);
    assert_false(tls_ready(b.lease.stream));
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&b, RELEASE_ABORT);

    get(&b);
    assert_int_equal(b.lease.result, OK);
    assert_int_equal(t.pods[2]->in.len, 0); /* no ClientHello */
    borrower_return(&b, RELEASE_ABORT);

    rig_advance(PLAIN_MS + 1);
    get(&b);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    assert_true(t.pods[3]->in.len > 0);
    borrower_return(&b, RELEASE_ABORT);
}

static void a_declared_port_that_answers_plainly_fails_the_lease(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    get(&b);
    answer(0, bad_request);
    expect_failure(&b, TLS_FAULT_NOT_TLS, "does not speak TLS");
    assert_int_equal(rig.dial_count, 1);
    borrower_return(&b, RELEASE_ABORT);
}

/* A service with a rule that verifies is never spoken to plainly, whatever a pod answers. */
static void a_port_with_a_rule_that_answers_plainly_fails_the_lease(void **state)
{
    (void)state;
    static char name[] = "api.example";
    const struct tls_rule rules[] = { { .has_pin = true, .pin = { 1 } },
                                      { .server_name = name } };
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    serve_port("web", 443);
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        use(rules[i]);
        get(&b);
        answer(i, bad_request);
        const struct tls_failure *f =
            expect_failure(&b, TLS_FAULT_NOT_TLS, "does not speak TLS");
        assert_false(f->declared);
        assert_true(f->has_rule);
        assert_int_equal(rig.dial_count, i + 1);
        borrower_return(&b, RELEASE_ABORT);
        rig_run();
    }
}

static void a_rule_that_verifies_nothing_lets_a_port_be_plain(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    serve_port("web", 443);
    use((struct tls_rule){ .unverified = true });
    get(&b);
    answer(0, bad_request);
    assert_int_equal(b.lease.result, OK);
    assert_false(tls_ready(b.lease.stream));
    borrower_return(&b, RELEASE_ABORT);
}

static void a_plain_port_gets_no_handshake(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    serve_port("http", 443);
    get(&b);
    assert_int_equal(b.lease.result, OK);
    rig_run();
    assert_int_equal(t.pods[0]->in.len, 0);
    borrower_return(&b, RELEASE_ABORT);
}

static void raw_connections_are_passed_on_unchanged(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    lease(&b, PROTO_RAW, 443);
    assert_int_equal(b.lease.result, OK);
    assert_int_equal(t.pods[0]->in.len, 0);
    borrower_return(&b, RELEASE_ABORT);
}

/* handshakes that fail */

static void a_pod_that_does_not_answer_fails_the_lease_in_time(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    get(&b);
    rig_advance(9999);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    rig_advance(1);
    expect_failure(&b, TLS_NO_FAULT, "did not complete the TLS handshake in time");
    borrower_return(&b, RELEASE_ABORT);
}

/* Its user then sends the request again, elsewhere. */
static void an_end_during_the_handshake_is_a_refusal(void **state)
{
    (void)state;
    struct borrower b;

    for (int reset = 0; reset < 2; reset++) {
        tls_context_unref(TAKE(t.context));
        get(&b);
        assert_int_equal(b.lease.result, ERR_AGAIN);
        struct stream *pod = TAKE(t.pods[0]);
        t.pod_count = 0;
        if (reset)
            stream_abort(pod);
        else
            stream_close(pod);
        rig_run();
        assert_int_equal(b.lease.result, OK);
        assert_int_equal(b.lease.stream->end.verdict, V_REFUSED);
        borrower_return(&b, RELEASE_ABORT);
    }
}

static void an_alert_fails_the_lease(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    get(&b);
    bufq_write(&t.pods[0]->out, "\x15\x03\x03\x00\x02\x02\x28",
               7); /* handshake_failure */
    stream_update(t.pods[0]);
    rig_run();
    expect_failure(&b, TLS_FAULT_PROTOCOL, "handshake failure");
    borrower_return(&b, RELEASE_ABORT);
}

static void a_request_that_leaves_during_the_handshake_aborts_it(void **state)
{
    (void)state;
    struct borrower b;

    tls_context_unref(TAKE(t.context));
    get(&b);
    borrower_return(&b, RELEASE_ABORT);
    rig_run();
    assert_int_equal(t.pods[0]->end.verdict, V_RESET);
}

/* HTTP/2 */

static void http2_is_shared_where_alpn_chooses_it(void **state)
{
    (void)state;
    struct borrower b[3];

    pods_have("web.shop.svc", ca, "\x02h2");
    for (size_t i = 0; i < ARRAY_LEN(b); i++) {
        borrower_init(&b[i], "web.shop.svc");
        b[i].want.proto = i == 2 ? PROTO_HTTP2 : PROTO_HTTP;
        b[i].route.port = 443;
        borrower_lease(&b[i]);
    }
    rig_run();
    for (size_t i = 0; i < ARRAY_LEN(b); i++) {
        assert_int_equal(b[i].lease.result, OK);
        assert_true(b[i].lease.is_shared);
    }
    assert_int_equal(rig.dial_count, 1);
    for (size_t i = 0; i < ARRAY_LEN(b); i++)
        borrower_return(&b[i], RELEASE_CLOSE);
}

static void http1_is_remembered_where_alpn_chooses_it(void **state)
{
    (void)state;
    struct borrower b, other, grpc;

    pods_have("web.shop.svc", ca, "\x08http/1.1");
    borrower_init(&b, "web.shop.svc");
    b.want.proto = PROTO_HTTP;
    b.route.port = 443;
    borrower_lease(&b);
    lease(&other, PROTO_HTTP, 443); /* it waits for the first handshake */
    expect_tls(&b);
    expect_tls(&other);
    assert_false(b.lease.is_shared);
    assert_false(other.lease.is_shared);
    lease(&grpc, PROTO_HTTP2, 443);
    assert_int_equal(grpc.lease.result, ERR_VERSION);
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&b, RELEASE_ABORT);
    borrower_return(&other, RELEASE_ABORT);
    borrower_return(&grpc, RELEASE_ABORT);
}

static void alpn_decides_for_clients_of_http1_too(void **state)
{
    (void)state;
    struct borrower b;

    pods_have("web.shop.svc", ca, "\x02h2");
    get(&b);
    assert_int_equal(b.lease.result, OK);
    assert_true(b.lease.is_shared);
    borrower_return(&b, RELEASE_CLOSE);
    get(&b);
    assert_true(b.lease.is_shared);
    assert_int_equal(rig.dial_count, 1);
    borrower_return(&b, RELEASE_CLOSE);
    lease(&b, PROTO_HTTP1, 443);
    expect_failure(&b, TLS_FAULT_ALPN, "none of the offered protocols");
    borrower_return(&b, RELEASE_ABORT);
}

static void grpc_without_http2_fails(void **state)
{
    (void)state;
    struct borrower b;

    lease(&b, PROTO_HTTP2, 443);
    assert_int_equal(b.lease.result, ERR_VERSION);
    borrower_return(&b, RELEASE_ABORT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_of_a_request_arrive_decrypted),
        TEST(a_certificate_of_an_unknown_authority_fails_the_lease),
        TEST(the_names_of_the_service_are_accepted_and_no_others),
        TEST(a_domain_that_is_found_later_is_accepted),
        TEST(a_rule_accepts_any_certificate),
        TEST(a_rule_replaces_the_authorities),
        TEST(the_short_name_is_accepted_of_the_authority_of_a_rule_only),
        TEST(a_rule_replaces_the_name),
        TEST(a_pin_is_compared),
        TEST(a_changed_rule_applies_to_the_next_request),
        TEST(a_rule_of_another_service_does_not_apply),
        TEST(an_idle_connection_is_lent_again),
        TEST(an_idle_connection_that_the_pod_ends_is_dropped),
        TEST(connections_of_different_services_are_not_exchanged),
        TEST(a_port_found_by_its_number_that_answers_plainly_is_remembered),
        TEST(a_declared_port_that_answers_plainly_fails_the_lease),
        TEST(a_port_with_a_rule_that_answers_plainly_fails_the_lease),
        TEST(a_rule_that_verifies_nothing_lets_a_port_be_plain),
        TEST(a_plain_port_gets_no_handshake),
        TEST(raw_connections_are_passed_on_unchanged),
        TEST(a_pod_that_does_not_answer_fails_the_lease_in_time),
        TEST(an_end_during_the_handshake_is_a_refusal),
        TEST(an_alert_fails_the_lease),
        TEST(a_request_that_leaves_during_the_handshake_aborts_it),
        TEST(http2_is_shared_where_alpn_chooses_it),
        TEST(http1_is_remembered_where_alpn_chooses_it),
        TEST(alpn_decides_for_clients_of_http1_too),
        TEST(grpc_without_http2_fails),
    };
    return cmocka_run_group_tests_name("upstream/tls", tests, make_authorities,
                                       authorities_drop);
}
