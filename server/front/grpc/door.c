/* door.c - streams to calls, calls to answers, and what happens when either is late. */
#include "server/front/grpc/door.h"

#include <stddef.h>
#include <stdlib.h>

#include <utlist.h>

#include "server/base/text.h"
#include "server/front/grpc/details.h"
#include "server/front/grpc/health.h"

/* A role token lasts for a third of that at most. */
enum {
    DETAILS_BYTES = 8 * 1024,
    RETRY_MS = 100,
    ENDLESS_MS = 24 * 60 * 60 * 1000,
    LOCKED_LEAST = 8 * 1024 /* two blocks of an arena */
};

static const kv_gates *gates_of(const kv_stub *stub)
{
    return &stub->loop->front->services->gates;
}

void kv_door_finish(kv_stub *stub, const kv_error *err)
{
    kv_arena arena = KV_ARENA(DETAILS_BYTES);
    kv_grpc_trailer trailer = { 0 };

    if (!stub->stream || stub->answered)
        return;
    stub->answered = true;
    if (stub->timed)
        (void)event_del(&stub->timer);
    if (err)
        kv_grpc_trailer_of(err, stub->request_id, &arena, &trailer);
    kv_grpc_stream_finish(stub->stream, &trailer);
    kv_arena_cleanup(&arena);
    kv_loop_mark_dirty(stub->loop, stub->conn);
}

/* Only when the stream is gone and the call is home. */
static void drop_if_over(kv_stub *stub)
{
    if (stub->stream || stub->call)
        return;
    if (stub->timed)
        (void)event_del(&stub->timer);
    if (stub->conn) {
        DL_DELETE(stub->conn->stubs, stub);
        stub->conn->stub_count--;
    }
    HASH_DEL(stub->loop->stubs, stub);
    free(stub);
}

/* The caller is not waiting any more, whatever the worker does. True when the worker had not
 * decided yet. */
static bool leave_call(kv_stub *stub, kv_status why)
{
    const kv_gates *gates = gates_of(stub);
    bool won;

    if (!stub->call)
        return false;
    /* In this order: a worker that finds its stream closed has lost the race already. */
    won = kv_call_win(stub->call, KV_RACE_LEFT);
    if (stub->call->flow)
        kv_flow_close(stub->call->flow);
    if (won) {
        atomic_fetch_add(&stub->loop->front->late, 1);
        if (gates->audit_left && stub->conn)
            gates->audit_left(gates->context, stub->request_id, stub->route, &stub->conn->peer,
                              why);
    }
    return won;
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    kv_stub *stub = context;
    kv_loop *loop = stub->loop;
    kv_error err;

    (void)fd;
    (void)what;
    /* A worker that was first is about to answer: its record says what the caller gets. It may be
     * in its next task already. */
    if (stub->call && !leave_call(stub, KV_TIMEOUT)) {
        kv_lanes_flush(loop->front->lanes);
        return;
    }
    kv_fail(&err, KV_TIMEOUT, "the deadline has passed");
    kv_door_finish(stub, &err);
    kv_loop_flush(loop);
}

static void set_timer(kv_stub *stub, const kv_grpc_request *request)
{
    const kv_front_config *config = &stub->loop->config;
    int64_t ms = request->has_timeout ? request->timeout_ms : (int64_t)config->deadline_ms;
    bool endless = stub->watches || (stub->route && stub->route->watches);
    struct timeval in;

    if (stub->watches && !request->has_timeout)
        return;
    if (endless && !request->has_timeout)
        ms = ENDLESS_MS;
    if (ms > config->deadline_most && !endless)
        ms = config->deadline_most;
    stub->deadline = kv_deadline_in_ms(ms);
    in = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
    (void)event_assign(&stub->timer, stub->loop->base, -1, 0, on_deadline, stub);
    stub->timed = !event_add(&stub->timer, &in);
}

