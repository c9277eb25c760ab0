/* test_session.c - both sessions joined without a socket. */
#include "server/front/grpc/session.h"

#include <stdlib.h>

#include "server/front/grpc/client_session.h"
#include "tests/support/kv_cmocka.h"

typedef struct pair {
    kv_grpc_session *server;
    kv_grpc_client *client;
    size_t piece; /* bytes carried at a time */
} pair;

enum { GLITCHES = 1000 }; /* of a session, if nothing else is said */

static const kv_grpc_limits limits = { .streams = 4,
                                       .message_bytes = 100000,
                                       .reply_bytes = 200000 };

static int make(void **state)
{
    pair *it = calloc(1, sizeof(*it));
    kv_error err;

    assert_kv_ok(kv_grpc_session_new(&limits, &it->server, &err));
    assert_kv_ok(
        kv_grpc_client_new(&(kv_grpc_client_limits){ .window = 65536 }, &it->client, &err));
    it->piece = 100000;
    *state = it;
    return 0;
}

static int drop(void **state)
{
    pair *it = *state;

    kv_grpc_session_free(it->server);
    kv_grpc_client_free(it->client);
    free(it);
    return 0;
}

/* Carries what one side has to the other; false when there was nothing. */
static bool carry_up(pair *it)
{
    kv_slice out;
    kv_error err;

    assert_kv_ok(kv_grpc_client_pull(it->client, &out, &err));
    for (size_t at = 0; at < out.len; at += it->piece) {
        size_t step = out.len - at < it->piece ? out.len - at : it->piece;

        assert_kv_ok(kv_grpc_session_receive(it->server, kv_slice_of(out.data + at, step), &err));
    }
    return out.len > 0;
}

static bool carry_down(pair *it)
{
    kv_slice out;
    kv_error err;

    assert_kv_ok(kv_grpc_session_pull(it->server, &out, &err));
    for (size_t at = 0; at < out.len; at += it->piece) {
        size_t step = out.len - at < it->piece ? out.len - at : it->piece;

        assert_kv_ok(kv_grpc_client_receive(it->client, kv_slice_of(out.data + at, step), &err));
    }
    return out.len > 0;
}

static void carry(pair *it)
{
    bool moved = true;

    while (moved) {
        moved = carry_up(it);
        moved = carry_down(it) || moved;
    }
}

static kv_grpc_client_call *begin(pair *it, kv_slice message, bool held)
{
    const kv_grpc_client_request request = { .path = "/a.B/C",
                                             .authority = "host",
                                             .credential = KV_SLICE("role"),
                                             .timeout_ms = 1234,
                                             .message = message,
                                             .held = held };
    kv_grpc_client_call *call;
    kv_error err;

    assert_kv_ok(kv_grpc_client_start(it->client, &request, &call, &err));
    return call;
}

static kv_grpc_stream *expect(pair *it, kv_grpc_event_kind kind)
{
    kv_grpc_event event;

    assert_true(kv_grpc_session_next(it->server, &event));
    assert_int_equal(event.kind, kind);
    return event.stream;
}

static void expect_end(pair *it, int code)
{
    kv_grpc_client_event event;

    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.kind, KV_GRPC_CLIENT_END);
    assert_int_equal(event.code, code);
}

static kv_grpc_stream *called(pair *it, kv_slice message)
{
    kv_grpc_stream *stream;

    (void)begin(it, message, false);
    carry(it);
    stream = expect(it, KV_GRPC_BEGIN);
    assert_ptr_equal(expect(it, KV_GRPC_CALL), stream);
    return stream;
}

static void a_request_arrives_whole(void **state)
{
    pair *it = *state;
    const kv_grpc_request *request;

    it->piece = 1;
    request = kv_grpc_stream_request(called(it, KV_SLICE("hello")));
    assert_slice_equal(KV_SLICE("/a.B/C"), request->path);
    assert_slice_equal(KV_SLICE("role"), request->credential);
    assert_slice_equal(KV_SLICE("hello"), request->message);
    assert_true(request->has_timeout);
    assert_int_equal(request->timeout_ms, 1234);
}

