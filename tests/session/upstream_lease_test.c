/* tests/session/upstream_lease_test.c - from a name to a stream, now, later or not at all */
#include "upstream_rig.h"

#include <string.h>
#include <time.h>

#include "base/own.h"

static void a_known_service_answers_at_once(void **state)
{
    (void)state;
    struct asker a;

    asker_get(&a);
    assert_int_equal(a.lease.result, OK);
    assert_false(a.lease.reused);
    assert_int_equal(a.lease.port, 8080);
    assert_non_null(a.lease.endpoint);
    assert_ptr_equal(a.lease.stream, &rig_conn(0)->stream);
    assert_ptr_equal(a.lease.stream->wake, &a.wake);
    rig_run();
    assert_int_equal(a.wakes, 0); /* it was answered before it returned */
    asker_return(&a, RELEASE_CLOSE);
    assert_true(rig_conn(0)->closed);
}

static void a_late_look_up_and_a_late_opening_wake(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_lookups = rig.hold_openings = true;
    asker_get(&a);
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
    asker_return(&a, RELEASE_CLOSE);
}

static void an_unknown_service_is_final(void **state)
{
    (void)state;
    struct asker a;

    rig_no_service(ERR_NOT_FOUND, 404, "services \"web\" not found");
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_NOT_FOUND);
    assert_string_equal(a.lease.why.text, "services \"web\" not found");
    assert_int_equal(a.lease.api_status, 404);
    assert_false(a.lease.dialling);
    asker_return(&a, RELEASE_CLOSE);
}

static void a_missing_right_is_named(void **state)
{
    (void)state;
    struct asker a;

    rig_no_service(ERR_FORBIDDEN, 403, "services is forbidden");
    rig.missing_verb = "get";
    rig.missing_resource = "services";
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_verb, "get");
    assert_string_equal(a.lease.missing_resource, "services");
    asker_return(&a, RELEASE_CLOSE);

    rig_service("a");
    rig.refusal = (struct api_error){ .code = ERR_FORBIDDEN, .status = 403 };
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_FORBIDDEN);
    assert_string_equal(a.lease.missing_verb, "create");
    assert_string_equal(a.lease.missing_resource, "pods/portforward");
    assert_true(a.lease.dialling);
    assert_string_equal(a.lease.endpoint->uid, "a"); /* the last one tried */
    asker_return(&a, RELEASE_CLOSE);
}

static void an_undeclared_port_is_final(void **state)
{
    (void)state;
    struct asker a;

    asker_init(&a, "web.shop");
    a.route.port = 81;
    asker_lease(&a);
    assert_int_equal(a.lease.result, ERR_NO_PORT);
    assert_non_null(strstr(a.lease.why.text, "80 (http)"));
    asker_return(&a, RELEASE_CLOSE);
}

static void a_pod_is_asked_for_as_a_pod(void **state)
{
    (void)state;
    struct asker a;

    asker_init(&a, "a.shop.pod");
    asker_lease(&a);
    assert_int_equal(rig.pod_lookup_count, 1);
    assert_int_equal(a.lease.result, OK);
    asker_return(&a, RELEASE_CLOSE);
}

/* ---- parking ---- */

static void no_pod_at_all_is_final(void **state)
{
    (void)state;
    struct asker a;

    rig_service("");
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    assert_string_equal(a.lease.why.text, "no pod matches its selector");
    asker_return(&a, RELEASE_CLOSE);
}

/* As where a named target port is misspelt. */
static void a_port_that_no_ready_pod_has_is_final(void **state)
{
    (void)state;
    struct asker a;

    const struct service_port misspelt = {
        .name = "http", .number = 80, .tcp = true, .target_name = "htpp"
    };
    rig_service_with_port("ab", &misspelt);
    for (size_t i = 0; i < rig.service->endpoint_count; i++)
        rig_drop_ports(i);
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    assert_non_null(
        strstr(a.lease.why.text, "leads to the container port htpp, which no"));
    asker_return(&a, RELEASE_CLOSE);
}

static void an_endpoint_that_was_ready_lately_is_waited_for(void **state)
{
    (void)state;
    struct asker a;

    rig_service("");
    rig.service->last_ready = rig.sched->now;
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    asker_return(&a, RELEASE_CLOSE);
    rig_advance(60000);
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    asker_return(&a, RELEASE_CLOSE);
}