/* False when there is no randomness. */
static bool draw_request_id(kv_loop *loop, uint8_t out[KV_REQUEST_ID_BYTES])
{
    if (!loop->random_left && !kv_random_id(loop->random, sizeof(loop->random)))
        return false;
    if (!loop->random_left)
        loop->random_left = sizeof(loop->random);
    loop->random_left -= KV_REQUEST_ID_BYTES;
    memcpy(out, loop->random + loop->random_left, KV_REQUEST_ID_BYTES);
    return true;
}

static kv_stub *make_stub(kv_conn *conn, kv_grpc_stream *stream)
{
    kv_loop *loop = conn->loop;
    kv_stub *stub = calloc(1, sizeof(*stub));

    if (!stub)
        return NULL;
    if (!draw_request_id(loop, stub->request_id)) {
        free(stub);
        return NULL;
    }
    stub->serial = ++loop->next_serial;
    stub->loop = loop;
    stub->conn = conn;
    stub->stream = stream;
    HASH_ADD(hh, loop->stubs, serial, sizeof(stub->serial), stub);
    if (!KV_HASH_HAS(stub)) {
        free(stub);
        return NULL;
    }
    DL_APPEND(conn->stubs, stub);
    conn->stub_count++;
    kv_grpc_stream_set_user(stream, stub);
    return stub;
}

static void on_begin(kv_conn *conn, kv_grpc_stream *stream)
{
    const kv_grpc_request *request = kv_grpc_stream_request(stream);
    kv_stub *stub = make_stub(conn, stream);
    kv_error err;
    bool health;

    kv_loop_mark_dirty(conn->loop, conn);
    if (!stub) {
        kv_grpc_stream_finish(stream, &(kv_grpc_trailer){ .code = 8 });
        return;
    }
    health = kv_health_is(request->path, &stub->watches);
    if (!health)
        stub->route = kv_methods_find(conn->loop->front->methods, request->path);
    set_timer(stub, request);
    if (health)
        return;
    if (!stub->route) {
        kv_fail(&err, KV_UNSUPPORTED, "this server has no such method");
        kv_door_finish(stub, &err);
    }
}

/* --- calls go out --- */

static void call_home(kv_mail *mail, void *owner);
static void message_home(kv_mail *mail, void *owner);

static kv_status make_call(kv_stub *stub, kv_call **out, kv_error *err)
{
    kv_front *front = stub->loop->front;
    const kv_front_config *config = &stub->loop->config;
    const kv_grpc_request *request = kv_grpc_stream_request(stub->stream);
    kv_call_start start = {
        .services = front->services,
        .route = stub->route,
        .door = KV_DOOR_GRPC,
        .ticket = { .home = stub->loop->box, .serial = stub->serial },
        .peer = &stub->conn->peer,
        .key = front->services->throttle ? stub->turn.key : NULL,
        .request_id = stub->request_id,
        .credential = request->credential,
        .idempotency_key = request->idempotency_key,
        .body = request->message,
        .deadline = stub->deadline,
        .memory_bytes = config->call_memory,
    };
    kv_call *call;

    KV_TRY(kv_call_make(&start, &call, err));
    call->mail.deliver = call_home;
    call->deliver_message = message_home;
    if (stub->route->streams)
        call->flow = kv_flow_new(config->stream_unsent, config->stream_bytes);
    if (stub->route->streams && !call->flow) {
        kv_call_free(call);
        return kv_fail(err, KV_BUSY, "the server is out of memory");
    }
    *out = call;
    return KV_OK;
}

/* The caller has had enough, or the lane or the connection has no room: told at once, and counted
 * in the audit log. */