static void an_answer_arrives_whole(void **state)
{
    pair *it = *state;
    kv_grpc_stream *stream = called(it, KV_SLICE_NONE);
    kv_grpc_client_event event;
    kv_grpc_event gone;
    kv_error err;

    it->piece = 1;
    kv_grpc_stream_forget_request(stream);
    assert_kv_ok(kv_grpc_stream_send(stream, KV_SLICE("world"), &err));
    kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ 0 });
    carry(it);
    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.kind, KV_GRPC_CLIENT_MESSAGE);
    assert_slice_equal(KV_SLICE("world"), event.message);
    expect_end(it, 0);
    assert_true(kv_grpc_session_next(it->server, &gone));
    assert_int_equal(gone.kind, KV_GRPC_GONE);
    assert_true(gone.finished);
    assert_int_equal(kv_grpc_session_open_streams(it->server), 0);
}

static void an_error_keeps_its_words(void **state)
{
    pair *it = *state;
    kv_grpc_stream *stream = called(it, KV_SLICE("x"));
    kv_grpc_client_event event;

    kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 5,
                                                      .message = KV_SLICE("50% \xe2\x82\xac"),
                                                      .details = KV_SLICE("\1\2\3\0") });
    carry(it);
    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.code, 5);
    assert_slice_equal(KV_SLICE("50% \xe2\x82\xac"), event.message);
    assert_slice_equal(KV_SLICE("\1\2\3\0"), event.details);
    assert_false(event.unsent);
}

static void a_cancelled_call_is_gone(void **state)
{
    pair *it = *state;
    kv_grpc_client_call *call = begin(it, KV_SLICE("x"), false);
    kv_grpc_event gone;

    carry(it);
    (void)expect(it, KV_GRPC_BEGIN);
    (void)expect(it, KV_GRPC_CALL);
    kv_grpc_client_cancel(call, 4);
    expect_end(it, 4);
    carry(it);
    assert_true(kv_grpc_session_next(it->server, &gone));
    assert_int_equal(gone.kind, KV_GRPC_GONE);
    assert_false(gone.finished);
}

static void an_answer_may_precede_the_end_of_the_request(void **state)
{
    pair *it = *state;
    uint8_t *large = calloc(1, 3000000); /* more than the window: it cannot all be sent */
    kv_grpc_client_event event;

    (void)begin(it, kv_slice_of(large, 3000000), false);
    carry(it); /* over the message limit: refused at its prefix */
    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.code, 8);
    assert_int_equal(kv_grpc_session_open_streams(it->server), 0);
    free(large);
}

static void too_many_unread_replies_are_refused(void **state)
{
    pair *it = *state;
    kv_grpc_stream *stream = called(it, KV_SLICE("x"));
    uint8_t *large = calloc(1, 150000);
    kv_error err;

    assert_kv_ok(kv_grpc_stream_send(stream, kv_slice_of(large, 150000), &err));
    assert_kv_fails(KV_BUSY, kv_grpc_stream_send(stream, kv_slice_of(large, 150000), &err));
    assert_int_equal(kv_grpc_session_unsent(it->server), 150005);
    kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 8 });
    carry(it);
    assert_int_equal(kv_grpc_session_unsent(it->server), 0);
    free(large);
}

static void a_reader_that_takes_nothing_holds_the_server_back(void **state)
{
    pair *it = *state;
    kv_grpc_client_call *call = begin(it, KV_SLICE("x"), true);
    kv_grpc_client_event event;
    kv_grpc_stream *stream;
    static uint8_t block[10000];
    size_t got = 0;
    kv_error err;

    carry(it);
    stream = expect(it, KV_GRPC_BEGIN);
    (void)expect(it, KV_GRPC_CALL);
    for (int i = 0; i < 15; i++)
        assert_kv_ok(kv_grpc_stream_send(stream, kv_slice_of(block, sizeof(block)), &err));
    carry(it);
    assert_true(kv_grpc_session_unsent(it->server) > 0); /* the window is 64 KiB */
    while (kv_grpc_client_next(it->client, &event)) {
        got += event.message.len;
        kv_grpc_client_taken(call, kv_grpc_client_cost(event.message.len));
        carry(it);
    }
    assert_int_equal(got, 150000);
    assert_int_equal(kv_grpc_session_unsent(it->server), 0);
}