static void a_change_unparks(void **state)
{
    (void)state;
    struct asker a;

    rig_service("AB");
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_int_equal(rig.dial_count, 0);
    rig_advance(100);
    rig_change(); /* of something else */
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_service("Ab");
    rig_change();
    assert_int_equal(a.lease.result, OK);
    assert_string_equal(a.lease.endpoint->uid, "b");
    assert_string_equal(a.lease.why.text, "");
    assert_int_equal(a.wakes, 1);
    asker_return(&a, RELEASE_CLOSE);
}

/* Without a watch no change wakes it; a parked lease looks every 250 ms. */
static void the_retry_timer_unparks(void **state)
{
    (void)state;
    struct asker a;

    rig.rights = RIGHTS_LOOKUP;
    rig_service("A");
    asker_get(&a);
    assert_int_equal(rig.lookup_count, 1);
    rig_advance(249);
    assert_int_equal(rig.lookup_count, 1);
    rig_service("a");
    rig_advance(1);
    assert_int_equal(rig.lookup_count, 2);
    assert_int_equal(rig.last_max_age, 250);
    assert_int_equal(a.lease.result, OK);
    asker_return(&a, RELEASE_CLOSE);
}

static void the_retry_timer_dials_again(void **state)
{
    (void)state;
    struct asker a;

    rig_service("a");
    rig.refusal = (struct api_error){ .code = ERR_SERVER, .status = 500 };
    asker_get(&a);
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
    asker_return(&a, RELEASE_CLOSE);
}

/* With two endpoints that both cannot be dialled there is no ping-pong between them. */
static void failing_over_does_not_spin(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_openings = true;
    asker_get(&a);
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
    asker_return(&a, RELEASE_CLOSE);
}

static void wait_until_ends_the_waiting(void **state)
{
    (void)state;
    struct asker a;

    rig_service("A");
    rig.service->pods_note = xstrdup("1 pod matches: a Pending");
    asker_get(&a);
    rig_advance(9999);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    assert_string_equal(a.lease.why.text, "1 pod matches: a Pending");
    assert_int_equal(a.wakes, 1);
    rig_advance(60000);
    assert_int_equal(a.wakes, 1);
    asker_return(&a, RELEASE_CLOSE);
}

static void without_time_to_wait_not_now_is_final(void **state)
{
    (void)state;
    struct asker a;

    rig_service("A");
    asker_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now;
    asker_lease(&a);
    assert_int_equal(a.lease.result, ERR_UNAVAILABLE);
    asker_return(&a, RELEASE_CLOSE);
}

/* An API server that accepts connections and never answers. */
static void the_wait_covers_the_first_look_up(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_lookups = true;
    asker_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now + 3000;
    asker_lease(&a);
    rig_advance(2999);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(a.lease.result, ERR_TIMEOUT);
    assert_true(a.lease.why.text[0]);
    assert_false(a.lease.dialling);
    asker_return(&a, RELEASE_CLOSE);
}

static void a_look_up_that_is_late_has_the_reason_of_the_watches(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_lookups = true;
    rig.trouble = (struct api_error){ .code = ERR_SERVER, .status = 502 };
    diag_set(&rig.trouble.why, ERR_SERVER, "the API server answered 502");
    asker_get(&a);
    rig_advance(10000);
    assert_int_equal(a.lease.result, ERR_SERVER);
    assert_string_equal(a.lease.why.text, "the API server answered 502");
    assert_int_equal(a.lease.api_status, 502);
    asker_return(&a, RELEASE_CLOSE);
}

static void the_wait_covers_the_first_dial(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_openings = true;
    asker_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now + 3000;
    asker_lease(&a);
    rig_advance(2999);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(a.lease.result, ERR_TIMEOUT);
    assert_true(a.lease.dialling);
    assert_true(rig.dials[0].cancelled);
    assert_non_null(a.lease.endpoint);
    asker_return(&a, RELEASE_CLOSE);
}

static void a_dial_in_a_burst_gets_its_time_beyond_the_wait(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_openings = rig.opening_progresses = true;
    asker_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now + 3000;
    asker_lease(&a);
    rig_advance(12999);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(a.lease.result, ERR_TIMEOUT);
    asker_return(&a, RELEASE_CLOSE);
}

