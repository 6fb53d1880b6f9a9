/* tests/session/upstream_lease_test.c - leases: from a name to a stream, at once, later
 * or with an error */
#include "upstream_rig.h"

#include <string.h>
#include <time.h>

#include "base/own.h"
#include "upstream/survey.h"

/* Like borrower_get, but with an own tunnel. */
static void borrower_get_alone(struct borrower *a)
{
    borrower_init(a, "web.shop");
    a->want.alone = true;
    borrower_lease(a);
}

/* The connection of a request that has ended, which is idle now. */
static struct stream *idle_connection(void)
{
    struct borrower a;

    borrower_get(&a);
    struct stream *s = a.lease.stream;
    borrower_return(&a, RELEASE_KEEP);
    return s;
}

static void a_known_service_answers_at_once(void **state)
{
    (void)state;
    struct borrower a;

    borrower_get(&a);
    assert_int_equal(a.lease.result, OK);
    assert_false(a.lease.reused);
    assert_int_equal(a.lease.port, 8080);
    assert_non_null(a.lease.endpoint);
    assert_ptr_equal(a.lease.stream, &rig_conn(0)->stream);
    assert_ptr_equal(a.lease.stream->wake, &a.wake);
    rig_run();
    assert_int_equal(a.wakes, 0); /* it completed before the call returned */
    borrower_return(&a, RELEASE_CLOSE);
    assert_true(rig_conn(0)->closed);
}

static void a_late_look_up_and_a_late_opening_wake_the_lease_once(void **state)
{
    (void)state;
    struct borrower a;

    rig.hold_lookups = rig.hold_openings = true;
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(100);
    assert_int_equal(rig.dial_count, 0);
    rig_answer();
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_int_equal(a.wakes, 0);
    assert_int_equal(rig.dial_count, 1);
    rig_open(0);
    assert_int_equal(a.lease.result, OK);
    assert_int_equal(a.wakes, 1);
    borrower_return(&a, RELEASE_CLOSE);
}

/* ---- by address ---- */

static void lease_address(struct borrower *a, const char *address)
{
    borrower_init(a, "web.shop");
    assert_true(name_of_address(str_of(address), &a->route.name));
    borrower_lease(a);
}

/* Only what connections are made from is kept: not what does not exist, and not what is only
 * explained. */
static void a_lease_keeps_the_entry_that_it_is_made_from(void **state)
{
    (void)state;
    struct borrower a;
    struct task wake;

    rig_no_service(ERR_NOT_FOUND, 404, "services \"web\" not found");
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_NOT_FOUND);
    borrower_return(&a, RELEASE_CLOSE);
    rig_service("a");
    task_init(&wake, rig.sched, RANK_WORK, NULL);
    struct survey *survey = survey_open(rig.upstream, &a.route, STR("c"), &wake);
    assert_int_equal(survey_result(survey), OK);
    survey_close(survey);
    assert_int_equal(rig.kept_count, 0);

    borrower_get(&a);
    assert_int_equal(a.lease.result, OK);
    assert_int_equal(rig.kept_count, 1);
    borrower_return(&a, RELEASE_CLOSE);
}

static void an_address_leads_to_the_service_that_has_it(void **state)
{
    (void)state;
    struct borrower a;

    lease_address(&a, "10.96.0.7");
    assert_string_equal(rig.owner_address, "10.96.0.7");
    assert_int_equal(a.lease.result, OK);
    assert_int_equal(a.lease.port, 8080);
    borrower_return(&a, RELEASE_CLOSE);
}

static void an_address_leads_to_the_pod_that_has_it(void **state)
{
    (void)state;
    struct borrower a;

    rig.owner_is_pod = true;
    lease_address(&a, "fd00::7");
    assert_int_equal(rig.pod_lookup_count, 1);
    borrower_return(&a, RELEASE_CLOSE);
}

static void an_address_without_owner_fails(void **state)
{
    (void)state;
    struct borrower a;

    rig.owner_result = ERR_NOT_FOUND;
    lease_address(&a, "192.0.2.9");
    assert_int_equal(a.lease.result, ERR_NOT_FOUND);
    assert_int_equal(rig.dial_count, 0);
    borrower_return(&a, RELEASE_ABORT);
}

static void an_address_whose_owner_is_not_known_yet_waits(void **state)
{
    (void)state;
    struct borrower a;

    rig.owner_result = ERR_AGAIN;
    lease_address(&a, "10.96.0.7");
    assert_int_equal(a.lease.result, ERR_AGAIN);
    borrower_return(&a, RELEASE_ABORT);
}

/* ---- failing at once ---- */