/* Each costs its receiver memory, though it has no bytes. */
static void empty_messages_are_held_back_too(void **state)
{
    enum { MESSAGES = 30000 };
    pair *it = *state;
    kv_grpc_client_call *call = begin(it, KV_SLICE("x"), true);
    kv_grpc_client_event event;
    kv_grpc_stream *stream;
    unsigned got = 0;
    kv_error err;

    carry(it);
    stream = expect(it, KV_GRPC_BEGIN);
    (void)expect(it, KV_GRPC_CALL);
    for (unsigned i = 0; i < MESSAGES; i++)
        assert_kv_ok(kv_grpc_stream_send(stream, KV_SLICE_NONE, &err));
    carry(it);
    assert_true(kv_grpc_session_unsent(it->server) > 0);
    while (kv_grpc_client_next(it->client, &event)) {
        got++;
        kv_grpc_client_taken(call, kv_grpc_client_cost(0));
        carry(it);
    }
    assert_int_equal(got, MESSAGES);
}

static void the_owner_hears_what_was_sent(void **state)
{
    pair *it = *state;
    kv_grpc_stream *stream = called(it, KV_SLICE("x"));
    kv_grpc_event event;
    kv_error err;

    for (int i = 0; i < 3; i++)
        assert_kv_ok(kv_grpc_stream_send(stream, KV_SLICE("12345"), &err));
    carry(it);
    assert_true(kv_grpc_session_next(it->server, &event));
    assert_int_equal(event.kind, KV_GRPC_SENT);
    assert_int_equal(event.messages, 3);
    assert_int_equal(event.bytes, 15);
}

static void the_client_keeps_to_the_servers_limit(void **state)
{
    pair *it = *state;

    carry(it); /* settings */
    for (unsigned i = 0; i < limits.streams; i++) {
        assert_true(kv_grpc_client_has_room(it->client));
        (void)begin(it, KV_SLICE("x"), false);
    }
    assert_false(kv_grpc_client_has_room(it->client));
}

static void two_goaways_end_a_session(void **state)
{
    pair *it = *state;
    kv_grpc_stream *stream = called(it, KV_SLICE("x"));

    kv_grpc_session_announce_end(it->server);
    carry(it);
    assert_true(kv_grpc_client_leaving(it->client));
    kv_grpc_session_end(it->server);
    carry(it);
    assert_false(kv_grpc_session_over(it->server)); /* one call is left */
    kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 0 });
    carry(it);
    expect_end(it, 0);
    assert_true(kv_grpc_session_over(it->server));
}

static void a_call_behind_the_goaway_was_not_seen(void **state)
{
    pair *it = *state;
    kv_grpc_client_event event;

    carry(it);
    kv_grpc_session_end(it->server);
    (void)carry_down(it);
    (void)carry_down(it);
    assert_true(kv_grpc_client_leaving(it->client));
    assert_false(kv_grpc_client_has_room(it->client));
    assert_false(kv_grpc_client_next(it->client, &event));
}

static void a_dead_connection_ends_every_call(void **state)
{
    pair *it = *state;
    kv_grpc_client_event event;

    (void)begin(it, KV_SLICE("x"), false);
    carry(it);
    (void)begin(it, KV_SLICE("y"), false); /* has not left yet */
    kv_grpc_client_fail(it->client, "gone");
    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.code, 14);
    assert_false(event.unsent);
    assert_true(kv_grpc_client_next(it->client, &event));
    assert_int_equal(event.code, 14);
    assert_true(event.unsent);
    assert_false(kv_grpc_client_next(it->client, &event));
}