static void without_a_wait_one_attempt_gets_the_dial_timeout(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_openings = true;
    asker_init(&a, "web.shop");
    a.want.wait_until = rig.sched->now;
    asker_lease(&a);
    rig_advance(9999);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(1);
    assert_int_equal(a.lease.result, ERR_TIMEOUT);
    asker_return(&a, RELEASE_CLOSE);
}

static void an_api_server_that_comes_back_in_time_is_enough(void **state)
{
    (void)state;
    struct asker a;

    rig_no_service(ERR_CONNECT, 0, "connection refused");
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    rig_advance(5000);
    assert_in_range(rig.lookup_count, 16, 24);
    rig_service("a");
    rig_advance(500);
    assert_int_equal(a.lease.result, OK);
    asker_return(&a, RELEASE_CLOSE);
}

/* ---- failing over ---- */

static void a_refused_opening_goes_to_another_endpoint(void **state)
{
    (void)state;

    for (int i = 0; i < 8; i++) {
        struct asker a;
        rig.refusal = (struct api_error){ .code = ERR_SERVER, .status = 500 };
        rig.only_refuses = "a";
        asker_get(&a);
        assert_int_equal(a.lease.result, OK);
        assert_string_equal(a.lease.endpoint->uid, "b");
        asker_return(&a, RELEASE_CLOSE);
    }
}

/* The pod is gone: what the catalog says about the others may be old too. */
static void a_pod_not_found_asks_afresh(void **state)
{
    (void)state;
    struct asker a;

    rig_service("a");
    rig.hold_openings = true;
    asker_get(&a);
    rig_service("b");
    rig_refuse(0, ERR_NOT_FOUND, "pods \"a\" not found");
    assert_int_equal(rig.last_max_age, 0);
    assert_string_equal(rig_conn(1)->uid, "b");
    rig_open(1);
    assert_int_equal(a.lease.result, OK);
    assert_string_equal(a.lease.endpoint->uid, "b");
    asker_return(&a, RELEASE_CLOSE);
}

/* All of them, one after the other: the slices are behind.  Nobody waits for that. */
static void pods_that_do_not_exist_are_told_of_and_left_at_once(void **state)
{
    (void)state;
    struct asker a;

    rig.hold_openings = true;
    asker_get(&a);
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
    asker_return(&a, RELEASE_CLOSE);
}

/* It was a proxy, or a kubelet, who said so: the pod may well be there. */
static void a_404_that_names_no_pod_says_nothing_of_it(void **state)
{
    (void)state;
    struct asker a;

    rig_service("z");
    rig.refusal =
        (struct api_error){ .code = ERR_NOT_FOUND, .status = 404, .is_status = true };
    diag_set(&rig.refusal.why, OK, "the server could not find the requested resource");
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_string_equal(rig.missing, "");
    asker_return(&a, RELEASE_CLOSE);

    rig.refusal = (struct api_error){ .code = ERR_NOT_FOUND, .status = 404 };
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_AGAIN);
    assert_string_equal(rig.missing, "");
    asker_return(&a, RELEASE_CLOSE);
}

static void an_unauthorized_opening_is_final(void **state)
{
    (void)state;
    struct asker a;

    rig.refusal = (struct api_error){ .code = ERR_UNAUTHORIZED, .status = 401 };
    asker_get(&a);
    assert_int_equal(a.lease.result, ERR_UNAUTHORIZED);
    assert_int_equal(rig.dial_count, 1);
    asker_return(&a, RELEASE_CLOSE);
}

/* ---- returning ---- */

static void a_kept_connection_serves_the_next(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    struct stream *s = a.lease.stream;
    asker_return(&a, RELEASE_KEEP);
    assert_false(rig_conn(0)->lent);
    rig_advance(5000);
    asker_get(&b);
    assert_ptr_equal(b.lease.stream, s);
    assert_true(b.lease.reused);
    assert_true(rig_conn(0)->lent);
    assert_ptr_equal(s->wake, &b.wake);
    assert_int_equal(rig.dial_count, 1);
    asker_return(&b, RELEASE_ABORT);
    assert_true(rig_conn(0)->aborted);
    asker_get(&b);
    assert_false(b.lease.reused);
    asker_return(&b, RELEASE_CLOSE);
}