static void service_is_unknown(struct borrower *a)
{
    (void)a;
    rig_no_service(ERR_NOT_FOUND, 404, "services \"web\" not found");
}

static void port_is_not_declared(struct borrower *a)
{
    a->route.port = 81;
}

static void service_has_no_pod(struct borrower *a)
{
    (void)a;
    rig_service("");
}

/* As where a named target port is misspelt. */
static void no_ready_pod_has_the_port(struct borrower *a)
{
    const struct service_port misspelt = {
        .name = "http", .number = 80, .tcp = true, .target_name = "htpp"
    };

    (void)a;
    rig_service_with_port("ab", &misspelt);
    for (size_t i = 0; i < rig.service->endpoint_count; i++)
        rig_drop_ports(i);
}

static void no_pod_is_ready_and_no_time_is_left(struct borrower *a)
{
    rig_service("A");
    a->want.wait_until = rig.sched->now;
}

static void opening_is_unauthorized(struct borrower *a)
{
    (void)a;
    rig.refusal = (struct api_error){ .code = ERR_UNAUTHORIZED, .status = 401 };
}

static void a_lease_that_waiting_cannot_help_fails_at_once(void **state)
{
    static const struct {
        void (*prepare)(struct borrower *a);
        enum err result;
        int api_status;
        size_t dials;
        const char *why;
    } cases[] = {
        { service_is_unknown, ERR_NOT_FOUND, 404, 0, "services \"web\" not found" },
        { port_is_not_declared, ERR_NO_PORT, 0, 0, "80 (http)" },
        { service_has_no_pod, ERR_UNAVAILABLE, 0, 0, "no pod matches its selector" },
        { no_ready_pod_has_the_port, ERR_UNAVAILABLE, 0, 0,
          "leads to the container port htpp, which no" },
        { no_pod_is_ready_and_no_time_is_left, ERR_UNAVAILABLE, 0, 0, "" },
        { opening_is_unauthorized, ERR_UNAUTHORIZED, 401, 1, "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct borrower a;
        borrower_init(&a, "web.shop");
        cases[i].prepare(&a);
        borrower_lease(&a);
        assert_int_equal(a.lease.result, cases[i].result);
        assert_int_equal(a.lease.api_status, cases[i].api_status);
        assert_non_null(strstr(a.lease.why.text, cases[i].why));
        assert_int_equal(a.lease.dialling, cases[i].dials > 0);
        assert_int_equal(rig.dial_count, cases[i].dials);
        borrower_return(&a, RELEASE_CLOSE);
        rig_end(state);
        rig_begin(state);
    }
}

static void a_missing_right_is_reported_with_verb_and_resource(void **state)
{
    (void)state;
    struct borrower a;

    rig_no_service(ERR_FORBIDDEN, 403, "services is forbidden");
    rig.missing_verb = "get";
    rig.missing_resource = "services";
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_verb, "get");
    assert_string_equal(a.lease.missing_resource, "services");
    borrower_return(&a, RELEASE_CLOSE);

    rig_service("a");
    rig.refusal = (struct api_error){ .code = ERR_FORBIDDEN, .status = 403 };
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_verb, "create");
    assert_string_equal(a.lease.missing_resource, "pods/portforward");
    assert_true(a.lease.dialling);
    assert_string_equal(a.lease.endpoint->uid, "a"); /* the last one tried */
    borrower_return(&a, RELEASE_CLOSE);
}

static void a_pod_name_is_looked_up_as_a_pod(void **state)
{
    (void)state;
    struct borrower a;

    borrower_init(&a, "a.shop.pod");
    borrower_lease(&a);
    assert_int_equal(rig.pod_lookup_count, 1);
    assert_int_equal(a.lease.result, OK);
    borrower_return(&a, RELEASE_CLOSE);
}

/* ---- parking ---- */

static void a_lease_waits_where_an_endpoint_was_ready_within_a_minute(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("");
    rig.service->last_ready = rig.sched->now;
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    borrower_return(&a, RELEASE_CLOSE);
    rig_advance(60000);
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    borrower_return(&a, RELEASE_CLOSE);
}

static void a_change_of_the_endpoints_answers_a_parked_lease(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("AB");
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_int_equal(rig.dial_count, 0);
    rig_advance(100);
    rig_change(); /* of another service */
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_service("Ab");
    rig_change();
    assert_int_equal(a.lease.result, OK);
    assert_string_equal(a.lease.endpoint->uid, "b");
    assert_string_equal(a.lease.why.text, "");
    assert_int_equal(a.wakes, 1);
    borrower_return(&a, RELEASE_CLOSE);
}