static void refuse_call(kv_stub *stub, const kv_error *err)
{
    const kv_gates *gates = gates_of(stub);
    kv_throttle *throttle = stub->loop->front->services->throttle;
    const kv_peer *peer = &stub->conn->peer;
    uint8_t principal[KV_PRINCIPAL_ID_BYTES];
    bool known = throttle && peer->has_certificate &&
                 kv_throttle_knows(throttle, peer->thumbprint, principal);

    gates->audit_refused(gates->context, &(kv_refused){ .request_id = stub->request_id,
                                                        .route = stub->route,
                                                        .peer = peer,
                                                        .principal = known ? principal : NULL,
                                                        .error = err });
    kv_door_finish(stub, err);
}

static void leave_turn(kv_stub *stub)
{
    if (stub->turn.account)
        kv_throttle_leave(stub->loop->front->services->throttle, &stub->turn);
}

/* What the arena of a call takes of the locked heap, which gives it away in powers of two: what
 * comes with the call, all that kv_call_make() copies, and what is made of it until it is answered.
 */
static uint64_t locked_need(const kv_stub *stub)
{
    const kv_grpc_request *request = kv_grpc_stream_request(stub->stream);
    uint64_t comes = request->message.len;

    comes += request->credential.len + request->idempotency_key.len;
    comes += stub->conn->peer.certificate.len;
    return LOCKED_LEAST + 2 * comes;
}

static kv_status take_turn(kv_stub *stub, kv_error *err)
{
    kv_throttle *throttle = stub->loop->front->services->throttle;
    const kv_peer *peer = &stub->conn->peer;
    kv_status status;

    if (!throttle)
        return KV_OK;
    KV_TRY(kv_throttle_enter(throttle, peer->has_certificate ? peer->thumbprint : NULL,
                             peer->host_key, stub->route->watches, kv_monotonic_us(), &stub->turn,
                             err));
    if (!stub->route->secret)
        return KV_OK;
    status = kv_throttle_lock(throttle, &stub->turn, locked_need(stub), err);
    if (status != KV_OK)
        leave_turn(stub);
    return status;
}

static kv_status offer(kv_stub *stub, kv_call *call, kv_error *err)
{
    const kv_front_config *config = &stub->loop->config;
    kv_front *front = stub->loop->front;

    /* Streams in use, and calls that run on though their caller left: a peer that resets what it
     * asked for is held to its own pace. */
    if (stub->conn->calls_out >= config->detached + config->grpc.streams) {
        kv_fail(err, KV_BUSY, "too many cancelled calls are still running");
        err->retry_ms = RETRY_MS;
        return err->status;
    }
    return kv_lanes_offer(front->lanes, stub->route->lane, &call->task, err);
}

static void on_call(kv_stub *stub)
{
    kv_front *front = stub->loop->front;
    kv_error err = { 0 };
    kv_call *call = NULL;

    if (stub->answered)
        return;
    if (!stub->route) {
        kv_health_call(stub);
        return;
    }
    if (take_turn(stub, &err) != KV_OK) {
        refuse_call(stub, &err);
        return;
    }
    if (make_call(stub, &call, &err) != KV_OK) {
        leave_turn(stub);
        kv_door_finish(stub, &err);
        return;
    }
    kv_grpc_stream_forget_request(stub->stream);
    /* Counted and noted first: the moment it is offered a worker has it. */
    stub->call = call;
    stub->conn->calls_out++;
    atomic_fetch_add(&stub->loop->running, 1);
    if (offer(stub, call, &err) == KV_OK) {
        atomic_fetch_add(&front->calls, 1);
        return;
    }
    stub->call = NULL;
    stub->conn->calls_out--;
    atomic_fetch_sub(&stub->loop->running, 1);
    leave_turn(stub);
    kv_call_free(call);
    refuse_call(stub, &err);
}

/* --- and come home --- */

static kv_stub *find_stub(kv_loop *loop, uint64_t serial)
{
    kv_stub *stub;

    HASH_FIND(hh, loop->stubs, &serial, sizeof(serial), stub);
    return stub;
}