static void garbage_ends_the_connection_with_a_goaway(void **state)
{
    pair *it = *state;
    kv_slice out;
    kv_error err;

    assert_kv_fails(
        KV_BAD_REQUEST,
        kv_grpc_session_receive(it->server, KV_SLICE("GET / HTTP/1.1\r\n\r\n12345678"), &err));
    assert_true(kv_grpc_session_over(it->server));
    assert_kv_ok(kv_grpc_session_pull(it->server, &out, &err));
    assert_true(out.len > 0);
    assert_kv_fails(KV_BAD_REQUEST, kv_grpc_session_receive(it->server, KV_SLICE("x"), &err));
    assert_int_equal(kv_grpc_session_flood(it->server), KV_GRPC_FLOOD_NONE);
}

static void useless_frames_are_a_flood(void **state)
{
    static const uint8_t unknown[] = { 0, 0, 0, 0xfb, 0, 0, 0, 0, 0 };
    pair *it = *state;
    unsigned sent = 0;
    kv_error err;

    carry(it);
    assert_int_equal(kv_grpc_session_flood(it->server), KV_GRPC_FLOOD_NONE);
    while (sent < 10 * GLITCHES &&
           kv_grpc_session_receive(it->server, kv_slice_of(unknown, sizeof(unknown)), &err) ==
               KV_OK)
        sent++;
    assert_in_range(sent, GLITCHES / 2, 10 * GLITCHES - 1);
    assert_int_equal(kv_grpc_session_flood(it->server), KV_GRPC_FLOOD_FRAMES);
}

static void resets_are_a_flood(void **state)
{
    pair *it = *state;
    kv_grpc_event event;

    for (unsigned i = 0; i < 10 * GLITCHES && !kv_grpc_session_over(it->server); i++) {
        kv_grpc_client_call *call = begin(it, KV_SLICE("x"), false);

        carry(it);
        kv_grpc_client_cancel(call, 1);
        expect_end(it, 1);
        carry(it);
        while (kv_grpc_session_next(it->server, &event))
            ;
    }
    assert_true(kv_grpc_session_over(it->server));
    assert_int_equal(kv_grpc_session_flood(it->server), KV_GRPC_FLOOD_FRAMES);
}

static void useless_work_below_ends_the_connection_like_useless_frames(void **state)
{
    pair *it = *state;
    unsigned charged = 0;
    kv_slice out;
    kv_error err;

    carry(it);
    while (charged < 10 * GLITCHES &&
           kv_grpc_session_charge(it->server, GLITCHES / 4, &err) == KV_OK)
        charged += GLITCHES / 4;
    assert_in_range(charged, GLITCHES / 2, 10 * GLITCHES - 1);
    assert_int_equal(err.status, KV_BAD_REQUEST);
    assert_true(kv_grpc_session_over(it->server));
    assert_kv_ok(kv_grpc_session_pull(it->server, &out, &err));
    assert_true(out.len > 0);
    assert_kv_fails(KV_BAD_REQUEST, kv_grpc_session_charge(it->server, 1, &err));
    assert_int_equal(kv_grpc_session_flood(it->server), KV_GRPC_FLOOD_RECORDS);
}

#define PAIR(name) cmocka_unit_test_setup_teardown(name, make, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR(a_request_arrives_whole),
        PAIR(an_answer_arrives_whole),
        PAIR(an_error_keeps_its_words),
        PAIR(a_cancelled_call_is_gone),
        PAIR(an_answer_may_precede_the_end_of_the_request),
        PAIR(too_many_unread_replies_are_refused),
        PAIR(a_reader_that_takes_nothing_holds_the_server_back),
        PAIR(empty_messages_are_held_back_too),
        PAIR(the_owner_hears_what_was_sent),
        PAIR(the_client_keeps_to_the_servers_limit),
        PAIR(two_goaways_end_a_session),
        PAIR(a_call_behind_the_goaway_was_not_seen),
        PAIR(a_dead_connection_ends_every_call),
        PAIR(garbage_ends_the_connection_with_a_goaway),
        PAIR(useless_frames_are_a_flood),
        PAIR(resets_are_a_flood),
        PAIR(useless_work_below_ends_the_connection_like_useless_frames),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