/* Without a watch no change wakes it, so a parked lease looks up every 250 ms. */
static void a_parked_lease_looks_up_again_every_250_ms(void **state)
{
    (void)state;
    struct borrower a;

    rig.rights = RIGHTS_LOOKUP;
    rig_service("A");
    borrower_get(&a);
    assert_int_equal(rig.lookup_count, 1);
    rig_advance(249);
    assert_int_equal(rig.lookup_count, 1);
    rig_service("a");
    rig_advance(1);
    assert_int_equal(rig.lookup_count, 2);
    assert_int_equal(rig.last_max_age, 250);
    assert_int_equal(a.lease.result, OK);
    borrower_return(&a, RELEASE_CLOSE);
}

static void a_parked_lease_dials_again_every_250_ms(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    rig.refusal = (struct api_error){ .code = ERR_SERVER, .status = 500 };
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    size_t dials = rig.dial_count;
    assert_in_range(dials, 1, 3);
    rig_advance(249);
    assert_int_equal(rig.dial_count, dials);
    rig_advance(251);
    assert_in_range(rig.dial_count, dials + 2, dials + 6);
    rig.refusal.code = OK;
    rig_advance(250);
    assert_int_equal(a.lease.result, OK);
    borrower_return(&a, RELEASE_CLOSE);
}

/* Two endpoints that cannot be dialled are not tried in turn without a pause. */
static void failing_over_between_two_endpoints_pauses_250_ms(void **state)
{
    (void)state;
    struct borrower a;

    rig.hold_openings = true;
    borrower_get(&a);
    for (size_t i = 0; i < rig.dial_count; i++) {
        assert_in_range(i, 0, 5);
        rig_refuse(i, ERR_CONNECT, "connection refused");
    }
    assert_int_equal(a.lease.result, ERR_AGAIN);
    size_t dials = rig.dial_count;
    assert_in_range(dials, 2, 4);
    assert_string_not_equal(rig_conn(0)->uid, rig_conn(1)->uid);
    rig_advance(249);
    assert_int_equal(rig.dial_count, dials);
    rig_advance(1);
    assert_int_equal(rig.dial_count, dials + 1);
    rig_open(dials);
    assert_int_equal(a.lease.result, OK);
    borrower_return(&a, RELEASE_CLOSE);
}

static void no_endpoint_is_ready(void)
{
    rig_service("A");
    rig.service->pods_note = xstrdup("1 pod matches: a Pending");
}

/* An API server that accepts connections and never answers. */
static void look_up_hangs(void)
{
    rig.hold_lookups = true;
}

static void look_up_hangs_and_the_watch_has_failed(void)
{
    rig.hold_lookups = true;
    rig.trouble = (struct api_error){ .code = ERR_SERVER, .status = 502 };
    diag_set(&rig.trouble.why, ERR_SERVER, "the API server answered 502");
}

static void dial_hangs(void)
{
    rig.hold_openings = true;
}

static void dial_hangs_in_a_burst(void)
{
    rig.hold_openings = rig.opening_progresses = true;
}

/* --wait covers the first look-up and the first dial.  A dial gets 10 s without a wait, and in
 * a burst, in which others of the same pod are answered, 10 s beyond it. */
static void a_lease_fails_when_its_wait_is_over(void **state)
{
    static const struct {
        void (*prepare)(void);
        uint64_t wait_ms, ends_ms;
        enum err result;
        int api_status;
        bool dialling;
        const char *why;
    } cases[] = {
        { no_endpoint_is_ready, 10000, 10000, ERR_UNAVAILABLE, 0, false,
          "1 pod matches: a Pending" },
        { look_up_hangs, 3000, 3000, ERR_TIMEOUT, 0, false, "" },
        { look_up_hangs_and_the_watch_has_failed, 10000, 10000, ERR_SERVER, 502, false,
          "the API server answered 502" },
        { dial_hangs, 3000, 3000, ERR_TIMEOUT, 0, true, "" },
        { dial_hangs, 0, 10000, ERR_TIMEOUT, 0, true, "" },
        { dial_hangs_in_a_burst, 3000, 13000, ERR_TIMEOUT, 0, true, "" },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct borrower a;
        cases[i].prepare();
        borrower_init(&a, "web.shop");
        a.want.wait_until = rig.sched->now + cases[i].wait_ms;
        borrower_lease(&a);
        rig_advance(cases[i].ends_ms - 1);
        assert_int_equal(a.lease.result, ERR_AGAIN);
        rig_advance(1);
        assert_int_equal(a.lease.result, cases[i].result);
        assert_int_equal(a.lease.api_status, cases[i].api_status);
        assert_int_equal(a.lease.dialling, cases[i].dialling);
        assert_true(a.lease.why.text[0]);
        assert_non_null(strstr(a.lease.why.text, cases[i].why));
        if (cases[i].dialling)
            assert_non_null(a.lease.endpoint);
        for (size_t dial = 0; dial < rig.dial_count; dial++)
            assert_true(rig.dials[dial].cancelled);
        rig_advance(60000);
        assert_int_equal(a.wakes, 1);
        borrower_return(&a, RELEASE_CLOSE);
        rig_end(state);
        rig_begin(state);
    }
}