static void log_trouble(const kv_call *call)
{
    char id[2 * KV_REQUEST_ID_BYTES + 1];

    if (call->error.status != KV_INTERNAL && call->error.status != KV_UNAVAILABLE)
        return;
    kv_hex(kv_slice_of(call->request_id, sizeof(call->request_id)), id);
    kv_log_write(call->services->log, KV_LOG_ERROR, "call.failed",
                 (kv_log_field[]){ { "operation", call->route->name, 0 },
                                   { "request", id, 0 },
                                   { "status", kv_status_spelling(call->error.status)->name, 0 },
                                   { "message", call->error.message, 0 },
                                   { "detail", call->error.detail, 0 },
                                   { 0 } });
}

static void answer(kv_stub *stub, const kv_call *call)
{
    kv_error err = call->error;

    kv_status status = err.status;

    if (status == KV_OK && !call->route->streams)
        status = kv_grpc_stream_send(stub->stream, call->answer, &err);
    kv_door_finish(stub, status == KV_OK ? NULL : &err);
}

static void call_home(kv_mail *mail, void *owner)
{
    kv_loop *loop = owner;
    kv_call *call = (kv_call *)((char *)mail - offsetof(kv_call, mail));
    kv_stub *stub = find_stub(loop, call->ticket.serial);

    atomic_fetch_sub(&loop->running, 1);
    log_trouble(call);
    if (stub) {
        stub->call = NULL;
        leave_turn(stub);
        if (stub->conn)
            stub->conn->calls_out--;
        if (stub->conn && call->identified && !stub->conn->known)
            kv_conn_know(stub->conn);
        if (stub->stream && !stub->answered)
            answer(stub, call);
        drop_if_over(stub);
    }
    kv_call_free(call);
}

static void message_home(kv_mail *mail, void *owner)
{
    kv_message *message = (kv_message *)((char *)mail - offsetof(kv_message, mail));
    kv_stub *stub = find_stub(owner, message->serial);
    kv_error err = { 0 };

    if (stub && stub->stream && !stub->answered) {
        if (kv_grpc_stream_send(stub->stream, message->body, &err) != KV_OK) {
            (void)leave_call(stub, KV_CANCELLED);
            kv_door_finish(stub, &err);
        }
        kv_loop_mark_dirty(stub->loop, stub->conn);
    }
    kv_message_free(message);
}

/* --- the session's events --- */

static void on_gone(kv_stub *stub)
{
    stub->stream = NULL;
    (void)leave_call(stub, KV_CANCELLED);
    drop_if_over(stub);
}

static void on_event(kv_conn *conn, const kv_grpc_event *event)
{
    kv_stub *stub = event->user;

    switch (event->kind) {
    case KV_GRPC_BEGIN:
        on_begin(conn, event->stream);
        return;
    case KV_GRPC_CALL:
        if (stub)
            on_call(stub);
        return;
    case KV_GRPC_SENT:
        if (stub && stub->call && stub->call->flow)
            kv_flow_leave(stub->call->flow, event->messages, event->bytes);
        return;
    case KV_GRPC_GONE:
        if (stub)
            on_gone(stub);
        return;
    }
}

void kv_door_events(kv_conn *conn)
{
    kv_grpc_event event;

    while (kv_grpc_session_next(conn->session, &event))
        on_event(conn, &event);
}

void kv_door_abandon(kv_conn *conn)
{
    kv_stub *stub, *next;

    DL_FOREACH_SAFE (conn->stubs, stub, next) {
        stub->stream = NULL;
        (void)leave_call(stub, KV_CANCELLED);
        if (stub->timed)
            (void)event_del(&stub->timer);
        stub->timed = false;
        DL_DELETE(conn->stubs, stub);
        stub->conn = NULL;
        drop_if_over(stub);
    }
    conn->stub_count = 0;
}

void kv_door_tell_serving(kv_conn *conn)
{
    kv_stub *stub;

    DL_FOREACH (conn->stubs, stub)
        if (stub->watches)
            kv_health_tell(stub);
    kv_loop_mark_dirty(conn->loop, conn);
}