static void raw_connections_are_always_fresh(void **state)
{
    (void)state;
    struct asker a;

    rig_service("a");
    asker_get(&a);
    asker_return(&a, RELEASE_KEEP);
    asker_init(&a, "web.shop");
    a.want.proto = PROTO_RAW;
    asker_lease(&a);
    assert_false(a.lease.reused);
    assert_int_equal(rig.dial_count, 2);
    asker_return(&a, RELEASE_CLOSE);
}

static void the_one_used_last_goes_first(void **state)
{
    (void)state;
    struct asker a, b, c;

    rig_service("a");
    asker_get(&a);
    asker_get(&b);
    asker_return(&b, RELEASE_KEEP);
    asker_return(&a, RELEASE_KEEP);
    asker_get(&c);
    assert_ptr_equal(c.lease.stream, &rig_conn(0)->stream);
    asker_return(&c, RELEASE_CLOSE);
}

static void another_port_is_another_connection(void **state)
{
    (void)state;
    struct asker a;

    rig_service("a");
    asker_get(&a);
    asker_return(&a, RELEASE_KEEP);
    asker_init(&a, "web.shop");
    a.route.target_port = 9090;
    asker_lease(&a);
    assert_false(a.lease.reused);
    assert_int_equal(rig_conn(1)->port, 9090);
    asker_return(&a, RELEASE_CLOSE);
}

/* Kept means: open, and nothing under way in either direction. */
static void what_is_not_clean_is_closed_instead(void **state)
{
    (void)state;
    enum dirt { BYTES_IN, BYTES_OUT, SHUT, ENDED, BROKEN, DIRTS };

    for (int dirt = 0; dirt < DIRTS; dirt++) {
        struct asker a;
        asker_get(&a);
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
        asker_return(&a, RELEASE_KEEP);
        assert_true(rig_conn(i)->closed);
    }
}

static void what_stirs_in_the_pool_is_closed(void **state)
{
    (void)state;

    for (int how = 0; how < 3; how++) {
        struct asker a;
        asker_get(&a);
        struct stream *s = a.lease.stream;
        size_t i = rig.dial_count - 1;
        asker_return(&a, RELEASE_KEEP);
        rig_run();
        assert_false(rig_conn(i)->closed);
        if (how == 0)
            bufq_write(&s->in, "HTTP/1.1 408", 12);
        else
            stream_end(s, how == 1 ? V_CLEAN : V_TRANSPORT_LOST, NULL);
        task_wake(s->wake);
        asker_get(&a); /* before the pool has looked: it is not given out */
        assert_false(a.lease.reused);
        asker_return(&a, RELEASE_CLOSE);
        rig_run();
        assert_true(rig_conn(i)->closed);
    }
}

static void idle_connections_expire(void **state)
{
    (void)state;
    struct asker a;

    asker_get(&a);
    asker_return(&a, RELEASE_KEEP);
    rig_advance(89999);
    assert_false(rig_conn(0)->closed);
    rig_advance(1);
    assert_true(rig_conn(0)->closed);

    asker_get(&a);
    a.lease.keep_ms = 4000; /* the pod said so */
    asker_return(&a, RELEASE_KEEP);
    rig_advance(3999);
    assert_false(rig_conn(1)->closed);
    rig_advance(1);
    assert_true(rig_conn(1)->closed);
}

static void a_gone_pod_loses_its_idle_connections_only(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    asker_get(&b);
    asker_return(&a, RELEASE_KEEP);
    rig_gone("unheard-of");
    assert_false(rig_conn(0)->closed);
    rig_gone("a");
    assert_true(rig_conn(0)->closed);
    assert_false(rig_conn(1)->closed);
    assert_string_equal(rig.retired, "a");
    asker_return(&b, RELEASE_CLOSE);
}

/* ---- cancelling ---- */

enum at { LOOKING, OPENING, PARKED, HELD, FAILED, ATS };