static void a_lease_succeeds_when_the_api_server_is_back_in_time(void **state)
{
    (void)state;
    struct borrower a;

    rig_no_service(ERR_CONNECT, 0, "connection refused");
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(5000);
    assert_in_range(rig.lookup_count, 16, 24);
    rig_service("a");
    rig_advance(500);
    assert_int_equal(a.lease.result, OK);
    borrower_return(&a, RELEASE_CLOSE);
}

/* ---- failing over ---- */

static void a_refused_opening_goes_to_another_endpoint(void **state)
{
    (void)state;

    for (int i = 0; i < 8; i++) {
        struct borrower a;
        rig.refusal = (struct api_error){ .code = ERR_SERVER, .status = 500 };
        rig.only_refuses = "a";
        borrower_get(&a);
        assert_int_equal(a.lease.result, OK);
        assert_string_equal(a.lease.endpoint->uid, "b");
        borrower_return(&a, RELEASE_CLOSE);
    }
}

/* The pod is gone: the other endpoints in the catalog may be out of date too. */
static void a_missing_pod_causes_a_fresh_look_up(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    rig.hold_openings = true;
    borrower_get(&a);
    rig_service("b");
    rig_refuse(0, ERR_NOT_FOUND, "pods \"a\" not found");
    assert_int_equal(rig.last_max_age, 0);
    assert_string_equal(rig_conn(1)->uid, "b");
    rig_open(1);
    assert_int_equal(a.lease.result, OK);
    assert_string_equal(a.lease.endpoint->uid, "b");
    borrower_return(&a, RELEASE_CLOSE);
}

/* All endpoints are missing, one after the other, because the slices are out of date;
 * there is no pause. */
static void missing_pods_are_reported_to_the_catalog_and_replaced_at_once(void **state)
{
    (void)state;
    struct borrower a;

    rig.hold_openings = true;
    borrower_get(&a);
    for (size_t i = 0; i < 2; i++) {
        char uid[2] = { rig_conn(i)->uid[0], '\0' };
        rig_service(i == 1 ? "c" : *uid == 'a' ? "b" : "a");
        AUTO_FREE char *why = xasprintf("pods \"%s\" not found", uid);
        rig_refuse(i, ERR_NOT_FOUND, why);
        assert_string_equal(rig.missing, uid);
        assert_int_equal(rig.dial_count, i + 2);
    }
    rig_open(2);
    assert_int_equal(a.lease.result, OK);
    assert_string_equal(a.lease.endpoint->uid, "c");
    borrower_return(&a, RELEASE_CLOSE);
}

/* The 404 comes from a proxy or a kubelet, so the pod may exist. */
static void a_404_that_names_no_pod_does_not_make_it_missing(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("z");
    rig.refusal =
        (struct api_error){ .code = ERR_NOT_FOUND, .status = 404, .is_status = true };
    diag_set(&rig.refusal.why, OK, "the server could not find the requested resource");
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_string_equal(rig.missing, "");
    borrower_return(&a, RELEASE_CLOSE);

    rig.refusal = (struct api_error){ .code = ERR_NOT_FOUND, .status = 404 };
    borrower_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_string_equal(rig.missing, "");
    borrower_return(&a, RELEASE_CLOSE);
}

/* ---- returning ---- */

static void a_kept_connection_serves_the_next(void **state)
{
    (void)state;
    struct borrower b;

    rig_service("a");
    struct stream *s = idle_connection();
    assert_false(rig_conn(0)->lent);
    rig_advance(5000);
    borrower_get(&b);
    assert_ptr_equal(b.lease.stream, s);
    assert_true(b.lease.reused);
    assert_true(rig_conn(0)->lent);
    assert_ptr_equal(s->wake, &b.wake);
    assert_int_equal(rig.dial_count, 1);
    borrower_return(&b, RELEASE_ABORT);
    assert_true(rig_conn(0)->aborted);
    borrower_get(&b);
    assert_false(b.lease.reused);
    borrower_return(&b, RELEASE_CLOSE);
}

static void raw_connections_are_always_fresh(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    idle_connection();
    borrower_init(&a, "web.shop");
    a.want.proto = PROTO_RAW;
    borrower_lease(&a);
    assert_false(a.lease.reused);
    assert_int_equal(rig.dial_count, 2);
    borrower_return(&a, RELEASE_CLOSE);
}

static void the_connection_used_last_is_lent_first(void **state)
{
    (void)state;
    struct borrower a, b, c;

    rig_service("a");
    borrower_get(&a);
    borrower_get(&b);
    borrower_return(&b, RELEASE_KEEP);
    borrower_return(&a, RELEASE_KEEP);
    borrower_get(&c);
    assert_ptr_equal(c.lease.stream, &rig_conn(0)->stream);
    borrower_return(&c, RELEASE_CLOSE);
}

static void a_connection_to_one_port_is_not_lent_for_another(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    idle_connection();
    borrower_init(&a, "web.shop");
    a.route.target_port = 9090;
    borrower_lease(&a);
    assert_false(a.lease.reused);
    assert_int_equal(rig_conn(1)->port, 9090);
    borrower_return(&a, RELEASE_CLOSE);
}

/* A connection is kept if it is open and has no bytes in transit in either direction. */
static void a_connection_with_bytes_or_an_end_is_not_kept(void **state)
{
    (void)state;
    enum dirt { BYTES_IN, BYTES_OUT, SHUT, ENDED, BROKEN, DIRTS };

    for (int dirt = 0; dirt < DIRTS; dirt++) {
        struct borrower a;
        borrower_get(&a);
        struct stream *s = a.lease.stream;
        size_t i = rig.dial_count - 1;
        if (dirt == BYTES_IN)
            bufq_write(&s->in, "x", 1);
        if (dirt == BYTES_OUT)
            bufq_write(&s->out, "x", 1);
        if (dirt == SHUT)
            stream_shutdown(s);
        if (dirt == ENDED || dirt == BROKEN)
            stream_end(s, dirt == ENDED ? V_CLEAN : V_RESET, NULL);
        borrower_return(&a, RELEASE_KEEP);
        assert_true(rig_conn(i)->closed);
    }
}

static void an_idle_connection_that_receives_anything_is_closed(void **state)
{
    (void)state;

    for (int how = 0; how < 3; how++) {
        struct borrower a;
        struct stream *s = idle_connection();
        size_t i = rig.dial_count - 1;
        rig_run();
        assert_false(rig_conn(i)->closed);
        if (how == 0)
            bufq_write(&s->in, "HTTP/1.1 408", 12);
        else
            stream_end(s, how == 1 ? V_CLEAN : V_TRANSPORT_LOST, NULL);
        task_wake(s->wake);
        borrower_get(&a); /* before the pool has run: it is not lent */
        assert_false(a.lease.reused);
        borrower_return(&a, RELEASE_CLOSE);
        rig_run();
        assert_true(rig_conn(i)->closed);
    }
}

static void idle_connections_expire_after_90_s_or_the_keep_time_of_the_pod(void **state)
{
    (void)state;
    struct borrower a;

    idle_connection();
    rig_advance(89999);
    assert_false(rig_conn(0)->closed);
    rig_advance(1);
    assert_true(rig_conn(0)->closed);

    borrower_get(&a);
    a.lease.keep_ms = 4000; /* from the pod's Keep-Alive */
    borrower_return(&a, RELEASE_KEEP);
    rig_advance(3999);
    assert_false(rig_conn(1)->closed);
    rig_advance(1);
    assert_true(rig_conn(1)->closed);
}

static void a_deleted_pod_loses_its_idle_connections_only(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    borrower_get(&a);
    borrower_get(&b);
    borrower_return(&a, RELEASE_KEEP);
    rig_gone("unheard-of");
    assert_false(rig_conn(0)->closed);
    rig_gone("a");
    assert_true(rig_conn(0)->closed);
    assert_false(rig_conn(1)->closed);
    assert_string_equal(rig.retired, "a");
    borrower_return(&b, RELEASE_CLOSE);
}

/* ---- cancelling ---- */

enum at { LOOKING, OPENING, PARKED, HELD, FAILED, ATS };

static void a_lease_may_be_returned_in_any_state(void **state)
{
    (void)state;
    for (int i = 0; i < ATS * 3; i++) {
        enum at at = (enum at)(i / 3);
        struct borrower a;
        rig.hold_lookups = at == LOOKING;
        rig.hold_openings = at == OPENING;
        rig_service(at == PARKED ? "A" : at == FAILED ? "" : "a");
        borrower_get(&a);
        rig_run();
        assert_int_equal(a.lease.result, at == HELD     ? OK
                                         : at == FAILED ? ERR_UNAVAILABLE
                                                        : ERR_AGAIN);
        borrower_return(&a, (enum release_mode)(i % 3));
        upstream_return(&a.lease, RELEASE_CLOSE); /* a second return has no effect */
        if (at == OPENING)
            assert_true(rig.dials[rig.dial_count - 1].cancelled);
        assert_true(upstream_idle(rig.upstream));
        rig.hold_lookups = rig.hold_openings = false;
        rig_answer();
        rig_advance(20000);
        assert_int_equal(a.wakes, 0);
    }
}