static void a_lease_may_be_returned_in_any_state(void **state)
{
    (void)state;
    for (int i = 0; i < ATS * 3; i++) {
        enum at at = (enum at)(i / 3);
        struct asker a;
        rig.hold_lookups = at == LOOKING;
        rig.hold_openings = at == OPENING;
        rig_service(at == PARKED ? "A" : at == FAILED ? "" : "a");
        asker_get(&a);
        rig_run();
        assert_int_equal(a.lease.result, at == HELD     ? OK
                                         : at == FAILED ? ERR_UNAVAILABLE
                                                        : ERR_AGAIN);
        asker_return(&a, (enum release_mode)(i % 3));
        upstream_return(&a.lease, RELEASE_CLOSE); /* once more does no harm */
        if (at == OPENING)
            assert_true(rig.dials[rig.dial_count - 1].cancelled);
        assert_true(upstream_idle(rig.upstream));
        rig.hold_lookups = rig.hold_openings = false;
        rig_answer();
        rig_advance(20000);
        assert_int_equal(a.wakes, 0);
    }
}

static void draining_waits_for_the_last_lease_and_keeps_nothing(void **state)
{
    (void)state;
    struct asker a, b, done;

    asker_init(&done, "web.shop");
    asker_get(&a);
    asker_get(&b);
    asker_return(&a, RELEASE_KEEP);
    upstream_drain(rig.upstream, &done.wake);
    rig_run();
    assert_true(rig_conn(0)->closed);
    assert_int_equal(done.wakes, 0);
    asker_return(&b, RELEASE_KEEP);
    rig_run();
    assert_true(rig_conn(1)->closed);
    assert_int_equal(done.wakes, 1);
}

/* A pod that goes away refuses before the cluster says so: not at once again. */
static void from_the_third_attempt_on_there_is_a_pause(void **state)
{
    (void)state;
    static const uint64_t pauses[] = { 0, 0, 100, 200, 300, 300 };

    for (unsigned i = 0; i < ARRAY_LEN(pauses); i++) {
        struct asker a;
        asker_init(&a, "web.shop");
        a.want.attempt = i;
        asker_lease(&a);
        if (pauses[i]) {
            rig_advance(pauses[i] - 1);
            assert_int_equal(a.lease.result, ERR_AGAIN);
            rig_advance(1);
        }
        assert_int_equal(a.lease.result, OK);
        asker_return(&a, RELEASE_CLOSE);
    }
}

/* Its tunnel carries one connection at a time, and another one just now. */
static void an_idle_connection_on_a_taken_tunnel_stays_where_it_is(void **state)
{
    (void)state;
    struct asker a;

    rig_service("a");
    asker_get(&a);
    struct stream *kept = a.lease.stream;
    asker_return(&a, RELEASE_KEEP);

    rig.not_free = kept;
    asker_get(&a);
    assert_ptr_not_equal(a.lease.stream, kept);
    asker_return(&a, RELEASE_CLOSE);

    rig.not_free = NULL;
    asker_get(&a);
    assert_ptr_equal(a.lease.stream, kept);
    assert_true(a.lease.reused);
    asker_return(&a, RELEASE_CLOSE);
}

/* A large upload is better off on a tunnel that no other uses. */
static void who_will_carry_much_takes_no_connection_on_a_shared_tunnel(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    assert_false(rig.dials[0].alone);
    rig.shared = a.lease.stream;
    asker_return(&a, RELEASE_KEEP);

    asker_init(&b, "web.shop");
    b.want.alone = true;
    asker_lease(&b);
    assert_int_equal(rig.dial_count, 2);
    assert_true(rig.dials[1].alone);
    asker_return(&b, RELEASE_KEEP);

    asker_init(&b, "web.shop");
    b.want.alone = true;
    asker_lease(&b);
    assert_true(b.lease.reused);
    assert_ptr_equal(b.lease.stream, &rig.dials[1].conn.stream);
    asker_get(&a);
    assert_ptr_equal(a.lease.stream, rig.shared);
    asker_return(&a, RELEASE_CLOSE);
    asker_return(&b, RELEASE_CLOSE);
}

/* ... nor the one that another has just finished with. */
static void a_shared_connection_given_back_is_not_for_who_wants_to_be_alone(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    rig.shared = a.lease.stream;
    rig.hold_openings = true;
    asker_init(&b, "web.shop");
    b.want.alone = true;
    asker_lease(&b);
    asker_return(&a, RELEASE_KEEP);
    rig_advance(0);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    rig_open(1);
    rig_advance(0);
    assert_int_equal(b.lease.result, OK);
    asker_return(&b, RELEASE_CLOSE);
}