static void draining_waits_for_the_last_lease_and_keeps_no_connection(void **state)
{
    (void)state;
    struct borrower a, b, done;

    borrower_init(&done, "web.shop");
    borrower_get(&a);
    borrower_get(&b);
    borrower_return(&a, RELEASE_KEEP);
    upstream_drain(rig.upstream, &done.wake);
    rig_run();
    assert_true(rig_conn(0)->closed);
    assert_int_equal(done.wakes, 0);
    borrower_return(&b, RELEASE_KEEP);
    rig_run();
    assert_true(rig_conn(1)->closed);
    assert_int_equal(done.wakes, 1);
}

/* A pod that is stopping refuses connections before its endpoint changes. */
static void from_the_third_attempt_on_a_lease_pauses(void **state)
{
    (void)state;
    static const uint64_t pauses[] = { 0, 0, 100, 200, 300, 500, 1000, 1000 };

    for (unsigned i = 0; i < ARRAY_LEN(pauses); i++) {
        struct borrower a;
        borrower_init(&a, "web.shop");
        a.want.attempt = i;
        borrower_lease(&a);
        if (pauses[i]) {
            rig_advance(pauses[i] - 1);
            assert_int_equal(a.lease.result, ERR_AGAIN);
            rig_advance(1);
        }
        assert_int_equal(a.lease.result, OK);
        borrower_return(&a, RELEASE_CLOSE);
    }
}

/* Its tunnel carries one connection at a time, and carries another one now. */
static void an_idle_connection_on_a_busy_tunnel_is_not_lent(void **state)
{
    (void)state;
    struct borrower a;

    rig_service("a");
    struct stream *kept = idle_connection();

    rig.not_free = kept;
    borrower_get(&a);
    assert_ptr_not_equal(a.lease.stream, kept);
    borrower_return(&a, RELEASE_CLOSE);

    rig.not_free = NULL;
    borrower_get(&a);
    assert_ptr_equal(a.lease.stream, kept);
    assert_true(a.lease.reused);
    borrower_return(&a, RELEASE_CLOSE);
}

/* A large upload is better off on a tunnel that no other uses. */
static void an_upload_is_not_lent_a_connection_on_a_shared_tunnel(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    rig.shared = idle_connection();
    assert_false(rig.dials[0].alone);

    borrower_get_alone(&b);
    assert_int_equal(rig.dial_count, 2);
    assert_true(rig.dials[1].alone);
    borrower_return(&b, RELEASE_KEEP);

    borrower_get_alone(&b);
    assert_true(b.lease.reused);
    assert_ptr_equal(b.lease.stream, &rig.dials[1].conn.stream);
    borrower_get(&a);
    assert_ptr_equal(a.lease.stream, rig.shared);
    borrower_return(&a, RELEASE_CLOSE);
    borrower_return(&b, RELEASE_CLOSE);
}

static void a_returned_shared_connection_is_not_lent_to_a_waiting_upload(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    borrower_get(&a);
    rig.shared = a.lease.stream;
    rig.hold_openings = true;
    borrower_get_alone(&b);
    borrower_return(&a, RELEASE_KEEP);
    rig_advance(0);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    rig_open(1);
    rig_advance(0);
    assert_int_equal(b.lease.result, OK);
    borrower_return(&b, RELEASE_CLOSE);
}

static void a_returned_connection_goes_to_a_waiting_lease(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    borrower_get(&a);
    struct stream *s = a.lease.stream;
    rig.hold_openings = true;
    borrower_get(&b);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    borrower_return(&a, RELEASE_KEEP);
    rig_advance(0);
    assert_int_equal(b.lease.result, OK);
    assert_ptr_equal(b.lease.stream, s);
    assert_true(b.lease.reused);
    assert_true(rig.dials[rig.dial_count - 1].cancelled);
    borrower_return(&b, RELEASE_CLOSE);
}

/* The opening has succeeded, and the lease has not run since. */
static void
a_tunnel_that_has_just_opened_is_used_before_a_returned_connection(void **state)
{
    (void)state;
    struct borrower a, b;

    rig_service("a");
    borrower_get(&a);
    rig.hold_openings = true;
    borrower_get(&b);
    rig_open_without_run(1);
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    assert_int_equal(b.lease.result, OK);
    assert_ptr_equal(b.lease.stream, &rig_conn(1)->stream);
    assert_false(rig_conn(1)->aborted);
    borrower_return(&b, RELEASE_CLOSE);
}

/* CPU seconds for this many requests on a kept connection, one after the other. */
static double keep_and_take(size_t times)
{
    struct timespec from, to;
    struct borrower a;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (size_t i = 0; i < times; i++) {
        borrower_get(&a);
        assert_int_equal(a.lease.result, OK);
        borrower_return(&a, RELEASE_KEEP);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Returning a connection does not walk all leases. */
static void kept_connection_costs_the_same_beside_10000_leases(void **state)
{
    (void)state;
    struct borrower *others = xcalloc(10000, sizeof(*others));
    double alone = 1e9, beside = 1e9;

    rig_service("a");
    for (int i = 0; i < 3; i++) {
        double seconds = keep_and_take(3000);
        alone = seconds < alone ? seconds : alone;
    }
    rig.hold_lookups = true;
    for (size_t i = 0; i < 10000; i++)
        borrower_get(&others[i]);
    rig.hold_lookups = false;
    for (int i = 0; i < 3; i++) {
        double seconds = keep_and_take(3000);
        beside = seconds < beside ? seconds : beside;
    }
    for (size_t i = 0; i < 10000; i++)
        borrower_return(&others[i], RELEASE_CLOSE);
    free(others);
    if (beside > 3 * alone)
        fail_msg("%.1f times as much", beside / alone);
}

static void waits(struct borrower *a, bool alone)
{
    borrower_init(a, "web.shop");
    a->want.alone = alone;
    borrower_lease(a);
    assert_int_equal(a->lease.result, ERR_AGAIN);
}

/* A lease that wants a tunnel of its own is passed over where the tunnel is shared. */
static void a_returned_connection_goes_to_the_oldest_lease_that_may_use_it(void **state)
{
    (void)state;
    struct borrower a, alone, first, second;

    rig_service("a");
    borrower_get(&a);
    struct stream *s = a.lease.stream;
    rig.hold_openings = true;
    waits(&alone, true);
    waits(&first, false);
    waits(&second, false);
    rig.shared = s;
    borrower_return(&a, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(first.lease.stream, s);
    rig.shared = NULL;
    borrower_return(&first, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(alone.lease.stream, s);
    borrower_return(&alone, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(second.lease.stream, s);
    borrower_return(&second, RELEASE_CLOSE);
}

/* ---- everything that can happen, in every state ---- */

enum event {
    ANSWERED,      /* pending look-ups return the service ... */
    KNOWS_NOTHING, /* ... or that there is no such service */
    OPENED,
    DIAL_FAILED,
    POD_MISSING,
    CHANGED, /* an endpoint is added, another removed */
    POD_GONE_TOO,
    STREAM_BROKE,
    A_MOMENT,
    A_LONG_TIME,
    DRAINS,
    EVENTS
};

static void bring(enum at at, struct borrower *a)
{
    rig.hold_lookups = at == LOOKING;
    rig.hold_openings = at == OPENING;
    rig_service(at == PARKED ? "A" : at == FAILED ? "" : "ab");
    borrower_get(a);
    rig_run();
    assert_int_equal(a->lease.result, at == HELD     ? OK
                                      : at == FAILED ? ERR_UNAVAILABLE
                                                     : ERR_AGAIN);
}

static void happen(enum event event, struct borrower *a, struct task *drained)
{
    size_t last = rig.dial_count - 1;
    bool dialling = rig.dial_count && rig.dials[last].opening;

    if (event == ANSWERED) {
        rig_answer();
    } else if (event == KNOWS_NOTHING) {
        rig_no_service(ERR_NOT_FOUND, 404, "services \"web\" not found");
        rig_answer();
    } else if (event == OPENED && dialling) {
        rig_open(last);
    } else if (event == DIAL_FAILED && dialling) {
        rig_refuse(last, ERR_CONNECT, "connection refused");
    } else if (event == POD_MISSING && dialling) {
        rig_refuse(last, ERR_NOT_FOUND, "pods \"a\" not found");
    } else if (event == CHANGED) {
        rig_service("bc");
        rig_change();
    } else if (event == POD_GONE_TOO) {
        rig_gone("a");
    } else if (event == STREAM_BROKE && a->lease.stream) {
        stream_end(a->lease.stream, V_TRANSPORT_LOST, "gone");
    } else if (event == DRAINS) {
        upstream_drain(rig.upstream, drained);
    }
    rig_advance(event == A_MOMENT ? 250 : event == A_LONG_TIME ? 30000 : 0);
}

static void check(const struct borrower *a)
{
    const struct lease *l = &a->lease;

    assert_true((l->result == OK) == (l->stream != NULL));
    if (l->result != OK && l->result != ERR_AGAIN)
        assert_true(l->why.text[0]); /* a failure has a reason */
}

static void play(void **state, enum at at, enum event first, enum event second)
{
    struct borrower a, drained;

    rig_begin(state);
    borrower_init(&drained, "web.shop");
    bring(at, &a);
    happen(first, &a, &drained.wake);
    check(&a);
    happen(second, &a, &drained.wake);
    check(&a);
    bool was_known = a.lease.result != ERR_AGAIN;
    unsigned wakes = a.wakes;
    rig_advance(60000); /* no lease waits for ever, and none completes twice */
    if (!rig.hold_lookups && !rig.hold_openings)
        assert_int_not_equal(a.lease.result, ERR_AGAIN);
    if (was_known && !a.lease.stream)
        assert_int_equal(a.wakes, wakes);
    borrower_return(&a, (enum release_mode)((first + second) % 3));
    rig.hold_lookups = rig.hold_openings = false;
    rig_answer();
    task_cancel(&drained.wake);
    assert_true(upstream_idle(rig.upstream));
    assert_int_equal(rig_end(state), 0);
}

static void any_two_events_in_any_state_are_handled(void **state)
{
    for (int at = 0; at < ATS; at++)
        for (int first = 0; first < EVENTS; first++)
            for (int second = 0; second < EVENTS; second++)
                play(state, (enum at)at, (enum event)first, (enum event)second);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_begin, rig_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_two_events_in_any_state_are_handled),
        TEST(a_known_service_answers_at_once),
        TEST(a_lease_keeps_the_entry_that_it_is_made_from),
        TEST(an_address_leads_to_the_service_that_has_it),
        TEST(an_address_leads_to_the_pod_that_has_it),
        TEST(an_address_without_owner_fails),
        TEST(an_address_whose_owner_is_not_known_yet_waits),
        TEST(a_late_look_up_and_a_late_opening_wake_the_lease_once),
        TEST(a_lease_that_waiting_cannot_help_fails_at_once),
        TEST(a_missing_right_is_reported_with_verb_and_resource),
        TEST(a_pod_name_is_looked_up_as_a_pod),
        TEST(a_lease_waits_where_an_endpoint_was_ready_within_a_minute),
        TEST(a_change_of_the_endpoints_answers_a_parked_lease),
        TEST(a_parked_lease_looks_up_again_every_250_ms),
        TEST(a_parked_lease_dials_again_every_250_ms),
        TEST(failing_over_between_two_endpoints_pauses_250_ms),
        TEST(a_lease_fails_when_its_wait_is_over),
        TEST(a_lease_succeeds_when_the_api_server_is_back_in_time),
        TEST(a_refused_opening_goes_to_another_endpoint),
        TEST(a_missing_pod_causes_a_fresh_look_up),
        TEST(missing_pods_are_reported_to_the_catalog_and_replaced_at_once),
        TEST(a_404_that_names_no_pod_does_not_make_it_missing),
        TEST(a_kept_connection_serves_the_next),
        TEST(raw_connections_are_always_fresh),
        TEST(the_connection_used_last_is_lent_first),
        TEST(a_connection_to_one_port_is_not_lent_for_another),
        TEST(a_connection_with_bytes_or_an_end_is_not_kept),
        TEST(an_idle_connection_that_receives_anything_is_closed),
        TEST(idle_connections_expire_after_90_s_or_the_keep_time_of_the_pod),
        TEST(a_deleted_pod_loses_its_idle_connections_only),
        TEST(a_lease_may_be_returned_in_any_state),
        TEST(draining_waits_for_the_last_lease_and_keeps_no_connection),
        TEST(from_the_third_attempt_on_a_lease_pauses),
        TEST(an_idle_connection_on_a_busy_tunnel_is_not_lent),
        TEST(an_upload_is_not_lent_a_connection_on_a_shared_tunnel),
        TEST(a_returned_shared_connection_is_not_lent_to_a_waiting_upload),
        TEST(a_returned_connection_goes_to_a_waiting_lease),
        TEST(a_tunnel_that_has_just_opened_is_used_before_a_returned_connection),
        TEST(kept_connection_costs_the_same_beside_10000_leases),
        TEST(a_returned_connection_goes_to_the_oldest_lease_that_may_use_it),
    };
    return cmocka_run_group_tests_name("upstream/lease", tests, NULL, NULL);
}