/* Who waits for a tunnel gets the connection that another has just finished with. */
static void a_connection_given_back_goes_to_who_waits(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    struct stream *s = a.lease.stream;
    rig.hold_openings = true;
    asker_get(&b);
    assert_int_equal(b.lease.result, ERR_AGAIN);
    asker_return(&a, RELEASE_KEEP);
    rig_advance(0);
    assert_int_equal(b.lease.result, OK);
    assert_ptr_equal(b.lease.stream, s);
    assert_true(b.lease.reused);
    assert_true(rig.dials[rig.dial_count - 1].cancelled);
    asker_return(&b, RELEASE_CLOSE);
}

/* ... unless a tunnel has just opened for it, of which it has not heard yet. */
static void a_tunnel_that_has_just_opened_is_not_thrown_away(void **state)
{
    (void)state;
    struct asker a, b;

    rig_service("a");
    asker_get(&a);
    rig.hold_openings = true;
    asker_get(&b);
    rig_open_unheard(1);
    asker_return(&a, RELEASE_KEEP);
    rig_run();
    assert_int_equal(b.lease.result, OK);
    assert_ptr_equal(b.lease.stream, &rig_conn(1)->stream);
    assert_false(rig_conn(1)->aborted);
    asker_return(&b, RELEASE_CLOSE);
}

/* CPU seconds for so many requests on a kept connection, one after the other. */
static double keep_and_take(size_t times)
{
    struct timespec from, to;
    struct asker a;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (size_t i = 0; i < times; i++) {
        asker_get(&a);
        assert_int_equal(a.lease.result, OK);
        asker_return(&a, RELEASE_KEEP);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Each kept answer looked at all of them. */
static void kept_connection_costs_the_same_beside_10000_leases(void **state)
{
    (void)state;
    struct asker *others = xcalloc(10000, sizeof(*others));
    double alone = 1e9, beside = 1e9;

    rig_service("a");
    for (int i = 0; i < 3; i++) {
        double seconds = keep_and_take(3000);
        alone = seconds < alone ? seconds : alone;
    }
    rig.hold_lookups = true;
    for (size_t i = 0; i < 10000; i++)
        asker_get(&others[i]);
    rig.hold_lookups = false;
    for (int i = 0; i < 3; i++) {
        double seconds = keep_and_take(3000);
        beside = seconds < beside ? seconds : beside;
    }
    for (size_t i = 0; i < 10000; i++)
        asker_return(&others[i], RELEASE_CLOSE);
    free(others);
    if (beside > 3 * alone)
        fail_msg("%.1f times as much", beside / alone);
}

static void waits(struct asker *a, bool alone)
{
    asker_init(a, "web.shop");
    a->want.alone = alone;
    asker_lease(a);
    assert_int_equal(a->lease.result, ERR_AGAIN);
}

/* ... and one that wants to be alone is left out where the tunnel is shared. */
static void the_oldest_that_may_have_it_gets_a_connection_given_back(void **state)
{
    (void)state;
    struct asker a, alone, first, second;

    rig_service("a");
    asker_get(&a);
    struct stream *s = a.lease.stream;
    rig.hold_openings = true;
    waits(&alone, true);
    waits(&first, false);
    waits(&second, false);
    rig.shared = s;
    asker_return(&a, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(first.lease.stream, s);
    rig.shared = NULL;
    asker_return(&first, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(alone.lease.stream, s);
    asker_return(&alone, RELEASE_KEEP);
    rig_run();
    assert_ptr_equal(second.lease.stream, s);
    asker_return(&second, RELEASE_CLOSE);
}

/* ---- everything that can happen, in every state ---- */

enum event {
    ANSWERED,      /* look-ups under way get what there is ... */
    KNOWS_NOTHING, /* ... or that there is no such service */
    OPENED,
    DIAL_FAILED,
    POD_MISSING,
    CHANGED, /* an endpoint comes, another goes */
    POD_GONE_TOO,
    STREAM_BROKE,
    A_MOMENT,
    A_LONG_TIME,
    DRAINS,
    EVENTS
};

static void bring(enum at at, struct asker *a)
{
    rig.hold_lookups = at == LOOKING;
    rig.hold_openings = at == OPENING;
    rig_service(at == PARKED ? "A" : at == FAILED ? "" : "ab");
    asker_get(a);
    rig_run();
    assert_int_equal(a->lease.result, at == HELD     ? OK
                                      : at == FAILED ? ERR_UNAVAILABLE
                                                     : ERR_AGAIN);
}

static void happen(enum event event, struct asker *a, struct task *drained)
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

static void check(const struct asker *a)
{
    const struct lease *l = &a->lease;

    assert_true((l->result == OK) == (l->stream != NULL));
    if (l->result != OK && l->result != ERR_AGAIN)
        assert_true(l->why.text[0]); /* whoever is told no is told why */
}

static void play(void **state, enum at at, enum event first, enum event second)
{
    struct asker a, drained;

    rig_begin(state);
    asker_init(&drained, "web.shop");
    bring(at, &a);
    happen(first, &a, &drained.wake);
    check(&a);
    happen(second, &a, &drained.wake);
    check(&a);
    bool was_known = a.lease.result != ERR_AGAIN;
    unsigned wakes = a.wakes;
    rig_advance(60000); /* no lease waits for ever, and none is answered twice */
    if (!rig.hold_lookups && !rig.hold_openings)
        assert_int_not_equal(a.lease.result, ERR_AGAIN);
    if (was_known && !a.lease.stream)
        assert_int_equal(a.wakes, wakes);
    asker_return(&a, (enum release_mode)((first + second) % 3));
    rig.hold_lookups = rig.hold_openings = false;
    rig_answer();
    task_cancel(&drained.wake);
    assert_true(upstream_idle(rig.upstream));
    assert_int_equal(rig_end(state), 0);
}

static void survives_every_two_events_in_every_state(void **state)
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
        cmocka_unit_test(survives_every_two_events_in_every_state),
        TEST(a_known_service_answers_at_once),
        TEST(a_late_look_up_and_a_late_opening_wake),
        TEST(an_unknown_service_is_final),
        TEST(a_missing_right_is_named),
        TEST(an_undeclared_port_is_final),
        TEST(a_pod_is_asked_for_as_a_pod),
        TEST(no_pod_at_all_is_final),
        TEST(a_port_that_no_ready_pod_has_is_final),
        TEST(an_endpoint_that_was_ready_lately_is_waited_for),
        TEST(a_change_unparks),
        TEST(the_retry_timer_unparks),
        TEST(the_retry_timer_dials_again),
        TEST(failing_over_does_not_spin),
        TEST(wait_until_ends_the_waiting),
        TEST(without_time_to_wait_not_now_is_final),
        TEST(the_wait_covers_the_first_look_up),
        TEST(a_look_up_that_is_late_has_the_reason_of_the_watches),
        TEST(the_wait_covers_the_first_dial),
        TEST(a_dial_in_a_burst_gets_its_time_beyond_the_wait),
        TEST(without_a_wait_one_attempt_gets_the_dial_timeout),
        TEST(an_api_server_that_comes_back_in_time_is_enough),
        TEST(a_refused_opening_goes_to_another_endpoint),
        TEST(a_pod_not_found_asks_afresh),
        TEST(pods_that_do_not_exist_are_told_of_and_left_at_once),
        TEST(a_404_that_names_no_pod_says_nothing_of_it),
        TEST(an_unauthorized_opening_is_final),
        TEST(a_kept_connection_serves_the_next),
        TEST(raw_connections_are_always_fresh),
        TEST(the_one_used_last_goes_first),
        TEST(another_port_is_another_connection),
        TEST(what_is_not_clean_is_closed_instead),
        TEST(what_stirs_in_the_pool_is_closed),
        TEST(idle_connections_expire),
        TEST(a_gone_pod_loses_its_idle_connections_only),
        TEST(a_lease_may_be_returned_in_any_state),
        TEST(draining_waits_for_the_last_lease_and_keeps_nothing),
        TEST(from_the_third_attempt_on_there_is_a_pause),
        TEST(an_idle_connection_on_a_taken_tunnel_stays_where_it_is),
        TEST(who_will_carry_much_takes_no_connection_on_a_shared_tunnel),
        TEST(a_shared_connection_given_back_is_not_for_who_wants_to_be_alone),
        TEST(a_connection_given_back_goes_to_who_waits),
        TEST(a_tunnel_that_has_just_opened_is_not_thrown_away),
        TEST(kept_connection_costs_the_same_beside_10000_leases),
        TEST(the_oldest_that_may_have_it_gets_a_connection_given_back),
    };
    return cmocka_run_group_tests_name("upstream/lease", tests, NULL, NULL);
}
